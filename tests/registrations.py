"""Lenses, poses and scenes to move depth through, and every implementation that can."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import pytest

from lingbot_live.frame import Extrinsics, Intrinsics, RawDepth
from lingbot_live.registration import Maker, Register, Registration

KINECT_LENS = (0.33, -2.489, -0.00016, -0.00013, 1.4537, 0.2089, -2.3029, 1.3751)
DEPTH = Intrinsics(96, 72, 60.25, 60.5, 47.0, 36.5)
COLOR = Intrinsics(128, 96, 120.5, 120.0, 63.25, 48.5)
LENSED = Intrinsics(128, 96, 100.5, 100.0, 63.25, 48.5, KINECT_LENS)
DEPTH_LENSED = Intrinsics(96, 72, 60.25, 60.5, 47.0, 36.5, (0.12, -0.05, 0.001, -0.002, 0.01))


def torch_on(where: str) -> Maker:
    import torch

    from lingbot_live.model.torch_registration import TorchRegistration

    return partial(TorchRegistration, where=torch.device(where))


def in_numpy(*calibration: Intrinsics | Extrinsics, keep_values: bool) -> Register:
    return Registration(*calibration, keep_values=keep_values)


def in_torch(*calibration: Intrinsics | Extrinsics, keep_values: bool) -> Register:
    return torch_on("cpu")(in_numpy(*calibration, keep_values=keep_values))


def in_torch_on_cuda(*calibration: Intrinsics | Extrinsics, keep_values: bool) -> Register:
    from lingbot_live.model.device import has_cuda

    if not has_cuda():
        pytest.skip("no CUDA device here")
    return torch_on("cuda")(in_numpy(*calibration, keep_values=keep_values))


Made = Callable[..., Register]
TORCH = [in_torch, pytest.param(in_torch_on_cuda, marks=pytest.mark.gpu)]
every_implementation = pytest.mark.parametrize("made", [in_numpy, *TORCH])


def turned(degrees: float, axis: tuple[float, float, float] = (1, 0, 0)) -> np.ndarray:
    return cv2.Rodrigues(np.deg2rad(degrees) * np.array(axis, float))[0]


def pose(rotation: np.ndarray, *shift_m: float) -> Extrinsics:
    return Extrinsics.from_matrix(np.c_[rotation, shift_m])


POSE = pose(np.eye(3), 0.03, -0.002, 0.004)
TILTED = pose(turned(4), 0.03, -0.002, 0.004)


def scene(seed: int = 0, size: tuple[int, int] = (72, 96)) -> RawDepth:
    rng = np.random.default_rng(seed)
    depth = np.full(size, 1800, np.uint16) + np.arange(size[1], dtype=np.uint16)
    depth[20:45, 30:60] = 700
    depth[rng.random(size) < 0.05] = 0
    return depth
