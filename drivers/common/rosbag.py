"""ROS 1 bags read without ROS, as far as drivers need (format: wiki.ros.org/Bags/Format/2.0)."""

from __future__ import annotations

import contextlib
import heapq
import io
import struct
from collections import Counter
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import lz4.frame

from lingbot_live.errors import BadRecordingError

MAGIC = b"#ROSBAG V2.0\n"
CHUNK = 5  # op codes
_MESSAGE, _CHUNK_INFO = 2, 6

Fields = dict[bytes, bytes]


class Message(NamedTuple):
    """One message of a topic, as it lies in the file."""

    time_ns: int
    topic: str
    data: bytes


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
        self._topics: dict[int, str] = {}
        self._chunks: list[_Chunk] = []
        with _explained(path), path.open("rb") as file:
            self._read_index(file)
        self._chunks.sort(key=lambda chunk: chunk.start_ns)

    @property
    def topics(self) -> set[str]:
        """Names of what it holds."""
        return {*self._topics.values()}

    def counts(self) -> dict[str, int]:
        """Return the number of messages of each topic."""
        found: Counter[int] = Counter()
        for chunk in self._chunks:
            found.update(chunk.counts)
        return {topic: found[number] for number, topic in self._topics.items()}

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
                    time_ns, topic = _time_ns(fields[b"time"]), self._topics[_number(fields)]
                    if time_ns >= from_ns:
                        heapq.heappush(ahead, Message(time_ns, topic, source.read(size)))
            while ahead:
                yield heapq.heappop(ahead)

    def _numbers(self, topics: Collection[str]) -> set[int]:
        return {number for number, topic in self._topics.items() if topic in topics}

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
                self._topics[_number(fields)] = fields[b"topic"].decode("utf-8", "replace")
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
    data, fields, at = file.read(size), {}, 0
    while at < size:
        (length,) = struct.unpack_from("<I", data, at)
        name, sign, value = data[at + 4 : at + 4 + length].partition(b"=")
        if not sign or at + 4 + length > size:
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
    if fields[b"compression"] == b"lz4":
        (end,) = struct.unpack("<I", fields[b"size"])
        unpack = lz4.frame.LZ4FrameDecompressor().decompress
        source = io.BytesIO(unpack(file.read(size), max_length=end))
    elif fields[b"compression"] != b"none":
        raise ValueError("unknown compression")
    for inner, length in records(source, end):
        if inner[b"op"][0] == _MESSAGE and _number(inner) in wanted:
            yield inner, source, length


def _number(fields: Fields) -> int:
    return int(struct.unpack("<I", fields[b"conn"])[0])


def _time_ns(value: bytes) -> int:
    seconds, rest_ns = struct.unpack("<II", value)
    return int(seconds * 1_000_000_000 + rest_ns)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    # What lz4 says is a RuntimeError.
    except (struct.error, KeyError, ValueError, OverflowError, RuntimeError) as error:
        raise BadRecordingError(
            f"{path}: the bag is damaged or cut short; copy it again"
        ) from error
    except OSError as error:
        raise BadRecordingError(f"{path}: it cannot be read ({error}); copy it again") from error
