"""The figures of a session as records, and as the plain data that files and scripts read."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lingbot_live.pipeline.stats import FeedFigures
from lingbot_live.system.outputs import MARK


@dataclass(frozen=True, slots=True)
class RefinerFigures:
    """What refines, as far as it is known."""

    state: str
    error: str | None
    name: str | None
    device: str | None
    precision: str | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """How one camera of a session fares."""

    state: str
    error: str | None
    camera: str | None  # its name, once it was found
    serial: str | None
    figures: FeedFigures


@dataclass(frozen=True, slots=True)
class SessionStats:
    """How a session fares; ``feeds`` are by address."""

    duration_s: float
    refiner: RefinerFigures
    feeds: dict[str, CameraFigures]

    def as_dict(self) -> dict[str, object]:
        """Return plain data, ready for JSON; a camera's figures lie flat beside its state."""
        feeds = {}
        for name, feed in self.feeds.items():
            told = asdict(feed)
            figures = told.pop("figures")
            feeds[name] = {**told, **figures}
        refiner = asdict(self.refiner)
        return {"app": MARK, "duration_s": self.duration_s, "refiner": refiner, "feeds": feeds}
