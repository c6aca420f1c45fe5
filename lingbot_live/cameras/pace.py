"""Paces what a driver reads from a recording: the `Playback` of vendors' files and folders.

A driver reads every frame in order and says when it belongs; pausing, stepping, speed, looping and
leaving out what is late is done here, the same for all makes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from lingbot_live.cameras.base import Camera, Capture
from lingbot_live.cameras.clock import REPEAT_S, Clock
from lingbot_live.cameras.playback import Mark, Preview
from lingbot_live.cameras.playtime import LONG_GAP_S, Gap
from lingbot_live.cameras.previews import Previews
from lingbot_live.errors import EndOfStreamError

_LATE_S = 1.0  # a reader later than this leaves frames out to catch up
_MOST_SKIP_S = 0.5  # without a frame, because all come too late to be shown
_MOST_EARLY = 60  # frames left out after a seek: a file's clock may disagree with its stamps

log = logging.getLogger(__name__)

T = TypeVar("T")


class Source(Protocol[T]):
    """What the driver does, all on the reading thread. ``T`` is its own idea of a frame."""

    def play_fetch(self, timeout_s: float) -> tuple[float, T] | None:
        """Return the next frame and its time in the recording, in seconds, undecoded.

        Returns None if none came in time; raises EndOfStreamError after the last, every time.
        """

    def play_show(self, item: T) -> Capture | None:
        """Decode a frame; None, and counted by the driver, if it cannot be shown."""

    def play_seek(self, position_s: float) -> None:
        """Let the next frames be those from a time on, also after the end; earlier is allowed."""


class Pace(Clock, Generic[T]):
    """The playback of one opened recording. Satisfies `lingbot_live.cameras.playback.Playback`.

    ``preview`` returns a small picture of any frame, for a source that can; otherwise those are
    known of what was shown before.
    """

    def __init__(
        self,
        camera: Camera,
        source: Source[T],
        duration_s: float,
        period_s: float,
        preview: Callable[[float], Preview | None] | None = None,
    ) -> None:
        super().__init__(loop=camera.config.loop)
        self.duration_s = duration_s
        self._camera = camera
        self._source = source
        self._jump_s: float | None = None  # a seek that the reading thread has to make
        self._steps = 0  # frames still to be shown while paused
        # Of the reading thread alone:
        self._pending: tuple[float, T] | None = None
        self._held: Capture | None = None
        self._has_shown = False  # anything since the start, which a loop goes back to
        self._from_s = 0.0  # frames before this are left out after a seek
        self._most_early = 0
        self._shown_s = 0.0  # when a frame was shown last
        self._position_s = 0.0
        self._period_s = period_s
        self._previews = None if preview else Previews(duration_s)
        self._preview = preview or self._passed

    # ---- what a window does --------------------------------------------------------------------

    def play(self) -> None:
        """Go on; from the start where it had ended."""
        with self._changed:
            if self._is_paused and self._position_s >= self.duration_s - self._period_s / 2:
                self._jump_s = 0.0
            self._set_paused(False)

    def pause(self) -> None:
        """Hold the present frame."""
        with self._changed:
            self._set_paused(True)

    def seek(self, position_s: float) -> None:
        """Go to the frame at a time, kept within the recording; works while paused."""
        with self._changed:
            self._jump_s = min(max(position_s, 0.0), self.duration_s)
            self._changed.notify_all()

    def seek_frame(self, frame: int) -> None:
        """Go to a frame by its number, kept within the recording."""
        self.seek(frame * self._period_s)

    def step(self, frames: int = 1) -> None:
        """Pause and move by frames, backwards if negative."""
        with self._changed:
            self._set_paused(True)
            if frames < 0:
                self._jump_s = max(self._position_s + frames * self._period_s, 0.0)
            self._steps += max(frames, 0)

    @property
    def position_s(self) -> float:
        """Where the frame shown last stands."""
        return self._position_s

    @property
    def frame(self) -> int:
        """Number of the frame shown last, counted by its time."""
        return min(round(self._position_s / self._period_s), self.frames - 1)

    @property
    def frames(self) -> int:
        """How many there are, counted by the recording's length."""
        return round(self.duration_s / self._period_s) + 1

    def marks(self) -> tuple[Mark, ...]:
        """Return none: vendors' files have no place for them."""
        return ()

    def preview(self, position_s: float) -> Preview | None:
        """Return a small picture of the frame at a time, where one is to be had."""
        return self._preview(position_s)

    def _passed(self, position_s: float) -> Preview | None:
        return None if self._previews is None else self._previews.near(position_s)

    def _set_paused(self, value: bool) -> None:
        self._is_paused = value
        self._steps = 0
        self._halt()

    # ---- on the reading thread -----------------------------------------------------------------

    def read(self, timeout_s: float) -> Capture | None:
        """Return the next frame when it is due, None if that is not within ``timeout_s``.

        Raises:
            EndOfStreamError: the recording is over, and `loop` is off.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            capture = self._turn(deadline_s)
            if capture is not None or time.monotonic() >= deadline_s:
                return capture

    def _turn(self, deadline_s: float) -> Capture | None:
        self._obey_seek()
        if self._is_paused and not self._steps and self._held is not None:
            return self._hold(self._held, deadline_s)
        self._pending = self._pending or self._fetch(deadline_s)
        if self._pending is None:
            return None
        position_s, item = self._pending
        if not self._wait_until_due(position_s, deadline_s):
            return None
        self._pending = None
        if self._is_late(position_s):
            self._camera.missed["late"] += 1
            self._camera.forget_number()
            return None
        capture = self._source.play_show(item)
        if capture is not None:
            self._note(position_s, capture)
        return capture

    def _obey_seek(self) -> None:
        with self._changed:
            target_s, self._jump_s = self._jump_s, None
            if target_s is not None:
                self._steps = max(self._steps, 1)  # shows where it landed, also while paused
        if target_s is not None:
            self._restart(target_s)

    def _restart(self, position_s: float) -> None:
        self._pending = None  # first: SDKs' frames should not outlive what they came from
        self._source.play_seek(position_s)
        self._has_shown = position_s > 0
        self._from_s, self._most_early = position_s - self._period_s / 2, _MOST_EARLY
        with self._changed:
            self._halt()
        self._camera.forget_number()

    def _hold(self, held: Capture, deadline_s: float) -> Capture | None:
        with self._changed:
            until_s = min(deadline_s, self._shown_s + REPEAT_S)
            if self._jump_s is None and self._is_paused and not self._steps:
                self._changed.wait(max(0.0, until_s - time.monotonic()))
        now_s = time.monotonic()
        if self._jump_s is not None or self._steps or now_s < self._shown_s + REPEAT_S:
            return None
        self._shown_s = now_s
        return replace(held, arrival_ns=time.monotonic_ns())

    def _fetch(self, deadline_s: float) -> tuple[float, T] | None:
        try:
            got = self._source.play_fetch(max(0.0, deadline_s - time.monotonic()))
        except EndOfStreamError:
            if not self._goes_on():
                raise
            return None
        if got is None:
            return None
        if got[0] < self._from_s and self._most_early:
            self._most_early -= 1
            return None
        return got

    def _goes_on(self) -> bool:
        """At the end: hold the last frame while paused, or begin again; False to end."""
        if self._is_paused and self._held is not None:
            self._steps = 0
            return True
        if self.loop and self._has_shown:
            self._restart(0.0)
            return True
        if self._camera.config.hold and self._held is not None:
            self.pause()
            return True
        return False

    def _wait_until_due(self, position_s: float, deadline_s: float) -> bool:
        """Whether the frame is to be shown now; False when that changed or is after the end."""
        with self._changed:
            if self._steps or self._held is None or not self._camera.config.realtime:
                return True
            while self._jump_s is None and not self._is_paused:
                now_s = time.monotonic()
                due_s = self._shown_at_s(position_s)
                if due_s <= now_s:
                    return True
                if now_s >= deadline_s:
                    return False
                self._changed.wait(min(due_s, deadline_s) - now_s)
        return False

    def _shown_at_s(self, position_s: float) -> float:
        """Return when a frame is to be shown; the clock is set where it does not run."""
        gap = Gap(self._position_s, position_s - self._position_s)
        is_near = gap.length_s <= max(LONG_GAP_S, 3 * self._period_s)
        if self._runs and (is_near or self._at_s == position_s):
            return self._due_s(position_s)
        if self._runs:
            who = self._camera.info.address
            log.warning("%s: at %.1f s: %s; passed over", who, gap.position_s, gap)
        # One period after the last frame: a loop and a gap keep the rhythm.
        moment_s = max(time.monotonic(), self._shown_s + self._period_s / self._speed)
        self._run(position_s, moment_s)
        return moment_s

    def _is_late(self, position_s: float) -> bool:
        with self._changed:
            if not self._runs or not self._camera.config.realtime or self._steps:
                return False
            now_s = time.monotonic()
            if now_s - self._shown_at_s(position_s) <= _LATE_S:
                return False
            if now_s - self._shown_s < _MOST_SKIP_S:
                return True
            self._halt()  # this machine is too slow for the rate: play slower instead
            return False

    def _note(self, position_s: float, capture: Capture) -> None:
        self._position_s, self._shown_s = position_s, time.monotonic()
        self._has_shown, self._held = True, capture
        if self._previews is not None:
            self._previews.note(position_s, capture.color)
        with self._changed:
            self._steps = max(0, self._steps - 1)


class Pacer:
    """Hands out frame times at a fixed rate, for sources without a clock of their own.

    A consumer that comes late loses no rate as long as it is less than one period behind; after a
    longer pause the clock starts anew instead of delivering a burst.
    """

    def __init__(self, fps: float) -> None:
        self._period_s = 1.0 / fps
        self._due_s: float | None = None

    def wait(self, timeout_s: float) -> bool:
        """Sleep until the next frame is due; False if that is later than ``timeout_s`` from now."""
        now = time.monotonic()
        due = now if self._due_s is None else self._due_s
        if due - now > timeout_s:
            time.sleep(timeout_s)
            return False
        if due > now:
            time.sleep(due - now)
        late = now - due > self._period_s
        self._due_s = (now if late else due) + self._period_s
        return True
