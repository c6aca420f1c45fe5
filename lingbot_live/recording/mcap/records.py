"""Records of an MCAP file as bytes (mcap.dev/spec): opcodes, sizes, chunks unpacked with care."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import lz4.frame
import zstandard

from lingbot_live.errors import CorruptRecordingError

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
METADATA, DATA_END = 0x0C, 0x0F
MOST_CHUNK = 256 << 20  # bytes, unpacked; no writer comes near it
MOST_SMALL = 64 << 20  # bytes of any other record that is read as a whole
MOST_RECORDS = 1 << 20  # in one chunk
MOST_TIME_NS = (1 << 31) * 1_000_000_000  # in 2038 the seconds of ROS's stamps end
PREFIX = struct.Struct("<BQ")
CHUNK_HEAD = struct.Struct("<QQQII")  # first, last time, size, crc, length of compression's name
LONGEST_HEAD = 9 + CHUNK_HEAD.size + 4 + 8  # of a chunk, with its prefix, for the names known
FOOTER_SIZE = 9 + 20 + len(MAGIC)
_COMPRESSIONS = (b"", b"lz4", b"zstd")
# A chunk's opcode, a length below 2**40, times and sizes, the name of its compression.
CHUNK_START = re.compile(
    rb"\x06(?=.{5}\x00{3}.{28}(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd))", re.DOTALL
)


class ChunkHead(NamedTuple):
    """What a chunk says of itself before its records."""

    length: int  # of the whole record with its prefix
    first_ns: int
    last_ns: int
    size: int  # unpacked bytes
    crc: int  # of the unpacked bytes; 0: none
    compression: bytes
    packed: int  # bytes


def read_chunk_head(data: bytes, at: int = 0) -> ChunkHead | None:
    """Return the head of the chunk record at ``at``; None where its parts contradict each other."""
    if at + 9 + CHUNK_HEAD.size > len(data):
        return None
    opcode, length = PREFIX.unpack_from(data, at)
    first_ns, last_ns, size, crc, name_length = CHUNK_HEAD.unpack_from(data, at + 9)
    start = at + 9 + CHUNK_HEAD.size
    name = data[start : start + name_length] if name_length <= 4 else None
    if opcode != CHUNK or name not in _COMPRESSIONS or start + name_length + 8 > len(data):
        return None
    (packed,) = struct.unpack_from("<Q", data, start + name_length)
    if length != CHUNK_HEAD.size + name_length + 8 + packed or size > MOST_CHUNK:
        return None
    if not first_ns <= last_ns < 1 << 63 or (not name and size != packed):
        return None
    return ChunkHead(9 + length, first_ns, last_ns, size, crc, name, packed)


def unpack_chunk(record: bytes) -> bytes:
    """Return the records in a chunk ``record``, never more than it says.

    Raises:
        CorruptRecordingError: damaged, or packed in an unknown way.
    """
    head = read_chunk_head(record)
    if head is None or head.length != len(record):
        raise CorruptRecordingError("a chunk's sizes are wrong")
    data = _unpack(head.compression, memoryview(record)[head.length - head.packed :], head.size)
    if len(data) != head.size or (head.crc and zlib.crc32(data) != head.crc):
        raise CorruptRecordingError("a chunk's checksum differs")
    return data


def _unpack(name: bytes, packed: memoryview, size: int) -> bytes:
    if name == b"":
        return bytes(packed)
    try:
        if name == b"lz4":
            data: bytes = lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size)
            return data
        if name == b"zstd":
            with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
                content: bytes = reader.read(size)
            return content
    except (RuntimeError, MemoryError, zstandard.ZstdError) as error:
        raise CorruptRecordingError(f"a chunk cannot be unpacked ({error})") from error
    raise CorruptRecordingError(f"a chunk is packed as {name!r}, which is unknown")


def walk_messages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield channel, log time and offset of each message in an unpacked chunk."""
    for opcode, at, length in record_places(data):
        if opcode == MESSAGE and length >= 22:
            channel, _, time_ns = struct.unpack_from("<HIQ", data, at + 9)
            if time_ns < MOST_TIME_NS:
                yield channel, time_ns, at


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and body of each record; CorruptRecordingError where one does not fit."""
    for opcode, at, length in record_places(data):
        yield opcode, data[at + 9 : at + 9 + length]


def record_places(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield opcode, place and body length of each record, as `records`."""
    at, count = 0, 0
    while at + 9 <= len(data):
        opcode, length = PREFIX.unpack_from(data, at)
        count += 1
        if not opcode or length > len(data) - at - 9 or count > MOST_RECORDS:
            raise CorruptRecordingError("a record is longer than what holds it")
        yield opcode, at, length
        at += 9 + length
