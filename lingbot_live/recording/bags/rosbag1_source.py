"""A ROS 1 bag as a source of messages."""

from __future__ import annotations

import io
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lingbot_live.errors import BadRecordingError, CorruptRecordingError
from lingbot_live.recording.bags.order import Order, Times, in_order
from lingbot_live.recording.bags.rosbag1 import Bag, Entries, message_at
from lingbot_live.recording.foreign.messages import Channel, Data
from lingbot_live.recording.mcap.places import Budget
from lingbot_live.recording.mcap.records import MOST_TIME_NS

_CACHE_BYTES = 32 << 20


class Rosbag1Source:
    """The `MessageSource` of a bag; unpacks no more of it than what is asked for.

    Raises:
        BadRecordingError: it is no bag, was not closed, or is cut short.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._bag = Bag(path)
        self._entries, self.channels = _channels(self._bag)
        starts = self._bag.starts
        self._order: dict[int, Order] = in_order(
            {number: entries.times_ns for number, entries in self._entries.items()},
            {number: _places(entries, starts) for number, entries in self._entries.items()},
        )
        self._lock = threading.Lock()
        self._chunks: OrderedDict[int, bytes | None] = OrderedDict()
        self._file = path.open("rb")

    def times_ns(self, channel: int) -> Times:
        """Return when the messages were received, rising."""
        return self._order[channel].times_ns

    def payload(self, channel: int, row: int) -> Data:
        """Return one message; CorruptRecordingError where it is damaged."""
        return self._read(channel, int(self._order[channel].rows[row]), None)

    def heads(self, channels: Sequence[int], size: int) -> dict[int, list[Data]]:
        """Return how each message begins; chunk after chunk, so that each is unpacked once."""
        found: dict[int, list[Data]] = {c: [b""] * len(self._order[c].rows) for c in channels}
        wanted = [
            (int(self._entries[c].chunk[entry]), c, row, entry)
            for c in channels
            for row, entry in enumerate(self._order[c].rows.tolist())
        ]
        budget = Budget(self._bag.path.stat().st_size)
        for place, channel, row, entry in sorted(wanted):
            try:
                if place not in self._chunks:
                    budget.take(self._bag.chunk_bytes(self._file, place))
                found[channel][row] = self._read(channel, entry, size)
            except CorruptRecordingError:
                continue  # stays empty; whoever reads the message is told why
        return found

    def close(self) -> None:
        """Close the file; safe more than once."""
        with self._lock:
            self._file.close()
            self._chunks.clear()

    def _read(self, channel: int, entry: int, most: int | None) -> bytes:
        entries = self._entries[channel]
        place, offset = int(entries.chunk[entry]), int(entries.offset[entry])
        with self._lock:
            try:
                data = self._chunk(place)
                if data is not None:
                    return message_at(io.BytesIO(data), offset, most)
                start = self._bag.chunk_start(self._file, place)
                return message_at(self._file, start + offset, most)
            except (BadRecordingError, struct.error, ValueError, KeyError, IndexError) as error:
                raise CorruptRecordingError(
                    f"{self._bag.path}: a message is damaged ({error})"
                ) from error

    def _chunk(self, place: int) -> bytes | None:
        """Return a chunk unpacked, from what is kept of the last ones; None if it is not packed."""
        if place not in self._chunks:
            self._chunks[place] = self._bag.chunk_data(self._file, place)
            while sum(map(_size, self._chunks.values())) > _CACHE_BYTES and len(self._chunks) > 1:
                self._chunks.popitem(last=False)
        self._chunks.move_to_end(place)
        return self._chunks[place]


def _size(data: bytes | None) -> int:
    return 64 if data is None else len(data)


def _channels(bag: Bag) -> tuple[dict[int, Entries], list[Channel]]:
    """Return messages and channels by topic, which several nodes may have published on."""
    numbers: dict[tuple[str, str], list[Entries]] = {}
    for number, entries in bag.entries().items():
        one = bag.connections[number]
        if len(entries.times_ns):
            numbers.setdefault((one.topic, one.kind), []).append(entries)
    found, channels = {}, []
    for number, ((topic, kind), parts) in enumerate(numbers.items()):
        whole = Entries(
            np.concatenate([part.times_ns for part in parts]),
            np.concatenate([part.chunk for part in parts]),
            np.concatenate([part.offset for part in parts]),
        ).until(MOST_TIME_NS)
        found[number] = whole
        channels.append(Channel(number, topic, kind, "ros1", len(whole.times_ns)))
    return found, channels


def _places(entries: Entries, starts: Times) -> Times:
    """Return numbers that rise as the messages were written."""
    rank = np.argsort(np.argsort(starts)).astype(np.int64)
    return (rank[entries.chunk] << 32) + entries.offset
