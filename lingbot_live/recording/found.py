"""What was found in frames, as messages beside them: points followed, grasps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lingbot_live.colormap import point_colors
from lingbot_live.frame import Extrinsics, Frame
from lingbot_live.perception.tracks import Lifted, Points, Tracked
from lingbot_live.recording.encode import Messages, optical_frame
from lingbot_live.recording.format import Role
from lingbot_live.recording.mcap.cdr import Header, encode_poses, encode_transform
from lingbot_live.recording.mcap.cdr_cloud import encode_points

TRACKING_ENDS = "tracking ends"  # the marker
_RIG_FRAME = "rig"  # the axes of its reference


class Found(Protocol):
    """What is stored beside a frame."""

    @property
    def frame(self) -> Frame:
        """In which it was found."""

    @property
    def begins(self) -> str:
        """What a marker says at the first frame of those that it goes on through; "": none."""

    @property
    def nbytes(self) -> int:
        """About how much it takes."""

    def messages(self, name: str, stamp_ns: int) -> Messages:
        """Return it for topics that begin with ``name``, at the device's time since 1970."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundPoints:
    """Where N followed points are, in their camera's axes, or where it has a pose in the rig's."""

    frame: Frame
    numbers: npt.NDArray[np.int64]  # (N,), of no other camera's points
    tracked: Tracked
    lifted: Lifted
    pose: Extrinsics | None = None  # T_rig_camera

    @property
    def begins(self) -> str:
        """What a marker says where they begin to be followed."""
        return tracking_begins(len(self.numbers))

    @property
    def nbytes(self) -> int:
        """About how much it takes."""
        return 40 * len(self.numbers)

    @property
    def points_m(self) -> Points:
        """Their places in metres, (N, 3), nan where unknown."""
        points_m = self.lifted.points_m
        return points_m if self.pose is None else np.asarray(self.pose.apply(points_m), np.float32)

    def messages(self, name: str, stamp_ns: int) -> Messages:
        """Return the points, and where their camera stands if they are told in the rig's axes.

        ``rgb`` is a point's colour as viewers of ROS want it: 8 bits each in a float32's bits.
        """
        own = optical_frame(name)
        if self.pose is None:
            return [(Role.TRACKS, encode_points(Header(stamp_ns, own), self._columns()))]
        header = Header(stamp_ns, _RIG_FRAME)
        return [
            (Role.TRACKS, encode_points(header, self._columns())),
            (Role.TRANSFORMS, encode_transform(header, own, self.pose)),
        ]

    def _columns(self) -> dict[str, npt.NDArray[np.float32]]:
        columns = dict(zip("xyz", self.points_m.T, strict=True))
        columns["id"] = self.numbers.astype(np.float32)
        columns["u"], columns["v"] = self.tracked.pixels.T
        columns["visible"] = self.tracked.visible.astype(np.float32)
        columns["trust"], columns["speed"] = self.lifted.trust, speed_m_s(self.lifted)
        columns["rgb"] = _packed(point_colors(self.numbers))
        return columns


@dataclass(frozen=True, slots=True, eq=False)
class FoundGrasps:
    """Where a gripper can hold things, the best first, in axes of a name or the camera's own."""

    frame: Frame
    poses: Sequence[Extrinsics]
    axes: str = ""
    begins: str = ""

    @property
    def nbytes(self) -> int:
        """About how much it takes."""
        return 56 * len(self.poses)

    def messages(self, name: str, stamp_ns: int) -> Messages:
        """Return the poses."""
        header = Header(stamp_ns, self.axes or optical_frame(name))
        return [(Role.GRASPS, encode_poses(header, self.poses))]


def tracking_begins(count: int) -> str:
    """Return the marker where so many points begin to be followed."""
    return f"tracking of {count} points begins"


def speed_m_s(lifted: Lifted) -> npt.NDArray[np.float32]:
    """Return each point's speed, (N,)."""
    return np.asarray(np.linalg.norm(lifted.velocity_m_s, axis=1), np.float32)


def _packed(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    bgr0 = np.zeros((len(colors), 4), np.uint8)
    bgr0[:, :3] = colors[:, ::-1]
    return bgr0.view("<f4")[:, 0]
