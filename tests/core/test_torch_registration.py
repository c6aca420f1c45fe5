"""Depth to colour in torch equals NumPy to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registrations import (
    COLOR,
    DEPTH,
    DEPTH_LENSED,
    KINECT_LENS,
    LENSED,
    POSE,
    TILTED,
    TORCH,
    Made,
    in_numpy,
    in_torch,
    pose,
    scene,
    turned,
)

from lingbot_live.frame import Extrinsics, Intrinsics

KINECT = Intrinsics(640, 576, 505.3, 505.1, 333.2, 349.7, (0.5, 0.4, 0.0, 0.0, 0.01, 0.8, 0.5, 0.1))
VGA = Intrinsics(640, 480, 390.2, 390.2, 321.4, 239.1)
HD = Intrinsics(1280, 720, 640.1, 640.3, 639.3, 361.4)
HD_RATIONAL = Intrinsics(1280, 720, 612.4, 612.1, 640.2, 360.8, KINECT_LENS)
ODD = Intrinsics(107, 61, 66.6, 67.7, 52.5, 31.0)
KINECT_POSE = pose(turned(6), -0.032, -0.002, 0.004)
FOLDING = Intrinsics(128, 96, 120.0, 120.0, 63.5, 47.5, (-0.4, 0.0, 0.0, 0.0))
KINDS = {
    "identity": (DEPTH, DEPTH, Extrinsics()),
    "shifted": (VGA, VGA, POSE),
    "tilted Kinect": (KINECT, HD_RATIONAL, KINECT_POSE),
    "720p": (HD, HD, TILTED),
    "odd sizes": (ODD, Intrinsics(131, 97, 120.5, 120.0, 63.25, 48.5), TILTED),
    "upside down": (DEPTH_LENSED, LENSED, pose(turned(180, (0, 0, 1)), 0.01, 0, 0)),
    "behind": (DEPTH, COLOR, pose(turned(80, (0, 1, 0)), 0, 0, -0.7)),
    "fold": (Intrinsics(96, 72, 20.0, 20.0, 47.5, 35.5), FOLDING, POSE),
    "wide footprints": (Intrinsics(24, 18, 15.0, 15.0, 12.0, 9.0), HD_RATIONAL, POSE),
}


@pytest.mark.parametrize("made", TORCH)
@pytest.mark.parametrize("keep_values", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_torch_equals_numpy_to_the_pixel(kind: str, keep_values: bool, made: Made) -> None:
    depth, color, at = KINDS[kind]
    size = depth.height, depth.width
    both = [make(depth, color, at, keep_values=keep_values) for make in (made, in_numpy)]
    # Of a large picture noise shows nothing that it does not of a small one, and takes seconds.
    part = np.s_[: min(size[0], 96), : min(size[1], 128)]
    noise = np.zeros(size, np.uint16)
    noise[part] = np.random.default_rng(1).integers(0, 0x10000, noise[part].shape)
    frames = [scene(0, size), scene(1, size)[::-1], noise, np.zeros(size, np.uint16)]
    scales_m = (0.001, 0.0001, np.float64(0.00025), 0.001)
    for raw, scale_m in zip(frames, scales_m, strict=True):
        raw.setflags(write=False)
        ours, expected = (register(raw, scale_m) for register in both)
        assert (ours.dtype, ours.flags.c_contiguous) == (np.uint16, True)
        np.testing.assert_array_equal(ours, expected)
    seen = both[0](frames[0], 0.001)
    before = seen.copy()
    both[0](frames[2], 0.001)
    np.testing.assert_array_equal(seen, before, "a result is overwritten by the next frame")


@settings(max_examples=60, deadline=None)
@given(
    degrees=st.floats(-40, 40),
    axis=st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1)]),
    shift_m=st.tuples(*[st.floats(-0.3, 0.3)] * 3),
    focal_px=st.floats(20, 400),
    lens=st.sampled_from([(), KINECT_LENS, (0.12, -0.05, 0.001, -0.002, 0.01)]),
    keep_values=st.booleans(),
)
def test_torch_equals_numpy_at_any_pose(
    degrees: float,
    axis: tuple[float, float, float],
    shift_m: tuple[float, float, float],
    focal_px: float,
    lens: tuple[float, ...],
    keep_values: bool,
) -> None:
    color = Intrinsics(128, 96, focal_px, focal_px, 63.25, 48.5, lens)
    at = pose(turned(degrees, axis), *shift_m)
    ours, plain = (m(DEPTH, color, at, keep_values=keep_values) for m in (in_torch, in_numpy))
    np.testing.assert_array_equal(ours(scene(), 0.001), plain(scene(), 0.001))
