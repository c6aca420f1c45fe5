"""What a recorder is told, what it tells, and what it needs of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from lingbot_live.cameras.base import CameraInfo, CameraState
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Tap

COMPRESSIONS = ("zstd", "lz4", "none")
COLORS = ("jpeg", "h264", "h265", "av1")
MOST_PRE_TRIGGER_S = 600.0
_SPLIT_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class RecorderState(str, Enum):
    """Where a recorder stands."""

    READY = "ready"
    RECORDING = "recording"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"


class FeedLike(Protocol):
    """What a recorder reads of a `lingbot_live.pipeline.session.Feed`."""

    @property
    def name(self) -> str:
        """Of the feed's camera."""

    @property
    def info(self) -> CameraInfo | None:
        """What the driver says of it."""

    @property
    def state(self) -> CameraState:
        """Where its camera stands."""

    @property
    def error(self) -> BaseException | None:
        """Why it is not streaming, if it is not."""

    @property
    def lost(self) -> Mapping[str, int]:
        """Frames that were not captured or not refined, by cause."""


class TapSource(Protocol):
    """What a recorder needs of a `lingbot_live.pipeline.session.Session`."""

    @property
    def feeds(self) -> Sequence[FeedLike]:
        """All cameras."""

    def add_tap(self, tap: Tap) -> None:
        """Show ``tap`` every frame and result from now on."""

    def remove_tap(self, tap: Tap) -> None:
        """Stop that."""


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """How a session is recorded."""

    refined: bool = True  # False: raw only
    trust: bool = False  # with refined depth how far each pixel can be trusted
    lossless: bool = False  # colour as it is in place of JPEG, refined depth unrounded
    quality: int = 95  # of JPEG, 1 to 100
    color: str = "jpeg"  # or a codec of video.py: a tenth as large, its pictures not independent
    compression: str = "zstd"  # of chunks; "none" costs the least time
    split_bytes: int | None = None  # begin a new file after so many bytes
    split_s: float | None = None  # or seconds
    queue_bytes: int = 256 << 20  # frames held while the disk is busy
    pre_trigger_s: float = 0.0  # how far back a recording begins; see `PreTrigger`
    pre_trigger_bytes: int = 512 << 20  # and at most so much of it, encoded

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"recorder: quality {self.quality} must lie in 1 to 100")
        if self.color not in COLORS:
            raise ConfigError(f"recorder: colour {self.color!r}; known: {', '.join(COLORS)}")
        if self.color != "jpeg" and (self.lossless or self.split_bytes or self.split_s):
            raise ConfigError(
                f"recorder: colour as {self.color} is neither lossless nor split: pictures need "
                "those before them; choose one"
            )
        if self.compression not in COMPRESSIONS:
            known = ", ".join(COMPRESSIONS)
            raise ConfigError(f"recorder: compression {self.compression!r}; known: {known}")
        if not 0 <= self.pre_trigger_s <= MOST_PRE_TRIGGER_S:
            raise ConfigError(
                f"recorder: pre-trigger {self.pre_trigger_s:g} s must lie in 0 to "
                f"{MOST_PRE_TRIGGER_S:g}"
            )
        for name in ("split_bytes", "split_s", "queue_bytes", "pre_trigger_bytes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"recorder: {name} {value} must be positive")


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """A recording's figures; cheap enough to ask for at every repaint."""

    state: RecorderState
    path: Path  # of the file being written
    parts: int  # files so far
    elapsed_s: float  # without pauses
    bytes_written: int  # in all files
    bytes_per_s: float  # over the last seconds
    frames: int
    refined: int
    drops: dict[str, int]  # by cause: frames that are not in the file and should be
    queued: int  # frames, results and events that wait for the disk
    minutes_left: float | None  # until the disk is full at this rate; None while unknown
    is_space_low: bool  # less than 5 minutes
    warnings: tuple[str, ...]  # what other programs did to the files, in words
    error: BaseException | None


def parse_split(text: str) -> tuple[int | None, float | None]:
    """Return bytes or seconds of ``4G``, ``500M``, ``10min``, ``30s`` or ``1h``.

    Raises:
        ConfigError: it is none of these.
    """
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(number) :].lower()
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    seconds = {"s": 1, "min": 60, "h": 3600}.get(unit)
    size = _SPLIT_UNITS.get(unit.removesuffix("b"))
    if value <= 0 or (seconds is None and size is None):
        raise ConfigError(f"split {text!r}: write a size or a time, such as 4G, 500M, 10min, 30s")
    return (None, value * seconds) if seconds is not None else (int(value * (size or 1)), None)
