"""ROS 1 bags read without ROS, by their index (format: wiki.ros.org/Bags/Format/2.0)."""

from __future__ import annotations

import bz2
import contextlib
import heapq
import io
import struct
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import lz4.frame
import numpy as np
import numpy.typing as npt

from lingbot_live.errors import BadRecordingError

MAGIC = b"#ROSBAG V2.0\n"
CHUNK = 5  # op codes
MOST_CHUNK = 256 << 20  # bytes, unpacked; a writer ends one where it has a message in it
_MESSAGE, _INDEX, _CHUNK_INFO, _CONNECTION = 2, 4, 6, 7
_UNPACK: dict[bytes, Callable[[], Any]] = {
    b"lz4": lz4.frame.LZ4FrameDecompressor,
    b"bz2": bz2.BZ2Decompressor,
}
_ENTRY = np.dtype([("seconds", "<u4"), ("rest_ns", "<u4"), ("offset", "<u4")])

Fields = dict[bytes, bytes]


class Message(NamedTuple):
    """One message of a topic, as it lies in the file."""

    time_ns: int
    topic: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Connection:
    """One publisher of a topic."""

    topic: str
    kind: str  # of its messages, such as sensor_msgs/Image


@dataclass(frozen=True, slots=True)
class Entries:
    """Messages of one connection, in the file's order."""

    times_ns: npt.NDArray[np.int64]  # (N,)
    chunk: npt.NDArray[np.int64]  # (N,) place in the list of chunks
    offset: npt.NDArray[np.int64]  # (N,) in the unpacked chunk

    def until(self, time_ns: int) -> Entries:
        """Return those before a time; beyond any that a clock tells, a message is damaged."""
        kept = self.times_ns < time_ns
        return Entries(self.times_ns[kept], self.chunk[kept], self.offset[kept])


@dataclass(frozen=True)
class _Chunk:
    at: int  # in the file
    start_ns: int  # of all its messages
    end_ns: int
    counts: dict[int, int]  # of messages by connection


class Bag:
    """The index of a bag that was closed properly, and its messages. Keeps no file open.

    Raises:
        BadRecordingError: from each call, where it is no bag, was not closed, or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: dict[int, Connection] = {}
        self._chunks: list[_Chunk] = []
        with _explained(path), path.open("rb") as file:
            self._read_index(file)
        self._chunks.sort(key=lambda chunk: chunk.start_ns)

    @property
    def topics(self) -> set[str]:
        """Names of what it holds."""
        return {connection.topic for connection in self.connections.values()}

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each chunk begins in the file, in the order that `Entries.chunk` counts."""
        return np.array([chunk.at for chunk in self._chunks], np.int64)

    def counts(self) -> dict[str, int]:
        """Return the number of messages of each topic."""
        found: Counter[int] = Counter()
        for chunk in self._chunks:
            found.update(chunk.counts)
        counts = dict.fromkeys(sorted(self.topics), 0)
        for number, connection in self.connections.items():
            counts[connection.topic] += found[number]
        return counts

    def check_packing(self) -> None:
        """Refuse what the SDKs crash on: they read plain chunks and those packed with LZ4.

        Raises:
            BadRecordingError: a chunk is packed in another way.
        """
        with _explained(self.path), self.path.open("rb") as file:
            packings = {_chunk_at(file, chunk)[0][b"compression"] for chunk in self._chunks}
        for packing in sorted(packings - {b"none", b"lz4"}):
            raise BadRecordingError(
                f"{self.path}: the SDK cannot read {packing.decode('utf-8', 'replace')}; "
                "rewrite it with `rosbag decompress`"
            )

    def start_ns(self, topics: Collection[str]) -> int | None:
        """Return the time of the first message of some topics; None without any."""
        with contextlib.closing(self.messages(topics)) as found:
            first = next(found, None)
        return None if first is None else first.time_ns

    def end_ns(self, topics: Collection[str]) -> int:
        """Return the time of the last message of some topics; 0 without any."""
        wanted, last_ns = self._numbers(topics), 0
        with _explained(self.path), self.path.open("rb") as file:
            for chunk in sorted(self._holding(wanted), key=lambda chunk: -chunk.end_ns):
                if chunk.end_ns > last_ns:  # which may be of another topic
                    times = (fields[b"time"] for fields, *_ in _messages(file, chunk, wanted))
                    last_ns = max(last_ns, *map(_time_ns, times))
        return last_ns

    def messages(self, topics: Collection[str], from_ns: int = 0) -> Generator[Message, None, None]:
        """Yield the messages of some topics from a time on, ordered by time.

        They are read chunk by chunk, as they are asked for.
        """
        wanted, ahead = self._numbers(topics), list[Message]()
        with _explained(self.path), self.path.open("rb") as file:
            for chunk in self._holding(wanted):
                if chunk.end_ns < from_ns:
                    continue
                while ahead and ahead[0].time_ns < chunk.start_ns:
                    yield heapq.heappop(ahead)
                for fields, source, size in _messages(file, chunk, wanted):
                    time_ns = _time_ns(fields[b"time"])
                    topic = self.connections[_number(fields)].topic
                    if time_ns >= from_ns:
                        heapq.heappush(ahead, Message(time_ns, topic, source.read(size)))
            while ahead:
                yield heapq.heappop(ahead)

    def entries(self) -> dict[int, Entries]:
        """Return where all messages lie, by connection; reads the index behind each chunk."""
        parts: dict[int, list[tuple[int, bytes]]] = {number: [] for number in self.connections}
        with _explained(self.path), self.path.open("rb") as file:
            for place, chunk in enumerate(self._chunks):
                for number, pairs in _indexes(file, chunk):
                    parts[number].append((place, pairs))
            return {number: _entries(found) for number, found in parts.items()}

    def chunk_data(self, file: BinaryIO, place: int) -> bytes | None:
        """Return a chunk unpacked; None where it lies unpacked in the file, at `chunk_start`."""
        with _explained(self.path):
            fields, size = _chunk_at(file, self._chunks[place])
            return None if fields[b"compression"] == b"none" else _unpacked(file, fields, size)

    def chunk_bytes(self, file: BinaryIO, place: int) -> int:
        """Return how many bytes a chunk says that it unpacks to."""
        with _explained(self.path):
            fields, _ = _chunk_at(file, self._chunks[place])
            packed = fields[b"compression"] != b"none"
            return int(struct.unpack("<I", fields[b"size"])[0]) if packed else 0

    def chunk_start(self, file: BinaryIO, place: int) -> int:
        """Return where the content of a chunk begins in the file."""
        with _explained(self.path):
            _chunk_at(file, self._chunks[place])
            return file.tell()

    def _numbers(self, topics: Collection[str]) -> set[int]:
        return {number for number, one in self.connections.items() if one.topic in topics}

    def _holding(self, wanted: set[int]) -> list[_Chunk]:
        return [chunk for chunk in self._chunks if not wanted.isdisjoint(chunk.counts)]

    def _read_index(self, file: BinaryIO) -> None:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadRecordingError(
                f"{self.path}: not a ROS bag (its first bytes say so); choose another"
            )
        end = file.seek(0, io.SEEK_END)
        file.seek(len(MAGIC))
        (index_pos,) = struct.unpack("<Q", _header(file, end)[b"index_pos"])
        if index_pos == 0:
            raise BadRecordingError(
                f"{self.path}: the bag was never closed; repair it with `rosbag reindex`"
            )
        if file.seek(index_pos) >= end:
            raise ValueError("the index is missing")
        for fields, size in records(file, end):
            if b"topic" in fields:
                self.connections[_number(fields)] = _connection(fields, file.read(size))
            elif fields[b"op"][0] == _CHUNK_INFO:
                times_ns = _time_ns(fields[b"start_time"]), _time_ns(fields[b"end_time"])
                counts = dict(struct.iter_unpack("<II", file.read(size)))
                (at,) = struct.unpack("<Q", fields[b"chunk_pos"])
                self._chunks.append(_Chunk(at, *times_ns, counts))


def records(file: BinaryIO, end: int) -> Iterator[tuple[Fields, int]]:
    """Step over the records up to ``end``: yield each one's fields and the size of its data.

    At a yield the file stands at these data, which may be read or left.

    Raises:
        ValueError: a record is broken, or reaches past the end.
        struct.error: one is cut short.
    """
    while file.tell() < end:
        fields = _header(file, end)
        (size,) = struct.unpack("<I", file.read(4))
        after = file.tell() + size
        if after > end:
            raise ValueError("a record reaches past its end")
        yield fields, size
        file.seek(after)


def _header(file: BinaryIO, end: int) -> Fields:
    (size,) = struct.unpack("<I", file.read(4))
    if file.tell() + size > end:
        raise ValueError("a header reaches past its end")
    return _parsed(file.read(size))


def _parsed(data: bytes) -> Fields:
    """Return the fields of a header."""
    fields, at = {}, 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        name, sign, value = data[at + 4 : at + 4 + length].partition(b"=")
        if not sign or at + 4 + length > len(data):
            raise ValueError("a header's field is broken")
        fields[name] = value
        at += 4 + length
    return fields


def _chunk_at(file: BinaryIO, chunk: _Chunk) -> tuple[Fields, int]:
    """Return a chunk's fields and the size of its data, where the file then stands."""
    end = file.seek(0, io.SEEK_END)
    file.seek(chunk.at)
    return next(records(file, end))


def _messages(
    file: BinaryIO, chunk: _Chunk, wanted: set[int]
) -> Iterator[tuple[Fields, BinaryIO, int]]:
    """Yield the wanted messages of a chunk: fields, where the data are to be read, their size."""
    fields, size = _chunk_at(file, chunk)
    source, end = file, file.tell() + size
    if fields[b"compression"] != b"none":
        data = _unpacked(file, fields, size)
        source, end = io.BytesIO(data), len(data)
    for inner, length in records(source, end):
        if inner[b"op"][0] == _MESSAGE and _number(inner) in wanted:
            yield inner, source, length


def message_at(source: BinaryIO, at: int, most: int | None = None) -> bytes:
    """Return the data of the message record at a place, ``most`` bytes of it.

    Raises:
        ValueError, struct.error, KeyError: there is none.
    """
    end = source.seek(0, io.SEEK_END)
    source.seek(at)
    for fields, size in records(source, end):
        if fields[b"op"][0] == _MESSAGE:
            return source.read(size if most is None else min(size, most))
        if fields[b"op"][0] != _CONNECTION:
            break
    raise ValueError("an index points at no message")


def _unpacked(file: BinaryIO, fields: Fields, size: int) -> bytes:
    """Unpack a chunk at whose data the file stands; never more than its header says."""
    (most,) = struct.unpack("<I", fields[b"size"])
    if most > MOST_CHUNK:
        raise ValueError(f"a chunk says that it unpacks to {most >> 20} MB")
    packing = fields[b"compression"]
    if packing not in _UNPACK:
        raise ValueError(f"a chunk is packed as {packing!r}")
    data = _UNPACK[packing]().decompress(file.read(size), most)
    if len(data) != most:
        raise ValueError("a chunk is shorter than it says")
    return bytes(data)


def _indexes(file: BinaryIO, chunk: _Chunk) -> Iterator[tuple[int, bytes]]:
    """Yield connection and entries of each index record behind a chunk."""
    end = file.seek(0, io.SEEK_END)
    _, size = _chunk_at(file, chunk)
    file.seek(size, io.SEEK_CUR)
    left = len(chunk.counts)
    for fields, length in records(file, end):
        if not left or fields[b"op"][0] != _INDEX:
            return
        yield _number(fields), file.read(length)
        left -= 1


def _entries(parts: list[tuple[int, bytes]]) -> Entries:
    table = np.frombuffer(b"".join(pairs for _, pairs in parts), _ENTRY)
    counts = [len(pairs) // _ENTRY.itemsize for _, pairs in parts]
    chunk = np.repeat([place for place, _ in parts], counts).astype(np.int64)
    times_ns = table["seconds"].astype(np.int64) * 1_000_000_000 + table["rest_ns"]
    return Entries(times_ns, chunk, table["offset"].astype(np.int64))


def _connection(fields: Fields, data: bytes) -> Connection:
    topic = fields[b"topic"].decode("utf-8", "replace")
    about = _parsed(data)
    return Connection(topic, about.get(b"type", b"").decode("utf-8", "replace"))


def _number(fields: Fields) -> int:
    return int(struct.unpack("<I", fields[b"conn"])[0])


def _time_ns(value: bytes) -> int:
    seconds, rest_ns = struct.unpack("<II", value)
    return int(seconds * 1_000_000_000 + rest_ns)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    # What lz4 says is a RuntimeError; what bz2 says is an OSError without a number.
    except (struct.error, KeyError, ValueError, OverflowError, RuntimeError, EOFError) as error:
        raise BadRecordingError(
            f"{path}: the bag is damaged or cut short; copy it again"
        ) from error
    except OSError as error:
        if error.errno is None:
            raise BadRecordingError(
                f"{path}: the bag is damaged or cut short; copy it again"
            ) from error
        raise BadRecordingError(f"{path}: it cannot be read ({error}); copy it again") from error
