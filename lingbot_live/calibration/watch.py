"""Follows running cameras and keeps what a calibration needs: views of a board, motion, frames."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from lingbot_live.calibration.board import LEAST_CORNERS, Board, Sighting
from lingbot_live.calibration.extrinsics import View, shared_views, solve_rig
from lingbot_live.calibration.icp import Shot
from lingbot_live.calibration.rig import Rig
from lingbot_live.calibration.timing import MotionSeries, TimeOffset, time_offset
from lingbot_live.errors import CalibrationError
from lingbot_live.frame import Frame, RefinedFrame

_STILL_SHARE = 0.0012  # of the picture's width: a held board moves less from one look to the next
_NEW_SHARE = 0.03  # by which a view must differ from all kept ones, in at least one picture
_SILENT_NS = 1_000_000_000
_APART_NS = 250_000_000  # between frames that count as one moment


class BoardViews:
    """Keeps views in which the board stood still and stood elsewhere than before."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.views: list[View] = []
        self._last: View = {}

    def offer(self, frames: Mapping[str, Frame]) -> View:
        """Look for the board in one frame of each camera; returns who sees it where.

        10 to 150 ms a camera; OpenCV lets other threads run meanwhile.
        """
        found = {name: self.board.find(frame.color) for name, frame in frames.items()}
        seen = {name: sighting for name, sighting in found.items() if sighting is not None}
        before, self._last = self._last, seen
        widths = {name: frame.color.shape[1] for name, frame in frames.items()}
        still = {
            n: s for n, s in seen.items() if _moved(before.get(n), s, widths[n]) < _STILL_SHARE
        }
        if len(still) > 1 and _is_one_moment(frames) and self._is_new(still, widths):
            self.views.append(still)
        return seen

    def _is_new(self, view: View, widths: Mapping[str, int]) -> bool:
        def differs(kept: View) -> bool:
            return any(_moved(kept.get(n), s, widths[n]) > _NEW_SHARE for n, s in view.items())

        return all(differs(kept) for kept in self.views)


class Watch:
    """What a session's cameras show while a calibration is under way.

    `see` is a tap for `lingbot_live.pipeline.session.Session.add_tap`; `look` is called again
    and again by one worker.
    """

    def __init__(self, names: Sequence[str], board: Board | None = None) -> None:
        self.names = tuple(names)
        self.boards = BoardViews(board) if board else None
        self.seen: View = {}  # where the board is now
        self._motion = {name: MotionSeries() for name in names}
        self._frames: dict[str, Frame] = {}
        self._looked: dict[str, int] = {}
        self._lock = threading.Lock()

    def see(self, name: str, item: Frame | RefinedFrame) -> None:
        """Note a new frame, in under a millisecond; results of the refiner are passed over."""
        if isinstance(item, Frame) and name in self._motion:
            with self._lock:
                self._frames[name] = item
                self._motion[name].add(item)

    def look(self) -> bool:
        """Search the newest frames for the board, if every camera that streams has a new one."""
        if self.boards is None:
            return False
        frames = _streaming(self.frames())
        now = {name: frame.index for name, frame in frames.items()}
        if len(now) < 2 or any(self._looked.get(name) == index for name, index in now.items()):
            return False
        self._looked = now
        self.seen = self.boards.offer(frames)
        return True

    def frames(self) -> dict[str, Frame]:
        """Return the newest frame of each camera that has delivered one."""
        with self._lock:
            return {name: self._frames[name] for name in self.names if name in self._frames}

    def counts(self) -> dict[str, int]:
        """Return by camera how many kept views it shares with another."""
        views = self.boards.views if self.boards else []
        return {name: sum(name in view for view in views) for name in self.names}

    def weakest(self) -> int:
        """Return the fewest views that a camera shares on the way to the reference."""
        views = self.boards.views if self.boards else []
        return shared_views(views, self.names)

    def solve(self) -> Rig:
        """Return the rig by the views so far.

        Raises:
            CalibrationError: too few views, or they do not fit.
        """
        if self.boards is None:
            raise CalibrationError("calibrate: no board was chosen; name one, or start from a rig")
        frames = self.frames()
        self._check_all(frames)
        intrinsics = {name: frames[name].intrinsics for name in self.names}
        return solve_rig(self.boards.board, list(self.boards.views), intrinsics)

    def shots(self) -> dict[str, Shot]:
        """Return what ICP needs of the newest frames, raw depth.

        Raises:
            CalibrationError: a camera has delivered nothing.
        """
        frames = self.frames()
        self._check_all(frames)
        return {n: Shot(f.color, f.depth_m, f.intrinsics) for n, f in frames.items()}

    def time_offset(self, name: str) -> TimeOffset:
        """Return how much later a camera stamps an event than the first one.

        Raises:
            CalibrationError: they were watched together for too short a time.
        """
        with self._lock:
            reference, camera = self._motion[self.names[0]].copy(), self._motion[name].copy()
        return time_offset(reference, camera)

    def with_time_offsets(self, rig: Rig) -> Rig:
        """Return the rig with the offsets of all cameras but the reference.

        Raises:
            CalibrationError: as `time_offset`.
        """
        for name in self.names[1:]:
            found = self.time_offset(name)
            rig = rig.with_camera(
                name, time_offset_ms=found.offset_ms, time_confidence=found.confidence
            )
        return rig

    def _check_all(self, frames: Mapping[str, Frame]) -> None:
        missing = [name for name in self.names if name not in frames]
        if missing:
            raise CalibrationError(f"{missing[0]}: it has delivered no frame yet; is it connected?")


def _streaming(frames: Mapping[str, Frame]) -> dict[str, Frame]:
    """Leave out cameras that have delivered nothing for a while, whatever ails them."""
    newest_ns = max((frame.timestamp_ns for frame in frames.values()), default=0)
    return {n: f for n, f in frames.items() if newest_ns - f.timestamp_ns < _SILENT_NS}


def _moved(before: Sighting | None, now: Sighting, width_px: int) -> float:
    """Return how far the corners went, as a share of the picture's width; inf if unknown."""
    if before is None:
        return float("inf")
    _, old, new = np.intersect1d(before.ids, now.ids, return_indices=True)
    if len(old) < LEAST_CORNERS:
        return float("inf")
    way = np.linalg.norm(before.pixels[old] - now.pixels[new], axis=1)
    return float(np.mean(way)) / width_px


def _is_one_moment(frames: Mapping[str, Frame]) -> bool:
    stamps = [frame.timestamp_ns for frame in frames.values()]
    return max(stamps) - min(stamps) < _APART_NS
