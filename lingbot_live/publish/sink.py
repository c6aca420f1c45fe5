"""What every kind of target offers to the publisher, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.recording.clock import Moment


class PublishState(str, Enum):
    """Where a publisher stands."""

    STARTING = "starting"
    PUBLISHING = "publishing"
    FAILED = "failed"
    STOPPED = "stopped"


class Level(str, Enum):
    """How grave a word of the log is."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Sink(Protocol):
    """Where frames go. All calls come from one thread, which may wait in them."""

    @property
    def where(self) -> str:
        """How a viewer finds it, in words."""

    @property
    def viewers(self) -> int | None:
        """How many look on; None where that cannot be known."""

    def is_ready(self) -> bool:
        """Whether it takes more now; may wait for a moment."""

    def frame(self, name: str, frame: Frame, moment: Moment) -> None:
        """Send a frame of a camera, which is called ``name`` there."""

    def refined(self, name: str, refined: RefinedFrame, moment: Moment) -> None:
        """Send a result."""

    def say(self, level: Level, text: str, time_ns: int) -> None:
        """Send a word of the log; time since 1970."""

    def close(self) -> None:
        """Send what is under way, and let go."""


@dataclass(frozen=True, slots=True)
class PublishStats:
    """A publisher's figures; cheap enough to ask for at every repaint."""

    target: str  # as the user wrote it
    state: PublishState
    where: str
    viewers: int | None
    frames: int
    refined: int
    drops: dict[str, int]  # by cause
    error: BaseException | None
