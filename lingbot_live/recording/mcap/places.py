"""Where everything lies in an MCAP file: chunks, messages by channel, and what is damaged."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from mcap.records import Channel, Schema

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.records import MOST_TIME_NS

Times = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]  # (N, 2): log time, offset in the unpacked chunk or in the file

_MOST_DAMAGE = 20  # lines
_FREE_BYTES, _UNPACKED_SHARE = 2 << 30, 64
_OPEN_S = 6.0


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """One chunk record; its times are those of its messages."""

    start: int  # of the record in the file
    length: int  # of the record with its 9-byte prefix
    first_ns: int
    last_ns: int
    size: int  # unpacked bytes


@dataclass(slots=True)
class Entries:
    """All messages of one channel, in order of time."""

    times_ns: Times  # (N,) log time
    chunk: npt.NDArray[np.int64]  # (N,) number of the chunk; -1: outside of chunks
    offset: npt.NDArray[np.int64]  # (N,) in the unpacked chunk, or in the file

    def __len__(self) -> int:
        return len(self.times_ns)


@dataclass(slots=True)
class FileIndex:
    """What an MCAP file holds and where."""

    profile: str = ""
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkPlace] = field(default_factory=list)
    entries: dict[int, Entries] = field(default_factory=dict)  # by channel id
    metadata: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)  # in words; empty for a whole file
    lost_bytes: int = 0  # that belong to nothing that can be read
    _parts: dict[int, list[tuple[int, Pairs]]] = field(default_factory=dict)

    def add(self, channel: int, chunk: int, pairs: Pairs) -> None:
        """Add messages of a channel in a chunk, to be sorted by `finish`."""
        is_time = (pairs[:, 0] >= 0) & (pairs[:, 0] < MOST_TIME_NS)
        if not is_time.all():
            self.note("messages at times that no clock tells are left out")
            pairs = pairs[is_time]
        self._parts.setdefault(channel, []).append((chunk, pairs))

    def finish(self) -> None:
        """Sort what was added into `entries`; messages of unknown channels are left out."""
        known = {c: parts for c, parts in self._parts.items() if c in self.channels}
        self.entries = {c: e for c, parts in known.items() if len(e := _sorted(parts))}
        self._parts = {}

    def replace(self, chunk: int, found: dict[int, Pairs]) -> bool:
        """Give a chunk new messages by channel; False where they are those that it had."""
        before = {c: pairs for c, e in self.entries.items() if len(pairs := _pairs_of(e, chunk))}
        found = {c: pairs for c, pairs in found.items() if c in self.channels}
        if before.keys() == found.keys() and all(
            np.array_equal(_by_offset(before[c]), _by_offset(found[c])) for c in found
        ):
            return False
        for channel in before.keys() | found.keys():
            old = self.entries.get(channel)
            parts = [] if old is None else _without(old, chunk)
            self._parts[channel] = [*parts, (chunk, found.get(channel, np.empty((0, 2), np.int64)))]
        self.entries |= {c: _sorted(parts) for c, parts in self._parts.items()}
        self.entries = {c: e for c, e in self.entries.items() if len(e)}
        self._parts = {}
        return True

    def note(self, text: str) -> None:
        """Say what is damaged, once, and no more than a screenful."""
        if text in self.damage or len(self.damage) > _MOST_DAMAGE:
            return
        self.damage.append(text if len(self.damage) < _MOST_DAMAGE else "and more of the same kind")


class Budget:
    """What looking through a file may cost, so that a small one made to be costly ends soon.

    ``seconds`` are the thread's own, of the processor: a slow disk is not the file's doing. None
    sets no end, for who asked for all that can be had.
    """

    def __init__(self, file_bytes: int, seconds: float | None = _OPEN_S) -> None:
        self._end_s = None if seconds is None else time.thread_time() + seconds
        self._bytes = most_unpacked(file_bytes)

    @property
    def is_spent(self) -> bool:
        """Whether the time is over."""
        return self._end_s is not None and time.thread_time() > self._end_s

    def take(self, size: int) -> None:
        """Allow ``size`` more bytes to be unpacked, or raise CorruptRecordingError."""
        if self.is_spent or size > self._bytes:
            raise CorruptRecordingError("looking through it takes too long; repair does")
        self._bytes -= size


def most_unpacked(file_bytes: int) -> int:
    """Return how many bytes a file may unpack to before it is taken for a trap."""
    return _FREE_BYTES + _UNPACKED_SHARE * file_bytes


def _sorted(parts: list[tuple[int, Pairs]]) -> Entries:
    pairs = np.concatenate([data for _, data in parts])
    chunk = np.repeat([number for number, _ in parts], [len(data) for _, data in parts])
    order = np.argsort(pairs[:, 0], kind="stable")
    return Entries(pairs[order, 0], chunk[order].astype(np.int64), pairs[order, 1])


def _pairs_of(entries: Entries, chunk: int) -> Pairs:
    rows = entries.chunk == chunk
    return np.stack((entries.times_ns[rows], entries.offset[rows]), axis=1)


def _without(entries: Entries, chunk: int) -> list[tuple[int, Pairs]]:
    """Return the messages of all other chunks, as `FileIndex.add` takes them."""
    others = entries.chunk != chunk
    pairs = np.stack((entries.times_ns[others], entries.offset[others]), axis=1)
    numbers = entries.chunk[others]
    return [(int(number), pairs[numbers == number]) for number in np.unique(numbers)]


def _by_offset(pairs: Pairs) -> Pairs:
    return pairs[np.argsort(pairs[:, 1], kind="stable")]
