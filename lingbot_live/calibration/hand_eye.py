"""Where a camera stands on a robot, from poses of a board and of the robot's hand.

Tsai and Lenz' problem AX = XB, solved by OpenCV after Park and Martin (IEEE T-RA 1994).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lingbot_live.errors import CalibrationError, ConfigError
from lingbot_live.frame import Extrinsics, Matrix
from lingbot_live.system.inputs import read_text

_LEAST = 3  # poses
_LEAST_TURN_DEG = 5.0  # between poses; a robot that only shifts tells nothing
_UNIT_WITHIN = 0.02


@dataclass(frozen=True, slots=True)
class HandEye:
    """Where a camera stands: on the robot's base (fixed) or on its hand."""

    camera: str  # address
    in_hand: bool
    pose: Extrinsics  # T_robot_camera, or T_hand_camera in the hand
    poses: int = 0  # that it was solved from
    error_mm: float = 0.0  # RMS: how far apart the one board seems to stand
    error_deg: float = 0.0

    def to_robot(self, T_robot_hand: Extrinsics | None = None) -> Extrinsics:
        """Return ``T_robot_camera``.

        Raises:
            ConfigError: the camera is in the hand, and it is not said where that is.
        """
        if not self.in_hand:
            return self.pose
        if T_robot_hand is None:
            raise ConfigError(
                f"hand-eye: {self.camera} is on the robot's hand; say where that is: --robot-pose "
                "x,y,z,qx,qy,qz,qw"
            )
        return T_robot_hand @ self.pose


def solve(
    camera: str, robot: Sequence[Extrinsics], board: Sequence[Extrinsics], in_hand: bool
) -> HandEye:
    """Return where a camera stands, from poses taken together, at least three.

    Args:
        camera: its address.
        robot: ``T_robot_hand`` of each.
        board: ``T_camera_board`` of each; the board stands still, or, for a fixed camera, is held
            by the hand.
        in_hand: whether the camera is on the hand.

    Raises:
        CalibrationError: the poses are too few, do not pair, or do not turn.
    """
    if len(robot) != len(board) or len(robot) < _LEAST:
        raise CalibrationError(
            f"hand-eye: {len(robot)} poses of the robot and {len(board)} of the board; as many of "
            f"each are needed, at least {_LEAST}"
        )
    turned = max((robot[0].inverse() @ pose).angle_deg for pose in robot)
    if turned < _LEAST_TURN_DEG:
        raise CalibrationError(
            f"hand-eye: the hand turns by {turned:.1f} degrees at most; turn it about two axes by "
            "20 degrees and more"
        )
    moves = robot if in_hand else [pose.inverse() for pose in robot]
    rotation, shift = cv2.calibrateHandEye(
        [_turn(pose) for pose in moves], [np.array(pose.translation_m) for pose in moves],
        [_turn(pose) for pose in board], [np.array(pose.translation_m) for pose in board],
        method=cv2.CALIB_HAND_EYE_PARK,
    )  # fmt: skip
    solved = np.c_[rotation, shift]
    if not np.isfinite(solved).all():
        raise CalibrationError(
            "hand-eye: these poses have no one answer; turn the hand about two different axes"
        )
    pose = Extrinsics.from_matrix(solved)
    stands = [move @ pose @ seen for move, seen in zip(moves, board, strict=True)]
    error_mm, error_deg = _spread(stands)
    return HandEye(camera, in_hand, pose, len(robot), error_mm, error_deg)


def _turn(pose: Extrinsics) -> Matrix:
    return np.asarray(pose.rotation, np.float64)


def _spread(poses: Sequence[Extrinsics]) -> tuple[float, float]:
    """Return the RMS distance, mm, and angle, degrees, of poses from their mean."""
    shifts = np.array([pose.translation_m for pose in poses])
    u, _, vt = np.linalg.svd(sum(_turn(pose) for pose in poses))
    mean = Extrinsics.from_matrix(np.c_[u @ vt, shifts.mean(0)])
    turns = [(mean.inverse() @ pose).angle_deg for pose in poses]
    off = ((shifts - shifts.mean(0)) ** 2).sum(1)
    return 1000 * float(np.sqrt(off.mean())), float(np.sqrt(np.mean(np.square(turns))))


def read_poses(path: Path) -> list[Extrinsics]:
    """Read a CSV of poses, one a line: x, y, z in metres, then a quaternion x, y, z, w.

    A first line of words is passed over.

    Raises:
        ConfigError: it cannot be read, or a line is no pose; says which.
    """
    try:
        rows = list(csv.reader(read_text(path).splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: it cannot be read as CSV: {error}") from error
    found = []
    for number, row in enumerate(rows, 1):
        if not row or (number == 1 and any(cell.strip()[:1].isalpha() for cell in row)):
            continue
        try:
            found.append(pose_of(row))
        except ConfigError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from None
    return found


def pose_of(cells: Sequence[str]) -> Extrinsics:
    """Return a pose from seven numbers: x, y, z in metres, a quaternion x, y, z, w.

    Raises:
        ConfigError: they are others.
    """
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        values = np.empty(0)
    if len(values) != 7 or not np.isfinite(values).all():
        raise ConfigError(f"{','.join(cells)[:60]}: seven numbers are needed: x,y,z,qx,qy,qz,qw")
    length = float(np.linalg.norm(values[3:]))
    if abs(length - 1) > _UNIT_WITHIN:
        raise ConfigError(f"the quaternion has length {length:.3g}, not 1; its order is x, y, z, w")
    if np.abs(values[:3]).max() > 100:
        raise ConfigError(f"the place {values[:3].tolist()} is over 100 m away; it is in metres")
    x, y, z, w = values[3:] / length
    turn = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return Extrinsics.from_matrix(np.c_[turn, values[:3]])
