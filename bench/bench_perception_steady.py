"""How steady refined depth is over time, and whether trust is an order: the simulated sensors.

Depth of `guided` at 640x480. Flicker is the quality numbers' over 30 frames of a scene in which
nothing moves; errors are those against the truth, over a second in which camera and person walk,
and by trust over six poses a second apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import every_frame
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.frame import DepthMap, Mask, RefinedFrame
from lingbot_live.perception.trust import trust_map
from lingbot_live.quality.temporal import TemporalWindow, depth_edges
from lingbot_live.refiners.steady import Stabiliser

Row = tuple[str, float, str, float]

SENSORS = ("stereo", "tof", "structured")
_STILL_FPS, _WALK_FPS, _APART_FPS = 3000.0, 30.0, 1.0  # of a camera whose way is told by time
_SETTLED, _FRAMES, _POSES = 10, 30, 6
_NEAR_EDGE_PX = 5


def run() -> list[Row]:
    """Return flicker, errors where all moves, and the error of each tenth by trust."""
    return [
        row for sensor in SENSORS for part in (_still, _moving, _by_trust) for row in part(sensor)
    ]


def _refined(sensor: str, fps: float, count: int) -> Iterator[RefinedFrame]:
    engine = registry.create_refiner(RefinerConfig("guided"))
    config = CameraConfig(realtime=False, fps=fps)
    with registry.create_camera(f"synthetic:{sensor}", config) as camera:
        for frame in islice(every_frame(camera), count):
            yield engine.refine(frame)
    engine.close()


def _steadied(sensor: str, fps: float) -> Iterator[tuple[RefinedFrame, DepthMap]]:
    stabiliser = Stabiliser()
    for number, refined in enumerate(_refined(sensor, fps, _SETTLED + _FRAMES)):
        depth_m = stabiliser.steady(refined.frame.color, refined.depth_m)
        if number >= _SETTLED:
            yield refined, depth_m


def _still(sensor: str) -> Iterator[Row]:
    plain, steadied = TemporalWindow(), TemporalWindow()
    for refined, depth_m in _steadied(sensor, _STILL_FPS):
        plain.add(refined.depth_m)
        steadied.add(depth_m)
    whole = np.s_[:, :]
    for what, key in (("", "flicker_mm"), (" at depth edges", "flicker_edge_mm")):
        both = [window.numbers(whole)[key] for window in (steadied, plain)]
        yield f"{sensor}, still: flicker{what}, mm", both[0], "not steadied", both[1]


def _moving(sensor: str) -> Iterator[Row]:
    off_mm: dict[str, list[list[float]]] = {"the whole picture": [], "occlusion edges": []}
    for refined, depth_m in _steadied(sensor, _WALK_FPS):
        true_m = refined.frame.reference_m
        if true_m is None:
            raise ValueError(f"{sensor}: no truth")
        known, edges = true_m > 0, _near_edges(true_m)
        for what, where in zip(off_mm, (known, known & edges), strict=True):
            off = [np.abs(d - true_m)[where & (d > 0)].mean() for d in (depth_m, refined.depth_m)]
            off_mm[what].append([1000 * float(one) for one in off])
    for what, rows in off_mm.items():
        ours, plain = np.mean(rows, axis=0)
        yield f"{sensor}, all moves: error in {what}, mm", float(ours), "not steadied", float(plain)


def _near_edges(true_m: DepthMap) -> Mask:
    kernel = np.ones((2 * _NEAR_EDGE_PX + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(depth_edges(true_m).astype(np.uint8), kernel) > 0)


def _by_trust(sensor: str) -> Iterator[Row]:
    trusts, errors = [], []
    for refined in _refined(sensor, _APART_FPS, _POSES):
        true_m = refined.frame.reference_m
        if true_m is None:
            raise ValueError(f"{sensor}: no truth")
        known = (true_m > 0) & (refined.depth_m > 0)
        trusts.append(trust_map(refined)[known])
        errors.append(np.abs(refined.depth_m - true_m)[known] / true_m[known])
    order = np.argsort(-np.concatenate(trusts), kind="stable")
    parts = np.array_split(np.concatenate(errors)[order], 10)
    told = [1000 * float(part.mean()) for part in parts]
    for number, (ours, before) in enumerate(zip(told, [0.0, *told], strict=False), 1):
        yield f"{sensor}, trust: error of tenth {number}, 1/1000", ours, "the tenth before", before
