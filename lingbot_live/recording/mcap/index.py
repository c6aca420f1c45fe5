"""An MCAP file open for reading: its index, its chunks unpacked on demand, its messages."""

from __future__ import annotations

import struct
from pathlib import Path

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.places import Budget, ChunkPlace, FileIndex
from lingbot_live.recording.mcap.records import (
    CHUNK_HEAD,
    MESSAGE,
    MOST_CHUNK,
    PREFIX,
    unpack_chunk,
    walk_messages,
)
from lingbot_live.recording.mcap.scan import build_index, index_chunk
from lingbot_live.recording.mcap.source import ByteSource


class McapFile:
    """A file and its `index`. Not safe for several threads at once; `MessageReader` locks.

    With ``patient`` all of a damaged file is looked through, however long that takes.

    Raises:
        CorruptRecordingError: it is no MCAP file, or nothing in it can be read.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, *, patient: bool = False) -> None:
        self.path = path
        self._source = ByteSource(path)
        self.size = self._source.size
        self._budget = Budget(self.size, None) if patient else Budget(self.size)
        try:
            self.index: FileIndex = build_index(self._source, self._budget)
        except BaseException:
            self._source.close()
            raise

    def close(self) -> None:
        """Close the file; safe more than once."""
        self._source.close()

    def unpack(self, place: ChunkPlace) -> bytes:
        """Return a chunk's records, checked against its checksum.

        Raises:
            CorruptRecordingError: it is damaged.
        """
        return self.record(place)[1]

    def record(self, place: ChunkPlace) -> tuple[bytes, bytes]:
        """Return a chunk as it stands in the file, and unpacked as by `unpack`."""
        record = self._source.read(place.start, place.length)
        return record, unpack_chunk(record)

    def index_anew(self, number: int) -> None:
        """Index a chunk by its content, where its own index is doubted; say so if it was wrong."""
        place = self.index.chunks[number]
        try:
            self._budget.take(place.size)
            found = index_chunk(self.unpack(place))
        except CorruptRecordingError as error:
            self.index.note(f"chunk at byte {place.start}: {error}")
            return
        if self.index.replace(number, found):
            self.index.note(f"the index of the chunk at byte {place.start} is damaged; made anew")

    def message(self, number: int, data: bytes, at: int, channel: int, time_ns: int) -> memoryview:
        """Return a message's payload in an unpacked chunk, looked for where its index is wrong.

        Raises:
            CorruptRecordingError: it is not in the chunk.
        """
        if not _is_message(data, at, channel, time_ns):
            start = self.index.chunks[number].start
            self.index.note(f"the index of the chunk at byte {start} is damaged")
            found = (p for c, t, p in walk_messages(data) if (c, t) == (channel, time_ns))
            at = next(found, -1)
            if at < 0:
                raise CorruptRecordingError(f"{self.path}: an index points at no message")
        length = PREFIX.unpack_from(data, at)[1]
        return memoryview(data)[at + 31 : at + 9 + length]

    def unpacked(self, place: ChunkPlace) -> int | None:
        """Return where a chunk's records lie in the file as they are; None where it is packed."""
        head = self._source.read_some(place.start + 9, CHUNK_HEAD.size)
        if len(head) < CHUNK_HEAD.size or CHUNK_HEAD.unpack(head)[4]:
            return None
        return place.start + 9 + CHUNK_HEAD.size + 8

    def head(self, at: int, size: int, channel: int, time_ns: int) -> bytes | None:
        """Return the first ``size`` bytes of a message in the file; None where it is not there."""
        left = max(0, self.size - at)
        record = self._source.read_some(at, min(31 + size, left))
        if len(record) < 31:
            return None
        opcode, length = PREFIX.unpack_from(record)
        found, _, log_time = struct.unpack_from("<HIQ", record, 9)
        is_it = opcode == MESSAGE and length >= 22 and (found, log_time) == (channel, time_ns)
        return record[31 : 9 + length] if is_it else None

    def loose_message(self, at: int) -> bytes:
        """Return a message record that lies outside of chunks, with its prefix."""
        (_, length) = PREFIX.unpack(self._source.read(at, 9))
        return self._source.read(at, 9 + min(length, MOST_CHUNK))


def _is_message(data: bytes, at: int, channel: int, time_ns: int) -> bool:
    if not 0 <= at <= len(data) - 31:
        return False
    opcode, length = PREFIX.unpack_from(data, at)
    found, _, log_time = struct.unpack_from("<HIQ", data, at + 9)
    is_inside = 22 <= length <= len(data) - at - 9
    return bool(opcode == MESSAGE and is_inside and (found, log_time) == (channel, time_ns))
