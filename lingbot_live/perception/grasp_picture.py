"""Things and grasps drawn into the colour picture that they were found in."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.frame import ColorImage, Intrinsics, Matrix
from lingbot_live.geometry import project
from lingbot_live.perception.grasps import Grasp, GraspScene, Gripper

Segments = npt.NDArray[np.float64]  # (S, 2, 3) metres, in the camera's axes

_TINT = 0.45
_EDGES = [(i, j) for i in range(8) for j in range(i + 1, 8) if (i ^ j) in (1, 2, 4)]
_GRIPPER_RGB, _BOX_RGB = (255, 255, 255), (20, 20, 24)


def gripper_lines(grasp: Grasp, gripper: Gripper) -> Segments:
    """Return the gripper's outline as line segments: two fingers, the palm, its handle."""
    half, low = grasp.opened_m / 2, -gripper.depth_m
    end = low - gripper.palm_m[0]
    lines = np.array(
        [
            [[-half, 0, gripper.tip_m], [-half, 0, low]],
            [[half, 0, gripper.tip_m], [half, 0, low]],
            [[-half, 0, low], [half, 0, low]],
            [[0, 0, low], [0, 0, end]],
        ]
    )
    return _moved(lines, grasp.T_camera_gripper)


def box_lines(T_camera_thing: Matrix, size_m: npt.NDArray[np.float64]) -> Segments:
    """Return the twelve edges of an oriented box."""
    signs = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)]) - 0.5
    corners = signs * size_m
    return _moved(np.array([[corners[i], corners[j]] for i, j in _EDGES]), T_camera_thing)


def _moved(lines: Segments, T: Matrix) -> Segments:
    return np.asarray(lines @ T[:3, :3].T + T[:3, 3])


def draw_grasps(
    color: ColorImage, scene: GraspScene, intrinsics: Intrinsics, gripper: Gripper
) -> ColorImage:
    """Return a picture (H, W, 3) with each thing tinted, its box, and its best grasp."""
    out = color.astype(np.float32)
    for thing in scene.things:
        here = scene.labels == thing.label
        out[here] = (1 - _TINT) * out[here] + _TINT * np.array(_tint(thing.label))
    picture = np.ascontiguousarray(out.astype(np.uint8))
    for number, thing in enumerate(scene.things):
        _lines(picture, box_lines(thing.T_camera_thing, thing.size_m), intrinsics, _BOX_RGB, 1)
        for grasp in scene.of(number)[:1]:
            lines = gripper_lines(grasp, gripper)
            _lines(picture, lines, intrinsics, (0, 0, 0), 4)
            _lines(picture, lines, intrinsics, _GRIPPER_RGB, 2)
    return picture


def _lines(
    picture: ColorImage,
    lines: Segments,
    intrinsics: Intrinsics,
    rgb: tuple[int, int, int],
    width_px: int,
) -> None:
    ahead = lines[(lines[..., 2] > 0.05).all(1)]
    if len(ahead):
        ends = project(ahead.reshape(-1, 3), intrinsics).reshape(-1, 2, 2)
        ends = np.rint(np.clip(ends, -9999, 9999)).astype(np.int32)
        cv2.polylines(picture, list(ends), False, rgb, width_px, cv2.LINE_AA)


def _tint(label: int) -> tuple[int, int, int]:
    hue = np.array([[[(label * 67) % 180, 200, 255]]], np.uint8)
    red, green, blue = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue
