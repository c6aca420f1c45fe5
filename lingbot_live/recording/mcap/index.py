"""Where everything lies in an MCAP file, damaged or not (format: mcap.dev/spec).

The summary at the end of a whole file lists its chunks. Where it is missing or wrong, the file is
walked from its start; either way messages are found by the small index behind each chunk, so that
nothing is decompressed before it is asked for.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Channel, ChunkIndex, Metadata, Schema

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.records import (
    CHANNEL,
    CHUNK,
    CHUNK_HEAD,
    CHUNK_INDEX,
    DATA_END,
    FOOTER,
    FOOTER_SIZE,
    HEADER,
    MAGIC,
    MESSAGE,
    MESSAGE_INDEX,
    METADATA,
    MOST_CHUNK,
    MOST_SMALL,
    PREFIX,
    SCHEMA,
    record_places,
    records,
    unpack_chunk,
    walk_messages,
)

log = logging.getLogger(__name__)

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """One chunk record and the indexes behind it."""

    start: int  # of the record in the file
    length: int  # of the record with its 9-byte prefix
    index_length: int  # of the message indexes that follow
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
    end: int = 0  # where the last whole data record ends
    damage: list[str] = field(default_factory=list)  # in words; empty for a whole file


class _Collector:
    """Gathers raw message indexes by channel and turns them into arrays at the end."""

    def __init__(self) -> None:
        self._parts: dict[int, list[tuple[int, bytes]]] = {}

    def add(self, channel: int, chunk: int, pairs: bytes) -> None:
        self._parts.setdefault(channel, []).append((chunk, pairs))

    def entries(self) -> dict[int, Entries]:
        return {channel: _sorted(parts) for channel, parts in self._parts.items()}


def _sorted(parts: list[tuple[int, bytes]]) -> Entries:
    pairs = np.frombuffer(b"".join(data for _, data in parts), "<i8").reshape(-1, 2)
    chunk = np.repeat([number for number, _ in parts], [len(data) // 16 for _, data in parts])
    order = np.argsort(pairs[:, 0], kind="stable")
    return Entries(pairs[order, 0], chunk[order].astype(np.int64), pairs[order, 1])


class McapFile:
    """An MCAP file open for reading, its index built, its chunks unpacked on demand.

    Not safe for several threads at once; `Recording` locks around it.

    Raises:
        CorruptRecordingError: it is no MCAP file, or nothing in it can be read.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("rb")
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self.index = self._build()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file; safe more than once."""
        self._file.close()

    # ---- chunks and messages -----------------------------------------------------------------

    def unpack(self, place: ChunkPlace) -> bytes:
        """Return a chunk's records, checked against its checksum.

        Raises:
            CorruptRecordingError: it is damaged.
        """
        data = self.read(place.start, place.length)
        return unpack_chunk(data[9:])

    def packing(self, place: ChunkPlace) -> tuple[str, int]:
        """Return how a chunk is packed, and to how many bytes."""
        head = self.read(place.start, min(place.length, 256))[9:]
        name_length = CHUNK_HEAD.unpack_from(head)[4]
        name = head[CHUNK_HEAD.size : CHUNK_HEAD.size + name_length]
        return name.decode(), place.length - 9 - CHUNK_HEAD.size - name_length - 8

    def message(self, data: bytes, at: int, channel: int, time_ns: int) -> memoryview:
        """Return a message's payload in an unpacked chunk, checked against its index.

        Raises:
            CorruptRecordingError: something else lies there.
        """
        if 0 <= at <= len(data) - 31:
            opcode, length = PREFIX.unpack_from(data, at)
            found, _, log_time = struct.unpack_from("<HIq", data, at + 9)
            inside = 22 <= length <= len(data) - at - 9
            if opcode == MESSAGE and inside and (found, log_time) == (channel, time_ns):
                return memoryview(data)[at + 31 : at + 9 + length]
        raise CorruptRecordingError(f"{self.path}: an index points at no message")

    def loose_message(self, at: int) -> bytes:
        """Return a message record that lies outside of chunks, with its prefix."""
        (_, length) = PREFIX.unpack(self.read(at, 9))
        return self.read(at, 9 + min(length, MOST_CHUNK))

    def copy(self, start: int, length: int, out: BinaryIO) -> None:
        """Copy a stretch of the file to ``out`` in small pieces."""
        while length > 0:
            piece = self.read(start, min(length, 1 << 20))
            out.write(piece)
            start, length = start + len(piece), length - len(piece)

    # ---- the index ---------------------------------------------------------------------------

    def _build(self) -> FileIndex:
        if self.size < len(MAGIC) or self._read_some(0, len(MAGIC)) != MAGIC:
            raise CorruptRecordingError(f"{self.path}: not an MCAP file (its first bytes say so)")
        try:
            return self._from_summary()
        except (CorruptRecordingError, McapError, struct.error, ValueError) as error:
            log.debug("%s: no usable summary, walking the file: %s", self.path, error)
        index = self._walk()
        if not index.entries:
            raise CorruptRecordingError(f"{self.path}: no message can be read from it")
        return index

    def _from_summary(self) -> FileIndex:
        index, collector = FileIndex(), _Collector()
        summary_start, summary = self._summary()
        self._read_front(index)
        for opcode, body in records(summary):
            if opcode == CHUNK_INDEX:
                self._add_indexed(ChunkIndex.read(_stream(body)), index, collector)
            else:
                _note_definition(index, opcode, body)
        index.entries = collector.entries()
        if not index.entries or not set(index.entries) <= set(index.channels):
            raise CorruptRecordingError("the summary lists no messages, or unknown channels")
        index.end = summary_start
        return index

    def _summary(self) -> tuple[int, bytes]:
        tail_at = self.size - FOOTER_SIZE
        tail = self.read(tail_at, FOOTER_SIZE)
        opcode, length, start, _, crc = struct.unpack_from("<BQQQI", tail)
        if tail[-8:] != MAGIC or opcode != FOOTER or length != 20:
            raise CorruptRecordingError("the file has no end")
        if not 0 < start < tail_at:
            raise CorruptRecordingError("the file has no summary")
        summary = self.read(start, tail_at - start)
        if crc and zlib.crc32(tail[:25], zlib.crc32(summary)) != crc:
            raise CorruptRecordingError("the summary's checksum differs")
        return start, summary

    def _add_indexed(self, entry: ChunkIndex, index: FileIndex, collector: _Collector) -> None:
        place = self._chunk_at(entry.chunk_start_offset)
        same = (place.length, place.first_ns, place.last_ns) == (
            entry.chunk_length, entry.message_start_time, entry.message_end_time,
        )  # fmt: skip
        if not same or not entry.message_index_length:
            raise CorruptRecordingError("the summary does not fit the chunks")
        behind = self.read(place.start + place.length, entry.message_index_length)
        number = len(index.chunks)
        index.chunks.append(replace(place, index_length=len(behind)))
        for opcode, body in records(behind):
            if opcode == MESSAGE_INDEX:
                channel, pairs = _message_index(body)
                collector.add(channel, number, pairs)

    def _read_front(self, index: FileIndex) -> None:
        """Read the header and the metadata written before the first chunk."""
        for opcode, at, length in self._walk_records():
            if opcode not in (HEADER, METADATA, SCHEMA, CHANNEL):
                return
            _note_definition(index, opcode, self.read(at + 9, min(length, MOST_SMALL)))

    # ---- without a summary -------------------------------------------------------------------

    def _walk(self) -> FileIndex:
        index, collector = FileIndex(), _Collector()
        index.damage.append("it was not closed")
        index.end = len(MAGIC)
        pending: ChunkPlace | None = None
        behind: list[bytes] = []
        for opcode, at, length in self._walk_records(index):
            if opcode == MESSAGE_INDEX and pending is not None:
                behind.append(self.read(at + 9, min(length, MOST_SMALL)))
                continue
            self._finish_chunk(index, collector, pending, behind)
            pending, behind = None, []
            if opcode in (DATA_END, FOOTER):
                index.damage.append("its summary is damaged")
                break
            index.end = at + 9 + length
            pending = self._note_walked(index, collector, opcode, at, length)
        self._finish_chunk(index, collector, pending, behind)
        index.entries = {c: e for c, e in collector.entries().items() if c in index.channels}
        return index

    def _note_walked(
        self, index: FileIndex, collector: _Collector, opcode: int, at: int, length: int
    ) -> ChunkPlace | None:
        try:
            if opcode == CHUNK:
                return self._chunk_at(at)
            if opcode == MESSAGE:
                channel, _, time_ns = struct.unpack("<HIq", self.read(at + 9, 14))
                collector.add(channel, -1, struct.pack("<qq", time_ns, at))
            elif opcode in (HEADER, METADATA, SCHEMA, CHANNEL):
                _note_definition(index, opcode, self.read(at + 9, min(length, MOST_SMALL)))
        except (CorruptRecordingError, McapError, struct.error, ValueError) as error:
            index.damage.append(f"at byte {at}: {error}")
        return None

    def _finish_chunk(
        self,
        index: FileIndex,
        collector: _Collector,
        place: ChunkPlace | None,
        behind: list[bytes],
    ) -> None:
        """Add a walked chunk; it is unpacked only if its index is missing or names news."""
        if place is None:
            return
        number = len(index.chunks)
        try:
            rebuilt = not _fits(behind, place, index)
            if rebuilt:
                behind = _index_chunk(index, self.unpack(place))
            parsed = [_message_index(body) for body in behind]
        except (CorruptRecordingError, McapError, struct.error, ValueError) as error:
            index.damage.append(f"chunk at byte {place.start}: {error}")
            return
        for channel, pairs in parsed:
            collector.add(channel, number, pairs)
        length = 0 if rebuilt else sum(9 + len(body) for body in behind)
        index.chunks.append(replace(place, index_length=length))
        index.end = max(index.end, place.start + place.length + length)

    def _walk_records(self, index: FileIndex | None = None) -> Iterator[tuple[int, int, int]]:
        """Yield opcode, place and length of each whole record; note where the file breaks off."""
        at = len(MAGIC)
        while at < self.size:
            prefix = self._read_some(at, 9)
            opcode, length = PREFIX.unpack(prefix) if len(prefix) == 9 else (0, 0)
            if not 0 < opcode <= DATA_END or length > self.size - at - 9:
                if index is not None and prefix[:8] != MAGIC:
                    index.damage.append(f"it breaks off at byte {at} of {self.size}")
                return
            yield opcode, at, length
            at += 9 + length

    def _chunk_at(self, at: int) -> ChunkPlace:
        head = self.read(at, 9 + CHUNK_HEAD.size)
        opcode, length = PREFIX.unpack_from(head)
        first, last, size, _, _ = CHUNK_HEAD.unpack_from(head, 9)
        if opcode != CHUNK or length > self.size - at - 9 or size > MOST_CHUNK:
            raise CorruptRecordingError(f"no chunk at byte {at}")
        return ChunkPlace(at, 9 + length, 0, first, last, size)

    def read(self, at: int, length: int) -> bytes:
        """Return a stretch of the file; CorruptRecordingError where it is shorter."""
        data = self._read_some(at, length)
        if len(data) != length:
            raise CorruptRecordingError(f"{self.path}: it ends within a record")
        return data

    def _read_some(self, at: int, length: int) -> bytes:
        if at < 0 or length < 0 or length > self.size:
            raise CorruptRecordingError(f"{self.path}: a record lies outside the file")
        self._file.seek(at)
        return self._file.read(length)


def _index_chunk(index: FileIndex, data: bytes) -> list[bytes]:
    """Note the definitions in a chunk and return its message indexes, made anew."""
    found: dict[int, list[bytes]] = {}
    for opcode, at, length in record_places(data):
        if opcode in (SCHEMA, CHANNEL):
            _note_definition(index, opcode, data[at + 9 : at + 9 + length])
    for channel, time_ns, at in walk_messages(data):
        found.setdefault(channel, []).append(struct.pack("<qq", time_ns, at))
    return [
        struct.pack("<HI", channel, 16 * len(pairs)) + b"".join(pairs)
        for channel, pairs in found.items()
    ]


def _note_definition(index: FileIndex, opcode: int, body: bytes) -> None:
    if opcode == SCHEMA:
        schema = Schema.read(_stream(body))
        index.schemas[schema.id] = schema
    elif opcode == CHANNEL:
        channel = Channel.read(_stream(body))
        index.channels[channel.id] = channel
    elif opcode == METADATA:
        metadata = Metadata.read(_stream(body))
        index.metadata.append((metadata.name, metadata.metadata))
    elif opcode == HEADER:
        index.profile = _stream(body).read_prefixed_string()


def _message_index(body: bytes) -> tuple[int, bytes]:
    """Return a message index's channel and its pairs of time and offset, as bytes."""
    channel, length = struct.unpack_from("<HI", body)
    if length != len(body) - 6 or length % 16:
        raise CorruptRecordingError("a message index is damaged")
    return channel, body[6:]


def _fits(behind: list[bytes], place: ChunkPlace, index: FileIndex) -> bool:
    """Whether a chunk's message indexes are whole, name known channels, and are its own."""
    try:
        parsed = [_message_index(body) for body in behind]
    except (CorruptRecordingError, struct.error):
        return False
    times = np.frombuffer(b"".join(pairs for _, pairs in parsed), "<i8")[::2]
    inside = ((times >= place.first_ns) & (times <= place.last_ns)).all()
    return bool(len(times) and inside and {c for c, _ in parsed} <= set(index.channels))


def _stream(body: bytes) -> ReadDataStream:
    return ReadDataStream(io.BytesIO(body))
