"""A chunk on its way into a session file: gathered, packed on any thread, written as it is."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

import lz4.frame
from mcap.data_stream import RecordBuilder
from mcap.records import Channel, ChunkIndex, McapRecord, Schema

from lingbot_live.recording.mcap.records import CHUNK, CHUNK_HEAD, MESSAGE, MESSAGE_INDEX, PREFIX

_MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
# Depth packs a quarter larger than by LZ4's default, in half the time.
_LZ4_LEVEL = -12


@dataclass(slots=True)
class Chunk:
    """Records gathered so far; nothing is copied before `pack`."""

    records: list[bytes] = field(default_factory=list)
    size: int = 0
    messages: dict[int, list[int]] = field(default_factory=dict)  # channel: time, offset, ...
    first_ns: int = 1 << 62
    last_ns: int = 0

    def define(self, record: Schema | Channel) -> None:
        """Add a definition; it must come before the messages that need it."""
        self._add(record_bytes(record))

    def add(self, channel: int, sequence: int, log_ns: int, publish_ns: int, data: bytes) -> None:
        """Add a message."""
        self.messages.setdefault(channel, []).extend((log_ns, self.size))
        self.first_ns, self.last_ns = min(self.first_ns, log_ns), max(self.last_ns, log_ns)
        head = PREFIX.pack(MESSAGE, _MESSAGE.size + len(data))
        self._add(head + _MESSAGE.pack(channel, sequence, log_ns, publish_ns))
        self._add(data)

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
    """Compress a chunk by ``lz4`` or not at all (an empty text)."""
    plain = b"".join(chunk.records)
    data = lz4.frame.compress(plain, compression_level=_LZ4_LEVEL) if compression else plain
    name = compression.encode()
    head = CHUNK_HEAD.pack(
        chunk.first_ns, chunk.last_ns, len(plain), zlib.crc32(plain), len(name)
    ) + name + struct.pack("<Q", len(data))  # fmt: skip
    indexes, offsets = bytearray(), {}
    for channel, pairs in chunk.messages.items():
        offsets[channel] = len(indexes)
        indexes += PREFIX.pack(MESSAGE_INDEX, 6 + 8 * len(pairs))
        indexes += struct.pack(f"<HI{len(pairs)}Q", channel, 8 * len(pairs), *pairs)
    return PackedChunk(
        head=PREFIX.pack(CHUNK, len(head) + len(data)) + head,
        data=data,
        indexes=bytes(indexes),
        offsets=offsets,
        compression=compression,
        counts={channel: len(pairs) // 2 for channel, pairs in chunk.messages.items()},
        first_ns=chunk.first_ns,
        last_ns=chunk.last_ns,
        size=len(plain),
    )


def record_bytes(*records: McapRecord) -> bytes:
    """Return records as they stand in a file."""
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    made: bytes = builder.end()
    return made
