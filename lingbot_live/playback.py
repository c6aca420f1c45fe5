"""How a recording is steered while it plays, whatever it was made with."""

from __future__ import annotations

from typing import Protocol


class Playback(Protocol):
    """Play, pause, seek, step, speed and loop; everything from any thread, nothing waits.

    Times are seconds from the recording's first frame. A `Camera` that plays a recording has one
    as its `playback` while it is open; that of an attached camera is None. While paused, the frame
    that is held comes again from time to time.
    """

    loop: bool  # whether it begins again at the end
    speed: float  # 1 is as it was recorded; ConfigError outside 0.1 to 4

    def play(self) -> None:
        """Go on; from the start where it had ended."""

    def pause(self) -> None:
        """Hold the present frame."""

    def seek(self, position_s: float) -> None:
        """Go to the frame at a time, kept within the recording; works while paused."""

    def step(self, frames: int = 1) -> None:
        """Pause and move by frames, backwards if negative."""

    @property
    def position_s(self) -> float:
        """Where the frame shown last stands."""

    @property
    def duration_s(self) -> float:
        """From the first frame to the last."""

    @property
    def is_paused(self) -> bool:
        """Whether it holds the present frame."""
