"""A chunk on its way into a session file: gathered, packed on any thread, written as it is."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Container
from dataclasses import dataclass, field

import lz4.frame
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.records import Channel, ChunkIndex, McapRecord, Schema

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.records import (
    CHUNK,
    CHUNK_HEAD,
    MESSAGE,
    MESSAGE_INDEX,
    PREFIX,
    read_chunk_head,
    walk_messages,
)

_MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
# Depth packs a quarter larger than by LZ4's default, in half the time.
_LZ4_LEVEL = -12
# Of RVL and JPEG nothing repeats, so what counts is coding single bytes; looking for repeats less
# often than the level does saves a third of its time and costs a twentieth of size.
_ZSTD = zstandard.ZstdCompressionParameters.from_level(1, min_match=7, hash_log=10)


@dataclass(slots=True)
class Chunk:
    """Records gathered so far; nothing is copied before `pack`."""

    records: list[bytes] = field(default_factory=list)
    size: int = 0
    messages: dict[int, list[int]] = field(default_factory=dict)  # channel: time, offset, ...

    def define(self, record: Schema | Channel) -> None:
        """Add a definition; it must come before the messages that need it."""
        self._add(record_bytes(record))

    def add(self, channel: int, sequence: int, log_ns: int, publish_ns: int, data: bytes) -> None:
        """Add a message."""
        self.messages.setdefault(channel, []).extend((log_ns, self.size))
        head = PREFIX.pack(MESSAGE, _MESSAGE.size + len(data))
        self._add(head + _MESSAGE.pack(channel, sequence, log_ns, publish_ns))
        self._add(data)

    def add_record(self, channel: int, record: bytes) -> None:
        """Add a message record as it stands in a file."""
        (log_ns,) = struct.unpack_from("<Q", record, PREFIX.size + 6)
        self.messages.setdefault(channel, []).extend((log_ns, self.size))
        self._add(record)

    def _add(self, data: bytes) -> None:
        self.records.append(data)
        self.size += len(data)


@dataclass(frozen=True, slots=True)
class PackedChunk:
    """The bytes of a chunk record and of the message indexes behind it."""

    head: bytes
    data: bytes
    indexes: bytes
    offsets: dict[int, int]  # of each channel's index, from the end of the chunk record
    compression: str
    counts: dict[int, int]  # messages by channel
    first_ns: int
    last_ns: int
    size: int

    @property
    def length(self) -> int:
        """Bytes of the chunk record."""
        return len(self.head) + len(self.data)

    def entry(self, start: int) -> ChunkIndex:
        """Return what the summary says of the chunk, once it lies at ``start``."""
        behind = start + self.length
        return ChunkIndex(
            chunk_length=self.length,
            chunk_start_offset=start,
            compression=self.compression,
            compressed_size=len(self.data),
            message_end_time=self.last_ns,
            message_index_length=len(self.indexes),
            message_index_offsets={c: behind + at for c, at in self.offsets.items()},
            message_start_time=self.first_ns,
            uncompressed_size=self.size,
        )


def pack(chunk: Chunk, compression: str) -> PackedChunk:
    """Compress a chunk by ``zstd``, ``lz4`` or not at all (an empty text)."""
    plain = b"".join(chunk.records)
    return _packed(plain, _COMPRESS[compression](plain), compression, chunk.messages)


def _lz4(plain: bytes) -> bytes:
    packed: bytes = lz4.frame.compress(plain, compression_level=_LZ4_LEVEL)
    return packed


def _zstd(plain: bytes) -> bytes:
    packed: bytes = zstandard.ZstdCompressor(compression_params=_ZSTD).compress(plain)
    return packed


_COMPRESS: dict[str, Callable[[bytes], bytes]] = {"zstd": _zstd, "lz4": _lz4, "": bytes}


def repacked(record: bytes, plain: bytes, channels: Container[int]) -> PackedChunk:
    """Return a whole chunk ``record`` of a file, ``plain`` when unpacked, for another file.

    All that no checksum covers is made anew from its content; it is not packed again.
    """
    messages: dict[int, list[int]] = {}
    for channel, time_ns, at in walk_messages(plain):
        if channel in channels:
            messages.setdefault(channel, []).extend((time_ns, at))
    head = read_chunk_head(record)
    if head is None:
        raise CorruptRecordingError("a chunk's sizes are wrong")
    return _packed(plain, record[head.length - head.packed :], head.compression.decode(), messages)


def _packed(
    plain: bytes, data: bytes, compression: str, messages: dict[int, list[int]]
) -> PackedChunk:
    name = compression.encode()
    times = [time_ns for pairs in messages.values() for time_ns in pairs[::2]]
    first_ns, last_ns = min(times, default=0), max(times, default=0)
    head = CHUNK_HEAD.pack(
        first_ns, last_ns, len(plain), zlib.crc32(plain), len(name)
    ) + name + struct.pack("<Q", len(data))  # fmt: skip
    indexes, offsets = bytearray(), {}
    for channel, pairs in messages.items():
        offsets[channel] = len(indexes)
        indexes += PREFIX.pack(MESSAGE_INDEX, 6 + 8 * len(pairs))
        indexes += struct.pack(f"<HI{len(pairs)}Q", channel, 8 * len(pairs), *pairs)
    return PackedChunk(
        head=PREFIX.pack(CHUNK, len(head) + len(data)) + head,
        data=data,
        indexes=bytes(indexes),
        offsets=offsets,
        compression=compression,
        counts={channel: len(pairs) // 2 for channel, pairs in messages.items()},
        first_ns=first_ns,
        last_ns=last_ns,
        size=len(plain),
    )


def record_bytes(*records: McapRecord) -> bytes:
    """Return records as they stand in a file."""
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    made: bytes = builder.end()
    return made
