"""The clock of a session being played, shared by the cameras in it so that they go in step."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lingbot_live.cameras.playback import Mark, Preview
from lingbot_live.errors import ConfigError, CorruptRecordingError, RecordingError
from lingbot_live.recording.foreign import Topics
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.tracks import Track

log = logging.getLogger(__name__)

SLOWEST, FASTEST = 0.1, 4.0
_MOST_TOLD = 3  # gaps; the time line marks all


@dataclass(frozen=True, slots=True)
class Position:
    """Where playback stands. ``serial`` rises with every seek, step and loop."""

    time_ns: int
    serial: int
    is_paused: bool
    is_over: bool


class Playback:
    """Play, pause, seek, step, speed and loop of one file; every method from any thread.

    Times are seconds from the recording's first frame, without its long gaps (see `PlayTime`);
    frames are those of the ``lead`` camera.
    `for_file` returns the one that all players of a file share; it opens the file and closes it
    with the last of them. Satisfies `lingbot_live.cameras.playback.Playback`.
    """

    def __init__(self, path: Path, topics: Topics | None = None) -> None:
        self.path, self._topics = path, topics
        self.recording = Recording(path, topics)
        self.lead: Track = self.recording.track()
        for gap in self.recording.play_time.gaps[:_MOST_TOLD]:
            log.warning("%s: at %.1f s: %s; passed over", path, gap.position_s, gap)
        self._cameras: set[str] = set()
        self._condition = threading.Condition()
        self._speed = 1.0
        self._loop = False
        self._paused = False
        self._at_ns = 0.0  # position when the clock was last set
        self._set_s: float | None = None  # and when that was; None before the first frame
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
        with self._condition:
            if self._now_ns() >= self._length_ns:
                self._set(0.0)
            else:
                self._set(self._now_ns(), jumped=False)
            self._paused = False

    def pause(self) -> None:
        """Hold the present frame."""
        with self._condition:
            self._set(self._now_ns(), jumped=False)
            self._paused = True

    def seek(self, position_s: float) -> None:
        """Go to a time, kept within the recording; works while paused."""
        with self._condition:
            self._set(position_s * 1e9)

    def seek_frame(self, frame: int) -> None:
        """Go to a frame by its number, kept within the recording."""
        with self._condition:
            self._set_frame(frame)

    def step(self, frames: int = 1) -> None:
        """Pause and move by frames, backwards if negative."""
        with self._condition:
            self._set_frame(self._frame() + frames)
            self._paused = True

    @property
    def frame(self) -> int:
        """Number of the frame that is due."""
        with self._condition:
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
        at = self.lead.index_at(self.recording.play_time.time_ns(position_s * 1e9))
        try:
            return self.lead.preview(at)
        except CorruptRecordingError:
            return None

    def follow(self, track: Track, index: int) -> None:
        """Stand where the lead camera is that reads at its own pace."""
        with self._condition:
            if track is self.lead and not self._paused:
                self._set(self._position_ns(track, index), jumped=False)

    def hold_end(self, *, reached: bool = False) -> None:
        """Pause at the last frame, once the clock (or the caller) has ``reached`` it."""
        with self._condition:
            if (reached or self._now_ns() >= self._length_ns) and not self._paused:
                self._set(float(self._length_ns))
                self._paused = True

    @property
    def position_s(self) -> float:
        """Seconds from the first frame."""
        with self._condition:
            return self._now_ns() / 1e9

    @property
    def duration_s(self) -> float:
        """From the first frame to the last, long gaps made short."""
        return self.recording.duration_s

    @property
    def is_paused(self) -> bool:
        """Whether it holds the present frame."""
        return self._paused

    @property
    def speed(self) -> float:
        """1 is as it was recorded; `SLOWEST` to `FASTEST`."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if not SLOWEST <= value <= FASTEST:
            raise ConfigError(f"playback: speed {value:g} must lie in {SLOWEST:g} to {FASTEST:g}")
        with self._condition:
            self._set(self._now_ns(), jumped=False)
            self._speed = value

    @property
    def loop(self) -> bool:
        """Whether it begins again at the end."""
        return self._loop

    @loop.setter
    def loop(self, value: bool) -> None:
        with self._condition:
            self._loop = value

    # ---- what players ask ------------------------------------------------------------------------

    def start(self) -> None:
        """Let the clock run; the first player to read does this."""
        with self._condition:
            if self._set_s is None:
                self._set_s = time.monotonic()

    def position(self) -> Position:
        """Return where playback stands now."""
        with self._condition:
            now_ns = self._now_ns()
            if now_ns >= self._length_ns + self._tail_ns and self._loop and not self._paused:
                self._set(0.0)
                now_ns = 0.0
            return Position(
                self.recording.play_time.time_ns(now_ns),
                self._serial,
                self._paused,
                now_ns >= self._length_ns and not self._loop and not self._paused,
            )

    def wait(self, until_ns: int, serial: int, most_s: float) -> None:
        """Sleep until a time of the recording is reached, something jumps, or ``most_s``."""
        with self._condition:
            until_ns = self.recording.play_time.position_ns(until_ns)
            left_s = (until_ns - self._now_ns()) / 1e9 / self._speed
            if serial == self._serial and left_s > 0:
                self._condition.wait(most_s if self._paused else min(left_s, most_s))

    # ---- private, the condition held -------------------------------------------------------------

    @property
    def _length_ns(self) -> int:
        return self.recording.play_time.length_ns

    @property
    def _tail_ns(self) -> float:
        """How long the last frame stays before a loop: one period of the lead camera."""
        times = self.lead.times_ns
        return float(np.median(np.diff(times))) if len(times) > 1 else 1e8

    def _now_ns(self) -> float:
        if self._paused or self._set_s is None:
            return self._at_ns
        passed_ns = (time.monotonic() - self._set_s) * 1e9 * self._speed
        return min(self._at_ns + passed_ns, self._length_ns + 2 * self._tail_ns)

    def _frame(self) -> int:
        return self.lead.index_at(self.recording.play_time.time_ns(self._now_ns()))

    def _set_frame(self, frame: int) -> None:
        row = min(max(frame, 0), len(self.lead) - 1)
        self._set(self._position_ns(self.lead, row))

    def _position_ns(self, track: Track, row: int) -> float:
        return float(self.recording.play_time.position_ns(int(track.times_ns[row])))

    def _set(self, at_ns: float, *, jumped: bool = True) -> None:
        self._at_ns = min(max(at_ns, 0.0), float(self._length_ns))
        self._serial += jumped
        if self._set_s is not None:
            self._set_s = time.monotonic()
        self._condition.notify_all()


_lock = threading.Lock()
_open: weakref.WeakValueDictionary[tuple[Path, Topics | None], Playback] = (
    weakref.WeakValueDictionary()
)
