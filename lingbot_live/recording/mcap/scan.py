"""The index of an MCAP file, from whatever of it is whole (format: mcap.dev/spec).

The summary at the end of a whole file lists its chunks, and each chunk is followed by small
indexes of its messages, so that nothing is unpacked before it is asked for. Where any of this
disagrees, the file is walked record by record. What no record can be is passed over up to the next
chunk's head, and a chunk whose indexes are not whole is unpacked, which its checksum allows to
trust. So a damaged spot costs the chunk it lies in.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Channel, ChunkIndex, Schema

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.definitions import DEFINITIONS, define, put
from lingbot_live.recording.mcap.places import (
    Budget,
    ChunkPlace,
    FileIndex,
    Pairs,
    most_unpacked,
)
from lingbot_live.recording.mcap.records import (
    CHANNEL,
    CHUNK,
    CHUNK_INDEX,
    DATA_END,
    FOOTER,
    FOOTER_SIZE,
    HEADER,
    MAGIC,
    MESSAGE,
    MESSAGE_INDEX,
    MOST_SMALL,
    MOST_TIME_NS,
    PREFIX,
    SCHEMA,
    ChunkHead,
    record_places,
    records,
    unpack_chunk,
    walk_messages,
)
from lingbot_live.recording.mcap.source import ByteSource

log = logging.getLogger(__name__)

_UNREADABLE = 0  # in place of an opcode: bytes that no record can be
_KNOWN = range(HEADER, DATA_END + 1)
_PRIVATE = 0x80  # opcodes from here on are other programs' own
_DATA_END_HEAD = PREFIX.pack(DATA_END, 4)
_MOST_ENDS = 8  # places tried
_LONGEST = 1 << 40  # bytes of one record
_FAULTS = (CorruptRecordingError, McapError, struct.error, ValueError, OverflowError, EOFError)


def build_index(source: ByteSource, budget: Budget) -> FileIndex:
    """Return where everything lies.

    Raises:
        CorruptRecordingError: it is no MCAP file, or nothing in it can be read.
    """
    summary = _read_summary(source)
    index = _whole(source, summary, budget) if summary is not None else None
    if index is None:
        index = _Walk(source, summary, budget).run()
        if not index.entries:
            raise CorruptRecordingError(_nothing(source))
    _leave_out_traps(index, source.size)
    return index


def index_chunk(data: bytes) -> dict[int, Pairs]:
    """Return the messages by channel of an unpacked chunk."""
    found: dict[int, list[tuple[int, int]]] = {}
    for channel, time_ns, at in walk_messages(data):
        found.setdefault(channel, []).append((time_ns, at))
    return {channel: np.array(pairs, np.int64) for channel, pairs in found.items()}


def _nothing(source: ByteSource) -> str:
    if source.read_some(0, len(MAGIC)) != MAGIC:
        return f"{source.path}: not an MCAP file (its first bytes say so)"
    return f"{source.path}: no message can be read from it"


def _leave_out_traps(index: FileIndex, file_bytes: int) -> None:
    """Drop chunks that together unpack to more than a recording does."""
    total = np.cumsum([chunk.size for chunk in index.chunks])
    kept = int(np.searchsorted(total, most_unpacked(file_bytes), "right"))
    if kept == len(index.chunks):
        return
    index.note(f"{len(index.chunks) - kept} chunks are left out: they unpack to far too much")
    for number in range(kept, len(index.chunks)):
        index.replace(number, {})


# ---- a whole file ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Summary:
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)


def _read_summary(source: ByteSource) -> _Summary | None:
    try:
        data = _summary_bytes(source)
        summary = _Summary()
        for opcode, body in records(data):
            if opcode == CHUNK_INDEX:
                summary.chunks.append(ChunkIndex.read(_stream(body)))
            elif opcode == SCHEMA:
                put(summary.schemas, Schema.read(_stream(body)))
            elif opcode == CHANNEL:
                put(summary.channels, Channel.read(_stream(body)))
    except _FAULTS as error:
        log.debug("%s: no usable summary: %s", source.path, error)
        return None
    return summary


def _summary_bytes(source: ByteSource) -> bytes:
    tail_at = source.size - FOOTER_SIZE
    tail = source.read(tail_at, FOOTER_SIZE)
    opcode, length, start, _, crc = struct.unpack_from("<BQQQI", tail)
    if tail[-8:] != MAGIC or opcode != FOOTER or length != 20:
        raise CorruptRecordingError("the file has no end")
    if not start:
        raise CorruptRecordingError("the file has no summary")
    first = max(0, tail_at - MOST_SMALL)
    if first <= start < tail_at:
        summary = source.read(start, tail_at - start)
        if not crc or zlib.crc32(tail[:25], zlib.crc32(summary)) == crc:
            return summary
    # Where bytes are missing from the file, it begins before where the footer says.
    end = source.read(first, tail_at - first) if crc else b""
    for at in _data_ends(end):
        if zlib.crc32(tail[:25], zlib.crc32(end[at:])) == crc:
            return end[at:]
    raise CorruptRecordingError("the summary's checksum differs")


def _data_ends(data: bytes) -> Iterator[int]:
    """Yield the places behind what may be a data end record, the last first."""
    at = len(data)
    for _ in range(_MOST_ENDS):
        at = data.rfind(_DATA_END_HEAD, 0, at)
        if at < 0:
            return
        yield at + len(_DATA_END_HEAD) + 4


def _whole(source: ByteSource, summary: _Summary, budget: Budget) -> FileIndex | None:
    """Return the index by the summary; None where any of it does not fit the file."""
    index = FileIndex(schemas=dict(summary.schemas), channels=dict(summary.channels))
    try:
        _read_front(source, index)
        for entry in summary.chunks:
            if budget.is_spent:
                return None
            _add_indexed(source, entry, index)
        index.finish()
    except _FAULTS as error:
        log.debug("%s: walked, since its summary does not fit: %s", source.path, error)
        return None
    return index if index.entries else None


def _read_front(source: ByteSource, index: FileIndex) -> None:
    """Read the header and what else stands before the first chunk."""
    if source.read(0, len(MAGIC)) != MAGIC:
        raise CorruptRecordingError("its first bytes are wrong")
    at = len(MAGIC)
    while at + 9 <= source.size:
        opcode, length = PREFIX.unpack(source.read(at, 9))
        if opcode == _UNREADABLE:
            raise CorruptRecordingError("what stands before the chunks is damaged")
        if opcode in DEFINITIONS:
            define(index, opcode, source.read(at + 9, min(length, MOST_SMALL)))
        elif opcode in _KNOWN:
            return
        at += 9 + length


def _add_indexed(source: ByteSource, entry: ChunkIndex, index: FileIndex) -> None:
    head = source.chunk_at(entry.chunk_start_offset)
    told = entry.chunk_length, entry.message_start_time, entry.message_end_time
    if head is None or (head.length, head.first_ns, head.last_ns) != told:
        raise CorruptRecordingError("a chunk is not where the summary says")
    behind = source.read(entry.chunk_start_offset + head.length, entry.message_index_length)
    found = [_message_index(body) for opcode, body in records(behind) if opcode == MESSAGE_INDEX]
    if sorted(c for c, _ in found) != sorted(entry.message_index_offsets):
        raise CorruptRecordingError("a chunk's message indexes are not those of the summary")
    if not found or not _fits(found, head, index):
        raise CorruptRecordingError("a chunk's message indexes do not fit it")
    _add_chunk(index, entry.chunk_start_offset, head, dict(found))


# ---- any other file ----------------------------------------------------------------------------


class _Walk:
    """One pass over a file's records, past what is damaged."""

    def __init__(self, source: ByteSource, summary: _Summary | None, budget: Budget) -> None:
        self._source, self._summary, self._budget = source, summary, budget
        self._index = FileIndex()
        if summary is not None:
            self._index.schemas |= summary.schemas
            self._index.channels |= summary.channels
        self._chunk: tuple[int, ChunkHead] | None = None  # whose indexes are being gathered
        self._behind: list[tuple[int, Pairs]] = []
        self._is_torn = False  # whether the chunk's indexes are known to lack something

    def run(self) -> FileIndex:
        """Return what was found."""
        index, summary = self._index, self._summary
        for opcode, at, length in self._records():
            self._take(opcode, at, length)
        self._finish_chunk()
        if summary is None:
            is_closed = self._source.read_some(max(0, self._source.size - 8), 8) == MAGIC
            index.note("its summary is damaged" if is_closed else "it was not closed")
        elif len(index.chunks) < len(summary.chunks):
            lost = len(summary.chunks) - len(index.chunks)
            index.note(f"{lost} of {len(summary.chunks)} chunks are lost")
        index.finish()
        return index

    def _records(self) -> Iterator[tuple[int, int, int]]:
        """Yield opcode, place and body length of all that can be a record."""
        source, index = self._source, self._index
        at = len(MAGIC)
        if source.read_some(0, len(MAGIC)) != MAGIC:
            index.note("its first bytes are damaged")
            at = at if self._record_at(at)[0] == HEADER else 0
        while at < source.size and source.read_some(at, 9) != MAGIC:
            if self._budget.is_spent:
                index.note(f"looked through up to byte {at} of {source.size}; repair reads it all")
                return
            opcode, length = self._record_at(at)
            yield opcode, at, length
            if opcode != _UNREADABLE:
                at += 9 + length
                continue
            found = source.next_chunk(at + 1, self._budget)
            index.lost_bytes += (source.size if found is None else found) - at
            if found is None:
                index.note(f"it breaks off at byte {at} of {source.size}")
                return
            index.note(f"bytes {at} to {found} are damaged")
            at = found

    def _record_at(self, at: int) -> tuple[int, int]:
        """Return opcode and length of what lies at a place, `_UNREADABLE` where it is no record."""
        prefix = self._source.read_some(at, 9)
        opcode, length = PREFIX.unpack(prefix) if len(prefix) == 9 else (0, 0)
        if not opcode or length > self._source.size - at - 9:
            return _UNREADABLE, 0
        try:
            is_sound = self._is_sound(opcode, at, length)
        except _FAULTS:
            is_sound = False
        return (opcode, length) if is_sound else (_UNREADABLE, 0)

    def _is_sound(self, opcode: int, at: int, length: int) -> bool:
        source = self._source
        if opcode == CHUNK:
            return source.chunk_at(at) is not None
        if opcode == MESSAGE_INDEX:
            (size,) = struct.unpack_from("<I", source.read(at + 9, 6), 2)
            return bool(size == length - 6 and size % 16 == 0 and size <= MOST_SMALL)
        if opcode in DEFINITIONS:
            define(FileIndex(), opcode, source.read(at + 9, min(length, MOST_SMALL)))
            return True
        return self._is_plausible(at + 9 + length)

    def _is_plausible(self, at: int) -> bool:
        """Whether a record may begin at a place: nothing tells a damaged length but its end."""
        prefix = self._source.read_some(at, 9)
        if len(prefix) < 9:
            return True
        opcode, length = PREFIX.unpack(prefix)
        return bool((opcode in _KNOWN or opcode >= _PRIVATE) and length < _LONGEST)

    def _take(self, opcode: int, at: int, length: int) -> None:
        if opcode == MESSAGE_INDEX:
            self._take_index(at, length)
        elif self._chunk is not None and (opcode == MESSAGE or opcode not in _KNOWN):
            self._is_torn = True  # what was an index may look like either
        else:
            self._finish_chunk()
            self._take_other(opcode, at, length)

    def _take_index(self, at: int, length: int) -> None:
        if self._chunk is None:
            self._index.note(f"the chunk before byte {at} is damaged")
            return
        self._behind.append(_message_index(self._source.read(at + 9, length)))

    def _take_other(self, opcode: int, at: int, length: int) -> None:
        source, index = self._source, self._index
        if opcode == CHUNK:
            head = source.chunk_at(at)
            self._chunk = None if head is None else (at, head)
        elif opcode == MESSAGE and length >= 22 and not index.chunks:
            channel, _, time_ns = struct.unpack("<HIQ", source.read(at + 9, 14))
            if time_ns < MOST_TIME_NS:
                index.add(channel, -1, np.array([[time_ns, at]], np.int64))
        elif opcode in DEFINITIONS and not (self._is_past_data(opcode) and index.chunks):
            define(index, opcode, source.read(at + 9, length))

    def _is_past_data(self, opcode: int) -> bool:
        """Whether definitions come from a summary whose checksum was wrong."""
        return self._summary is None and opcode in (SCHEMA, CHANNEL)

    def _finish_chunk(self) -> None:
        """Add the chunk gathered; it is unpacked where its indexes are not whole."""
        if self._chunk is None:
            return
        (at, head), behind, is_torn = self._chunk, self._behind, self._is_torn
        self._chunk, self._behind, self._is_torn = None, [], False
        try:
            if is_torn or not _fits(behind, head, self._index):
                self._budget.take(head.size)
                found = self._unpacked(at, head)
                if behind and not _same(dict(behind), found):
                    self._index.note(f"the index of the chunk at byte {at} is damaged; made anew")
            else:
                found = dict(behind)
        except _FAULTS as error:
            self._index.note(f"chunk at byte {at}: {error}")
            self._index.lost_bytes += head.length
            return
        _add_chunk(self._index, at, head, found)

    def _unpacked(self, at: int, head: ChunkHead) -> dict[int, Pairs]:
        data = unpack_chunk(self._source.read(at, head.length))
        for opcode, place, length in record_places(data):
            if opcode in (SCHEMA, CHANNEL):
                define(self._index, opcode, data[place + 9 : place + 9 + length])
        return index_chunk(data)


# ---- both --------------------------------------------------------------------------------------


def _add_chunk(index: FileIndex, at: int, head: ChunkHead, found: dict[int, Pairs]) -> None:
    number = len(index.chunks)
    times = np.concatenate([pairs[:, 0] for pairs in found.values()] or [np.zeros(1, np.int64)])
    place = ChunkPlace(at, head.length, int(times.min()), int(times.max()), head.size)
    index.chunks.append(place)
    for channel, pairs in found.items():
        index.add(channel, number, pairs)


def _message_index(body: bytes) -> tuple[int, Pairs]:
    """Return a message index's channel and its times and offsets."""
    channel, length = struct.unpack_from("<HI", body)
    if length != len(body) - 6 or length % 16:
        raise CorruptRecordingError("a message index is damaged")
    return channel, np.frombuffer(body, "<i8", offset=6).reshape(-1, 2)


def _fits(found: list[tuple[int, Pairs]], head: ChunkHead, index: FileIndex) -> bool:
    """Whether message indexes name known channels, each once, and times and places of a chunk."""
    channels = {channel for channel, _ in found}
    if not found or len(channels) != len(found) or not channels <= index.channels.keys():
        return False
    pairs = np.concatenate([pairs for _, pairs in found])
    times, places = pairs[:, 0], pairs[:, 1]
    if not len(pairs) or times.min() < head.first_ns or times.max() > head.last_ns:
        return False
    return bool(places.min() >= 0 and places.max() <= head.size - 31) and (
        len(np.unique(places)) == len(places)
    )


def _same(a: dict[int, Pairs], b: dict[int, Pairs]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[c], b[c]) for c in a)


def _stream(body: bytes) -> ReadDataStream:
    return ReadDataStream(io.BytesIO(body))
