"""The clock of a session being played, shared by the cameras in it so that they go in step."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lingbot_live.cameras.clock import Clock
from lingbot_live.cameras.playback import Mark, Preview
from lingbot_live.cameras.playtime import LONG_GAP_S, SHORT_GAP_S
from lingbot_live.errors import CorruptRecordingError, RecordingError
from lingbot_live.recording.foreign import Topics
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.tracks import Track

log = logging.getLogger(__name__)

_MOST_TOLD = 3  # gaps; the time line marks all


@dataclass(frozen=True, slots=True)
class Position:
    """Where playback stands. ``serial`` rises with every seek, step and loop."""

    time_ns: int
    serial: int
    is_paused: bool
    is_over: bool


class Playback(Clock):
    """Play, pause, seek, step, speed and loop of one file; every method from any thread.

    Times are seconds from the recording's first frame, without its long gaps (see `PlayTime`);
    frames are those of the ``lead`` camera.
    `for_file` returns the one that all players of a file share; it opens the file and closes it
    with the last of them. Satisfies `lingbot_live.cameras.playback.Playback`.
    """

    def __init__(self, path: Path, topics: Topics | None = None) -> None:
        super().__init__()
        self.path, self._topics = path, topics
        self.recording = Recording(path, topics)
        self.lead: Track = self.recording.track()
        self._tail_s = _period_s(self.lead)
        for gap in self.recording.play_time.gaps[:_MOST_TOLD]:
            log.warning("%s: at %.1f s: %s; passed over", path, gap.position_s, gap)
        self._cameras: set[str] = set()
        self._serial = 0
        self._users = 0

    @classmethod
    def for_file(cls, path: Path, camera: str = "", *, shared: bool = True) -> Playback:
        """Return the file's playback, opened if no one has; `release` it when done.

        Of the cameras asked for, the first in the file leads. Of another program's file, ``camera``
        may name `Topics`. One that is not ``shared`` neither follows nor moves the clock of others,
        as is right for reading a file through.
        """
        topics = Topics.parse(camera)
        key = path.expanduser().resolve(), topics
        with _lock:
            playback = (_open.get(key) if shared else None) or cls(*key)
            try:
                playback._follow(camera)
            except RecordingError:
                if not playback._users:
                    playback.recording.close()
                raise
            if shared:
                _open[key] = playback
            playback._users += 1
            return playback

    def _follow(self, camera: str) -> None:
        # Cameras open on threads of their own, in any order.
        self._cameras.add(self.recording.track(camera).name)
        self.lead = next(t for t in self.recording.tracks.values() if t.name in self._cameras)
        self._tail_s = _period_s(self.lead)

    def release(self) -> None:
        """End one use of `for_file`; the last closes the file."""
        with _lock:
            self._users -= 1
            if self._users <= 0:
                key = self.path, self._topics
                if _open.get(key) is self:
                    del _open[key]
                self.recording.close()

    # ---- what a window does --------------------------------------------------------------------

    def play(self) -> None:
        """Go on; from the start where it had ended."""
        with self._changed:
            if self._now_s() >= self.duration_s:
                self._jump(0.0)
            else:
                self._move(self._now_s())
            self._is_paused = False

    def pause(self) -> None:
        """Hold the present frame."""
        with self._changed:
            self._move(min(self._now_s(), self.duration_s))
            self._is_paused = True

    def seek(self, position_s: float) -> None:
        """Go to a time, kept within the recording; works while paused."""
        with self._changed:
            self._jump(position_s)

    def seek_frame(self, frame: int) -> None:
        """Go to a frame by its number, kept within the recording."""
        with self._changed:
            self._jump_to_frame(frame)

    def step(self, frames: int = 1) -> None:
        """Pause and move by frames, backwards if negative."""
        with self._changed:
            self._jump_to_frame(self._frame() + frames)
            self._is_paused = True

    @property
    def frame(self) -> int:
        """Number of the frame that is due."""
        with self._changed:
            return self._frame()

    @property
    def frames(self) -> int:
        """How many the lead camera has."""
        return len(self.lead)

    def marks(self) -> tuple[Mark, ...]:
        """Return what happened while it was recorded, in order of time; read from the file."""
        play_time = self.recording.play_time
        marks = [Mark(gap.position_s, "gap", str(gap)) for gap in play_time.gaps]
        for event in self.recording.events:
            position_s = play_time.position_ns(event.time_ns) / 1e9
            marks.append(Mark(position_s, event.kind, event.text, event.count))
        return tuple(sorted(marks, key=lambda mark: mark.position_s))

    def preview(self, position_s: float) -> Preview | None:
        """Return the lead camera's colour at a time, small; None where the file is damaged."""
        at = self.lead.index_at(self._time_ns(position_s))
        try:
            return self.lead.preview(at)
        except CorruptRecordingError:
            return None

    def follow(self, track: Track, index: int) -> None:
        """Stand where the lead camera is that reads at its own pace."""
        with self._changed:
            if track is self.lead and not self._is_paused:
                self._move(self._position_s(track, index))

    def hold_end(self, *, reached: bool = False) -> None:
        """Pause at the last frame, once the clock (or the caller) has ``reached`` it."""
        with self._changed:
            if (reached or self._now_s() >= self.duration_s) and not self._is_paused:
                self._jump(self.duration_s)
                self._is_paused = True

    @property
    def position_s(self) -> float:
        """Seconds from the first frame."""
        with self._changed:
            return self._now_s()

    @property
    def duration_s(self) -> float:
        """From the first frame to the last, long gaps made short."""
        return self.recording.duration_s

    # ---- what players ask ------------------------------------------------------------------------

    def start(self) -> None:
        """Let the clock run; the first player to read does this."""
        with self._changed:
            if not self._runs:
                self._run(self._at_s, time.monotonic())

    def position(self) -> Position:
        """Return where playback stands now."""
        with self._changed:
            now_s, is_free = self._now_s(), not self._is_paused
            if self.loop and is_free and now_s >= self.duration_s + self._tail_s:
                self._jump(0.0)
                now_s = 0.0
            return Position(
                self._time_ns(now_s),
                self._serial,
                self._is_paused,
                now_s >= self.duration_s and not self.loop and is_free,
            )

    def wait(self, until_ns: int, serial: int, most_s: float) -> None:
        """Sleep until a time of the recording is reached, something jumps, or ``most_s``."""
        with self._changed:
            until_s = self.recording.play_time.position_ns(until_ns) / 1e9
            left_s = (until_s - self._now_s()) / self._speed
            if serial == self._serial and left_s > 0:
                self._changed.wait(most_s if self._is_paused else min(left_s, most_s))

    # ---- private, the condition held -------------------------------------------------------------

    def _now_s(self) -> float:
        return min(super()._now_s(), self.duration_s + 2 * self._tail_s)

    def _frame(self) -> int:
        return self.lead.index_at(self._time_ns(self._now_s()))

    def _time_ns(self, position_s: float) -> int:
        return self.recording.play_time.time_ns(position_s * 1e9)

    def _position_s(self, track: Track, row: int) -> float:
        return self.recording.play_time.position_ns(int(track.times_ns[row])) / 1e9

    def _jump_to_frame(self, frame: int) -> None:
        self._jump(self._position_s(self.lead, min(max(frame, 0), len(self.lead) - 1)))

    def _jump(self, position_s: float) -> None:
        self._serial += 1
        self._move(min(max(position_s, 0.0), self.duration_s))


def _period_s(track: Track) -> float:
    """Return how long a frame stays, so that the last one does before a loop."""
    times = track.times_ns
    period_s = float(np.median(np.diff(times))) / 1e9 if len(times) > 1 else 0.1
    return period_s if period_s <= LONG_GAP_S else SHORT_GAP_S


_lock = threading.Lock()
_open: weakref.WeakValueDictionary[tuple[Path, Topics | None], Playback] = (
    weakref.WeakValueDictionary()
)
