"""Records of an MCAP file as bytes (mcap.dev/spec): opcodes, sizes, chunks unpacked with care."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import lz4.frame
import zstandard

from lingbot_live.errors import CorruptRecordingError

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
METADATA, DATA_END = 0x0C, 0x0F
MOST_CHUNK = 512 << 20  # bytes, unpacked; no writer comes near it
MOST_SMALL = 64 << 20  # bytes of any other record that is read as a whole
PREFIX = struct.Struct("<BQ")
CHUNK_HEAD = struct.Struct("<QQQII")  # first, last time, size, crc, length of compression's name
FOOTER_SIZE = 9 + 20 + len(MAGIC)


def unpack_chunk(body: bytes) -> bytes:
    """Return the records in a chunk's ``body``, never more than it says.

    Raises:
        CorruptRecordingError: damaged, or packed in an unknown way.
    """
    if len(body) < CHUNK_HEAD.size:
        raise CorruptRecordingError("a chunk ends too early")
    _, _, size, crc, name_length = CHUNK_HEAD.unpack_from(body)
    start = CHUNK_HEAD.size + name_length + 8
    if size > MOST_CHUNK or start > len(body):
        raise CorruptRecordingError("a chunk's sizes are wrong")
    name = body[CHUNK_HEAD.size : start - 8]
    packed = memoryview(body)[start:]
    if struct.unpack_from("<Q", body, start - 8)[0] != len(packed):
        raise CorruptRecordingError("a chunk's sizes are wrong")
    data = _unpack(name, packed, size)
    if len(data) != size or (crc and zlib.crc32(data) != crc):
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
            with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)) as reader:
                content: bytes = reader.read(size)
            return content
    except (RuntimeError, MemoryError, zstandard.ZstdError) as error:
        raise CorruptRecordingError(f"a chunk cannot be unpacked ({error})") from error
    raise CorruptRecordingError(f"a chunk is packed as {name!r}, which is unknown")


def walk_messages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield channel, log time and offset of each message in an unpacked chunk."""
    for opcode, at, length in record_places(data):
        if opcode == MESSAGE and length >= 22:
            channel, _, time_ns = struct.unpack_from("<HIq", data, at + 9)
            yield channel, time_ns, at


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and body of each record; CorruptRecordingError where one does not fit."""
    for opcode, at, length in record_places(data):
        yield opcode, data[at + 9 : at + 9 + length]


def record_places(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield opcode, place and body length of each record, as `records`."""
    at = 0
    while at + 9 <= len(data):
        opcode, length = PREFIX.unpack_from(data, at)
        if length > len(data) - at - 9:
            raise CorruptRecordingError("a record is longer than what holds it")
        yield opcode, at, length
        at += 9 + length
