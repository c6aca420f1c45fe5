"""Messages of a session file by channel and row, from any thread, with the last chunks kept."""

from __future__ import annotations

import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.index import McapFile
from lingbot_live.recording.mcap.places import Entries, FileIndex
from lingbot_live.recording.mcap.records import MESSAGE

_CACHE_BYTES = 32 << 20


class MessageReader:
    """Random access to messages; memory stays bounded by the cache and the largest chunk.

    Raises:
        CorruptRecordingError: nothing in the file can be read.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = McapFile(path)
        self._lock = threading.Lock()
        self._chunks: OrderedDict[int, bytes] = OrderedDict()
        self._damaged: dict[int, str] = {}  # chunks that cannot be unpacked, and why
        self._cached = 0

    @property
    def index(self) -> FileIndex:
        """Where everything lies."""
        return self._file.index

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.size

    def entries(self, channel: int) -> Entries:
        """All messages of a channel, in order of log time."""
        return self.index.entries[channel]

    def payload(self, channel: int, row: int) -> memoryview:
        """Return a message's content.

        Raises:
            CorruptRecordingError: it lies in a damaged part of the file.
        """
        entries = self.entries(channel)
        time_ns, number = int(entries.times_ns[row]), int(entries.chunk[row])
        at = int(entries.offset[row])
        with self._lock:
            if number >= 0:
                data = self._chunk(number)
                return self._file.message(number, data, at, channel, time_ns)
            record = self._file.loose_message(at)
        if record[0] != MESSAGE or struct.unpack_from("<H", record, 9)[0] != channel:
            raise CorruptRecordingError(f"{self._file.path}: no message at byte {at}")
        return memoryview(record)[31:]

    def head(self, channel: int, row: int, size: int) -> bytes:
        """Return how a message's content begins, ``size`` bytes at most.

        In a chunk that is not packed only these are read, and no checksum is looked at.

        Raises:
            CorruptRecordingError: it lies in a damaged part of the file.
        """
        entries = self.entries(channel)
        number, at = int(entries.chunk[row]), int(entries.offset[row])
        with self._lock:
            start = self._start_unpacked(number)
            if start is not None:
                found = self._file.head(start + at, size, channel, int(entries.times_ns[row]))
                if found is not None:
                    return found
        return bytes(self.payload(channel, row)[:size])

    def _start_unpacked(self, number: int) -> int | None:
        """Return where a chunk's records lie in the file as they are; None where they do not."""
        if number < 0:
            return 0
        return None if number in self._chunks else self._file.unpacked(self.index.chunks[number])

    def close(self) -> None:
        """Close the file; safe more than once."""
        with self._lock:
            self._file.close()
            self._chunks.clear()

    def index_anew(self, numbers: Iterable[int]) -> None:
        """Index chunks by their content, where their own indexes are doubted."""
        with self._lock:
            for number in numbers:
                self._file.index_anew(number)

    def check(self, seconds: float | None) -> int:
        """Unpack chunks until the time is over, note damage, return how many were looked at."""
        started_s = time.monotonic()
        for number in range(len(self.index.chunks)):
            if seconds is not None and time.monotonic() - started_s > seconds:
                return number
            with self._lock, suppress(CorruptRecordingError):  # noted by `_chunk`
                self._chunk(number)
        return len(self.index.chunks)

    def _chunk(self, number: int) -> bytes:
        if number in self._chunks:
            self._chunks.move_to_end(number)
            return self._chunks[number]
        if number in self._damaged:
            raise CorruptRecordingError(self._damaged[number])
        place = self.index.chunks[number]
        # Made room for before, so that two large ones are never held.
        while self._chunks and self._cached + place.size > _CACHE_BYTES:
            self._cached -= len(self._chunks.popitem(last=False)[1])
        try:
            data = self._file.unpack(place)
        except CorruptRecordingError as error:
            self._damaged[number] = f"{self._file.path}: chunk at byte {place.start}: {error}"
            self.index.note(f"chunk at byte {place.start}: {error}")
            raise CorruptRecordingError(self._damaged[number]) from error
        self._chunks[number] = data
        self._cached += len(data)
        return data
