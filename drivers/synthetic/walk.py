"""A walk through the still room with true poses: 6 m on a closed line, for reconstruction.

``synthetic:stereo-walk`` and its siblings play it. Nobody moves in the room but the camera; the
walk comes back to where it began and goes on. Poses are rendered when they are asked for, a few
ahead, and are not kept: a whole walk is larger than anyone's cache.
"""

from __future__ import annotations

import functools
import threading

import numpy as np

from drivers.synthetic import scene
from drivers.synthetic.loop import Pose, Supply, pose_of
from drivers.synthetic.render import look
from drivers.synthetic.sensors import Sensor
from drivers.synthetic.shapes import Floats, Mesh, merged, rotation
from drivers.synthetic.stage import Stage
from lingbot_live.frame import Intrinsics, Matrix

POSES = 360  # of one walk: 12 s at 30 frames a second, half a metre a second
_PHASE = 0.15  # of the person, who stands still
_CENTRE_M, _RADII_M = (0.05, -0.02, 0.0), (1.136, 0.1, 0.7292)
_LOOK_AT_M = (0.0, 0.45, 2.4)
_AHEAD = 6  # poses rendered before they are asked for


def true_pose(index: int, poses: int = POSES) -> Matrix:
    """Return ``T_room_camera`` (4, 4), metres, of a pose of the walk."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = _placed(index / poses)
    return out


def true_surface() -> Mesh:
    """Return all that stands in the room, glass included, metres in the room's axes."""
    return merged([scene.opaque(), scene.glass(), scene.person(_PHASE)])


@functools.cache
def _sampled() -> tuple[Floats, Floats]:
    """The turn and the way gone, metres, along the closed line, (N,) each."""
    turn = np.linspace(0, 2 * np.pi, 4001)
    steps = np.linalg.norm(np.diff(_line(turn), axis=0), axis=1)
    return turn, np.concatenate([[0], np.cumsum(steps)])


def _line(turn: Floats) -> Floats:
    """Points (N, 3) of an ellipse about the room's middle that rises and falls twice."""
    across, up, along = _RADII_M
    flat = np.stack([across * np.sin(turn), up * np.sin(2 * turn), -along * np.cos(turn)], -1)
    return np.asarray(flat + np.array(_CENTRE_M))


def _placed(share: float) -> tuple[Floats, Floats]:
    """Where the camera stands after a share of the way, at an even pace, and how it is turned."""
    turn, gone_m = _sampled()
    at = np.interp(share % 1.0 * gone_m[-1], gone_m, turn)
    position = _line(np.array([at]))[0]
    ahead = np.array(_LOOK_AT_M) - position
    yaw = np.arctan2(ahead[0], ahead[2]) + 0.22 * np.sin(2 * at)
    pitch = -np.arctan2(ahead[1], np.hypot(ahead[0], ahead[2])) + 0.05 * np.sin(3 * at)
    return rotation(float(yaw), float(pitch), 0.04 * float(np.sin(at))), position.astype(np.float32)


class Walk(Supply):
    """Renders the walk's poses in order: `fill` makes them, `wait` hands them out.

    Poses are counted on beyond the first round; the one that was asked for last decides how far
    ahead is rendered.
    """

    count = 1  # poses to wait for before it plays: the others come while it goes

    def __init__(self, sensor: Sensor, intrinsics: Intrinsics, seed: int) -> None:
        super().__init__()
        self._sensor, self._intrinsics, self._seed = sensor, intrinsics, seed
        self._asked = 0

    def index_at(self, frame: int, _time_s: float) -> int:
        """Return the pose of a frame: each has its own."""
        return frame

    def fill(self, stop: threading.Event) -> None:
        """Render poses until ``stop`` is set."""
        while not stop.is_set():
            with self._changed:
                if self._ready > self._asked + _AHEAD:
                    self._changed.wait(0.1)
                    continue
            pose = self.rendered(self._ready % POSES, stop)
            if pose is None:
                return
            self._add(pose)

    def wait(self, index: int, timeout_s: float) -> Pose | None:
        """Return a pose, None if it is not there within ``timeout_s``; CameraError as ever."""
        with self._changed:
            self._asked = max(self._asked, index)
            self._changed.notify_all()
        return super().wait(index, timeout_s)

    def _add(self, pose: Pose) -> None:
        super()._add(pose)
        with self._changed:
            while len(self._poses) > 2 * _AHEAD:
                self._poses.popitem(last=False)

    def rendered(self, index: int, stop: threading.Event) -> Pose | None:
        """Return a pose of the walk; None if ``stop`` was set meanwhile."""
        stage = Stage(_PHASE, _placed(index / POSES))
        view = look(stage, self._intrinsics, stop.is_set)
        return None if view is None else pose_of(view, self._sensor, self._seed, index)
