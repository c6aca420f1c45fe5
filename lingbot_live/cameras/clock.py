"""The clock of every recording that is played: its position, its speed, and whether it stands."""

from __future__ import annotations

import threading
import time

from lingbot_live.errors import ConfigError

SLOWEST, FASTEST = 0.1, 4.0
REPEAT_S = 0.5  # a held frame comes again, so that a new refiner shows on it


class Clock:
    """A position in seconds that runs with the machine's clock; from any thread.

    It stands before `_run` and after `_halt`, and while it is paused. `_changed` is its lock, which
    is notified of every change; who builds on it holds it for calls that belong together.
    """

    def __init__(self, *, loop: bool = False) -> None:
        self.loop = loop  # whether the recording begins again at the end
        self._changed = threading.Condition()
        self._speed = 1.0
        self._is_paused = False
        self._at_s = 0.0  # where it stands, or stood at the moment
        self._moment_s: float | None = None  # None: it does not run

    @property
    def is_paused(self) -> bool:
        """Whether the recording holds the present frame."""
        return self._is_paused

    @property
    def speed(self) -> float:
        """1 is as it was recorded; `SLOWEST` to `FASTEST`."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if not SLOWEST <= value <= FASTEST:
            raise ConfigError(f"playback: speed {value:g} must lie in {SLOWEST:g} to {FASTEST:g}")
        with self._changed:
            self._move(self._now_s())
            self._speed = value

    @property
    def _runs(self) -> bool:
        return self._moment_s is not None

    def _now_s(self) -> float:
        """Return where it stands now."""
        if self._moment_s is None or self._is_paused:
            return self._at_s
        return self._at_s + (time.monotonic() - self._moment_s) * self._speed

    def _due_s(self, position_s: float) -> float:
        """Return when, on the machine's clock, a running one comes to a position."""
        moment_s = time.monotonic() if self._moment_s is None else self._moment_s
        return moment_s + (position_s - self._at_s) / self._speed

    def _run(self, position_s: float, moment_s: float) -> None:
        """Be at a position at a moment, and run."""
        self._at_s, self._moment_s = position_s, moment_s

    def _halt(self) -> None:
        """Stand until `_run`."""
        self._moment_s = None
        self._changed.notify_all()

    def _move(self, position_s: float) -> None:
        """Be at a position now, running or not as before."""
        self._at_s = position_s
        if self._moment_s is not None:
            self._moment_s = time.monotonic()
        self._changed.notify_all()
