"""How a recording is steered while it plays, whatever it was made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Preview = npt.NDArray[np.uint8]  # (h, w, 3) RGB, small


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened while it was recorded: ``marker``, ``drop``, ``pause``..."""

    position_s: float
    kind: str
    text: str = ""  # of a marker, cause of a drop
    count: int = 0  # of dropped frames


class Playback(Protocol):
    """Play, pause, seek, step, speed and loop; everything from any thread, nothing waits.

    Times are seconds from the recording's first frame, frames are counted from 0. A `Camera` that
    plays a recording has one as its `playback` while it is open; that of an attached camera is
    None. While paused, the frame that is held comes again from time to time. `marks` and
    `preview` alone may take their time: call them from a thread.
    """

    loop: bool  # whether it begins again at the end
    speed: float  # 1 is as it was recorded; ConfigError outside 0.1 to 4

    def play(self) -> None:
        """Go on; from the start where it had ended."""

    def pause(self) -> None:
        """Hold the present frame."""

    def seek(self, position_s: float) -> None:
        """Go to the frame at a time, kept within the recording; works while paused."""

    def seek_frame(self, frame: int) -> None:
        """Go to a frame by its number, kept within the recording."""

    def step(self, frames: int = 1) -> None:
        """Pause and move by frames, backwards if negative."""

    @property
    def position_s(self) -> float:
        """Where the frame shown last stands."""

    @property
    def duration_s(self) -> float:
        """From the first frame to the last."""

    @property
    def frame(self) -> int:
        """Number of the frame shown last."""

    @property
    def frames(self) -> int:
        """How many there are."""

    @property
    def is_paused(self) -> bool:
        """Whether it holds the present frame."""

    def marks(self) -> tuple[Mark, ...]:
        """Return what happened while it was recorded, in order of time; read from the file."""

    def preview(self, position_s: float) -> Preview | None:
        """Return a small picture of the frame at a time, where one is to be had."""
