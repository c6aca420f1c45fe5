"""Sessions refined in ranges of frames, anywhere and in any order, and joined in the end."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import RecordingError
from lingbot_live.recording.offline import refine_rows
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.repair import join
from lingbot_live.refiners.base import Refiner
from lingbot_live.system import remote
from lingbot_live.system.scratch import scratch_folder
from lingbot_live.system.writing import writing

RANGE = 100  # frames


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Frames ``first`` to ``end`` of a session, on their way into a file of their own."""

    source: str  # paths here, or addresses in a store
    out: str
    number: int
    count: int  # ranges of this session
    first: int
    end: int
    settings: tuple[tuple[str, str], ...]
    exact: bool = False

    @property
    def part(self) -> str:
        """The file of its frames; its name says of which work, so that no other is taken for it."""
        told = repr((self.source, self.settings, self.exact, self.count)).encode()
        key = hashlib.sha256(told).hexdigest()[:8]
        stem, dot, suffix = self.out.rpartition(".")
        return f"{stem}.{key}.range{self.number:04d}-of-{self.count:04d}{dot}{suffix}"

    def __str__(self) -> str:
        return f"{PurePosixPath(self.source).name} frames {self.first} to {self.end - 1}"


def split(
    source: str, out: str, config: RefinerConfig, exact: bool, size: int = RANGE
) -> list[FrameRange]:
    """Return the ranges of a session; a single one where frames are refined by those before.

    Raises:
        RecordingError: it cannot be read, or lingbot-live did not record it.
    """
    with Recording(remote.local_copy(source)) as recording:
        total = len(recording)
    size = total if config.steady else size
    firsts = range(0, total, size)
    settings = tuple((name, str(value)) for name, value in sorted(asdict(config).items()))
    return [
        FrameRange(source, out, n, len(firsts), first, min(first + size, total), settings, exact)
        for n, first in enumerate(firsts)
    ]


def refine_range(work: FrameRange, refiner: Refiner) -> int:
    """Refine a range's frames into its file, which appears whole; return how many were done now.

    None is done where the file is there already.
    """
    if remote.exists(work.part):
        return 0
    source = remote.local_copy(work.source)
    settings = {"source": work.source, "refiner": str(refiner.info)}
    place = Path(work.part) if not remote.is_remote(work.part) else source.parent / "range.mcap"
    with writing(place, RecordingError), scratch_folder(place) as folder:
        made = folder / place.name
        rows = range(work.first, work.end)
        refine_rows(source, made, refiner, settings, rows, work.exact, first=work.number == 0)
        remote.put(made, work.part)
    return work.end - work.first


def join_ranges(ranges: list[FrameRange]) -> str:
    """Put the files of all ranges of a session together, delete them, and return its address."""
    out = ranges[0].out
    parts = [remote.local_copy(work.part) for work in ranges]
    place = Path(out) if not remote.is_remote(out) else parts[0].parent / "joined.mcap"
    with writing(place, RecordingError), scratch_folder(place) as folder:
        join(parts, folder / place.name)
        remote.put(folder / place.name, out)
    for work in ranges:
        remote.remove(work.part)
    return out
