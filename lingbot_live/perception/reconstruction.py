"""A still scene out of a moving camera's frames: where the camera was, and what stands there.

One way for everybody: the command, the export of a mesh, the live view. The camera is followed by
`Odometry` on measured depth; every depth that is asked for is fused at the same poses into a
surface of its own, so that raw and refined can be compared. Where a place seen again moves the
way, frames are fused anew: all of them at the end, or a few with each new frame, until they have
caught up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lingbot_live.errors import ReconstructionError
from lingbot_live.frame import DepthMap, Frame, Intrinsics, Matrix
from lingbot_live.perception.kept import KeptFrames
from lingbot_live.perception.landmarks import View, seen_plain, to_follow
from lingbot_live.perception.odometry import Odometry, Place, TrackState, is_beyond
from lingbot_live.perception.trajectory import Stamped, drift_words
from lingbot_live.perception.volume import EXACT, QUICK, Volume

if TYPE_CHECKING:
    import open3d as o3d

_CATCH_UP = 2  # frames fused anew with each new one
_LOOK_EVERY = 3  # key views of a live scene until one is compared with older ones
# A live scene leaves out what says nothing new: views as near as that to so many fused ones.
_NEAR_M, _NEAR_DEGREES, _ENOUGH = 0.02, 1.0, 10
_MOVED = 1.0  # voxels by which a key view must move before frames are fused anew


class Depth(str, Enum):
    """Which depth is fused."""

    RAW = "raw"
    REFINED = "refined"


@dataclass(frozen=True, slots=True)
class Fusing:
    """How frames become a surface."""

    depths: tuple[Depth, ...] = (Depth.RAW,)
    voxel_m: float = 0.01
    far_m: float = 4.0  # depth beyond is left out
    device: str = "cpu"
    least_trust: float = 0.7  # refined depth that is trusted less is not to be handed in


class Reconstruction:
    """Takes frames in order; `finish` once none comes any more, `close` in any case.

    With ``is_live`` time is short: places are compared more seldom, depth reaches less far into
    space around a surface, of several depths each takes its turn, a camera that stands still has
    enough of what it sees after some frames, and where the way moved a few frames are fused anew
    with every new one; without, all are at the end. Frames wait in a file in ``folder``.
    """

    def __init__(
        self, fusing: Fusing | None = None, *, is_live: bool = False, folder: Path | None = None
    ) -> None:
        self.fusing = fusing or Fusing()
        self._is_live = is_live
        self._odometry = Odometry(_LOOK_EVERY if is_live else 1)
        self._kept = KeptFrames(folder)
        self._places: list[tuple[float, Place]] = []
        self._fused: list[Place] = []  # of the frames that are kept
        self._alike = 0  # of the last of them, as near to each other as not to count
        self._intrinsics: Intrinsics | None = None
        self._volumes: dict[Depth, Volume] = {}
        self._anew: dict[Depth, Volume] = {}  # what is to take their place
        self._done_anew = 0
        self._matrix: Matrix | None = None
        self._seen_loops = 0
        self.left_out = 0  # frames that fit nowhere

    # ---- frames ------------------------------------------------------------------------------

    def add(self, frame: Frame, depths_m: Mapping[Depth, DepthMap], time_s: float) -> bool:
        """Find where a frame was taken from and fuse it; False if it fits nowhere.

        Raises:
            ReconstructionError: it has other intrinsics than the first.
        """
        self._check(frame)
        view = to_follow(frame, depths_m[self.fusing.depths[-1]])
        place = self._odometry.follow(view)
        if place is None:
            self.left_out += 1
            return False
        self._places.append((time_s, place))
        if not self._is_live or self._says_more(place):
            turn = self._turn(len(self._fused))
            plain = {d: seen_plain(depths_m[d], frame.intrinsics) for d in turn}
            self._fuse(view, plain, place)
        if self._is_live:
            self._catch_up()
        return True

    def finish(self, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Bring places seen again together, and fuse all frames anew where that moved the way.

        Raises:
            ReconstructionError: no frame came.
        """
        if not self._places:
            raise ReconstructionError("no frame has depth enough to begin a scene with")
        if self._odometry.settle() > _MOVED * self.fusing.voxel_m:
            self._begin_anew()
        while self._anew:
            self._fuse_one_anew()
            on_progress(self._done_anew, len(self._fused))

    def close(self) -> None:
        """Let memory and disk go; safe more than once."""
        self._volumes, self._anew = {}, {}
        self._kept.close()

    # ---- what came of it ---------------------------------------------------------------------

    @property
    def state(self) -> TrackState:
        """Whether it is known where the camera is."""
        return self._odometry.state

    @property
    def frames(self) -> int:
        """How many were placed; a live scene fuses those of them that say more."""
        return len(self._places)

    @property
    def found_again(self) -> int:
        """How many times a lost camera was found."""
        return self._odometry.found_again

    @property
    def length_m(self) -> float:
        """How far the camera went."""
        return self._odometry.length_m

    @property
    def loops(self) -> int:
        """How many places were seen again."""
        return self._odometry.loops

    def volume(self, depth: Depth) -> Volume | None:
        """Return what was fused of a depth so far; None before the first frame."""
        return self._volumes.get(depth)

    def mesh(self, depth: Depth) -> o3d.geometry.TriangleMesh:
        """Return the surface of a depth with its normals.

        Raises:
            ReconstructionError: there is none.
        """
        volume = self._volumes.get(depth)
        found = None if volume is None else volume.mesh()
        if found is None or not found.has_triangles():
            raise ReconstructionError(
                f"no surface came of {depth.value} depth; is there any nearer than "
                f"{self.fusing.far_m:g} m?"
            )
        found.compute_vertex_normals()
        return found

    def trajectory(self) -> list[Stamped]:
        """Return time in seconds and T_first_camera (4, 4) of every frame that was placed."""
        return [(time_s, self._odometry.pose(place)) for time_s, place in self._places]

    def words(self) -> list[str]:
        """Say how far the camera went, and what went wrong."""
        drift = drift_words(self._odometry.closed())
        out = [f"the camera went {self.length_m:.2f} m; {drift}"]
        if self.left_out:
            again = f", tracking was found again {_times(self.found_again)}"
            found = again if self.found_again else ""
            left = "1 frame" if self.left_out == 1 else f"{self.left_out} frames"
            are = "is" if self.left_out == 1 else "are"
            words = f"{left} could not be placed and {are} left out"
            out.append(f"{words}{found}; move slower, and past more than bare walls")
        return out

    # ---- private -----------------------------------------------------------------------------

    def _says_more(self, place: Place) -> bool:
        """Whether a view was not fused often enough from where it is."""
        if not self._fused:
            return True
        step = np.linalg.inv(self._odometry.pose(self._fused[-1])) @ self._odometry.pose(place)
        is_near = not is_beyond(step, _NEAR_M, _NEAR_DEGREES)
        self._alike = self._alike + 1 if is_near else 0
        return self._alike < _ENOUGH

    def _turn(self, number: int) -> tuple[Depth, ...]:
        """The depths that are fused of a frame."""
        depths = self.fusing.depths
        return (depths[number % len(depths)],) if self._is_live else depths

    def _fuse(self, view: View, depths_m: dict[Depth, DepthMap], place: Place) -> None:
        self._volumes = self._volumes or self._new_volumes(view.intrinsics.matrix)
        self._kept.add(view.color, list(depths_m.values()))
        self._fused.append(place)
        pose = self._odometry.pose(place)
        for depth, depth_m in depths_m.items():
            self._volumes[depth].fuse(view.color, depth_m, pose)

    def _check(self, frame: Frame) -> None:
        self._intrinsics = self._intrinsics or frame.intrinsics
        if frame.intrinsics != self._intrinsics:
            raise ReconstructionError(
                f"frame {frame.index} has another calibration than the first; a scene needs one"
            )

    def _new_volumes(self, matrix: Matrix) -> dict[Depth, Volume]:
        of, self._matrix = self.fusing, matrix
        reach = QUICK if self._is_live else EXACT
        return {d: Volume(of.voxel_m, of.far_m, matrix, of.device, reach) for d in of.depths}

    def _catch_up(self) -> None:
        """Fuse a few frames anew; begin where a place was seen again and that moved the way."""
        if not self._anew and self._odometry.loops != self._seen_loops:
            self._seen_loops = self._odometry.loops
            if self._odometry.settle() > _MOVED * self.fusing.voxel_m:
                self._begin_anew()
        for _ in range(_CATCH_UP if self._anew else 0):
            self._fuse_one_anew()

    def _begin_anew(self) -> None:
        if self._matrix is not None:
            self._anew, self._done_anew = self._new_volumes(self._matrix), 0

    def _fuse_one_anew(self) -> None:
        if self._done_anew < len(self._fused):
            color, depths_m = self._kept.frame(self._done_anew)
            pose = self._odometry.pose(self._fused[self._done_anew])
            for depth, depth_m in zip(self._turn(self._done_anew), depths_m, strict=True):
                self._anew[depth].fuse(color, depth_m, pose)
            self._done_anew += 1
        if self._done_anew == len(self._fused) and self._anew:
            self._volumes, self._anew = self._anew, {}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
