"""Damaged files made whole in a copy, and files joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import RecordBuilder
from mcap.records import ChunkIndex, MessageIndex

from lingbot_live.errors import CorruptRecordingError, RecordingError
from lingbot_live.recording.mcap.index import ChunkPlace, FileIndex, McapFile
from lingbot_live.recording.mcap.records import walk_messages
from lingbot_live.recording.mcap.summary import front, summary


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair kept."""

    messages: int
    chunks: int
    chunks_lost: int
    bytes_lost: int  # of the damaged file
    damage: tuple[str, ...]


def repair(path: Path, out: Path) -> RepairReport:
    """Copy all that is whole in ``path`` into the new file ``out``, which gets a new summary.

    Raises:
        CorruptRecordingError: nothing can be read from it.
        RecordingError: ``out`` exists or cannot be written.
        OSError: the file cannot be read, or the disk is full.
    """
    file = McapFile(path)
    try:
        with new_file(out) as target:
            copy = _Copy(target, file.index)
            for place in file.index.chunks:
                copy.add(file, place)
            copy.end()
    finally:
        file.close()
    return RepairReport(
        copy.messages,
        len(copy.chunks),
        copy.lost,
        max(0, file.size - file.index.end) + copy.lost_bytes,
        tuple(file.index.damage),
    )


def join(paths: Sequence[Path], out: Path) -> None:
    """Put files with the same channels one behind the other into the new file ``out``.

    Raises:
        RecordingError: ``out`` exists, or the files' channels differ.
        CorruptRecordingError: nothing can be read from one of them.
    """
    with new_file(out) as target:
        copy: _Copy | None = None
        for path in paths:
            file = McapFile(path)
            try:
                copy = copy or _Copy(target, file.index)
                if not copy.takes(file.index):
                    raise RecordingError(f"{path}: its channels differ from {paths[0]}")
                for place in file.index.chunks:
                    copy.add(file, place)
            finally:
                file.close()
        if copy is not None:
            copy.end()


@contextmanager
def new_file(out: Path) -> Iterator[BinaryIO]:
    """Write a file beside ``out`` and give it its name once it is complete.

    Raises:
        RecordingError: ``out`` exists, or cannot be made.
    """
    if out.exists():
        raise RecordingError(f"{out}: exists already; choose another name")
    part = out.with_name(out.name + ".part")
    try:
        target = part.open("wb")
    except OSError as error:
        raise RecordingError(f"{out}: cannot be written ({error.strerror})") from error
    try:
        with target:
            yield target
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


class _Copy:
    """Chunks of one file written into another."""

    def __init__(self, target: BinaryIO, index: FileIndex) -> None:
        self.chunks: list[ChunkIndex] = []
        self.lost = self.lost_bytes = 0
        self._counts: Counter[int] = Counter()
        self._target = target
        self._index = index
        target.write(front(index))

    def add(self, file: McapFile, place: ChunkPlace) -> None:
        """Copy a chunk if it is whole, with a message index made from its content."""
        try:
            found = _messages_by_channel(file.unpack(place), self._index)
        except CorruptRecordingError:
            self.lost += 1
            self.lost_bytes += place.length
            return
        if not found:
            return
        start = self._target.tell()
        file.copy(place.start, place.length, self._target)
        builder, offsets = RecordBuilder(), {}
        for channel, records in found.items():
            offsets[channel] = start + place.length + builder.count
            MessageIndex(channel, records).write(builder)
            self._counts[channel] += len(records)
        length = builder.count
        self._target.write(builder.end())
        self.chunks.append(_entry(place, start, offsets, length, file))

    def takes(self, index: FileIndex) -> bool:
        """Whether another file's channels mean the same here."""
        known = self._index.channels
        return all(known.get(number) == channel for number, channel in index.channels.items())

    @property
    def messages(self) -> int:
        """How many were copied."""
        return sum(self._counts.values())

    def end(self) -> None:
        """Write the summary."""
        at = self._target.tell()
        self._target.write(summary(self._index, self.chunks, self._counts, at))


def _messages_by_channel(data: bytes, index: FileIndex) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    for channel, time_ns, at in walk_messages(data):
        if channel in index.channels:
            found.setdefault(channel, []).append((time_ns, at))
    return found


def _entry(
    place: ChunkPlace, start: int, offsets: dict[int, int], index_length: int, file: McapFile
) -> ChunkIndex:
    compression, packed = file.packing(place)
    return ChunkIndex(
        chunk_length=place.length,
        chunk_start_offset=start,
        compression=compression,
        compressed_size=packed,
        message_end_time=place.last_ns,
        message_index_length=index_length,
        message_index_offsets=offsets,
        message_start_time=place.first_ns,
        uncompressed_size=place.size,
    )
