"""Files that were not closed: whole again in a copy, or ended properly where they are."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import ChunkIndex, DataEnd, Footer, Header, MessageIndex, Metadata, Statistics

from lingbot_live import __version__
from lingbot_live.errors import CorruptRecordingError, RecordingError
from lingbot_live.recording.index import ChunkPlace, FileIndex, McapFile
from lingbot_live.recording.records import MAGIC, walk_messages


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


def finish(path: Path) -> None:
    """Append the missing summary to a file that ends with a whole chunk.

    Raises:
        CorruptRecordingError: nothing can be read from it.
        OSError: the disk is full; the file is as it was.
    """
    file = McapFile(path)
    try:
        indexes = [_chunk_index(file, place) for place in file.index.chunks]
    finally:
        file.close()
    counts = {channel: len(entries) for channel, entries in file.index.entries.items()}
    end = file.index.end
    with path.open("r+b") as target:
        try:
            target.truncate(end)
            target.seek(end)
            target.write(_summary(file.index, indexes, counts, end))
            target.flush()
        except OSError:
            os.truncate(path, end)
            raise


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
        builder = RecordBuilder()
        Header(index.profile, f"lingbot-live {__version__}").write(builder)
        for name, values in index.metadata:
            Metadata(name, values).write(builder)
        for record in (*index.schemas.values(), *index.channels.values()):
            record.write(builder)
        target.write(MAGIC + builder.end())

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
        self._target.write(_summary(self._index, self.chunks, self._counts, at))


def _messages_by_channel(data: bytes, index: FileIndex) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    for channel, time_ns, at in walk_messages(data):
        if channel in index.channels:
            found.setdefault(channel, []).append((time_ns, at))
    return found


def _chunk_index(file: McapFile, place: ChunkPlace) -> ChunkIndex:
    start = place.start + place.length
    behind, at, offsets = file.read(start, place.index_length), 0, {}
    while at < len(behind):
        _, length, channel = struct.unpack_from("<BQH", behind, at)
        offsets[channel] = start + at
        at += 9 + length
    return _entry(place, place.start, offsets, place.index_length, file)


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


def _summary(
    index: FileIndex, chunks: list[ChunkIndex], counts: Mapping[int, int], position: int
) -> bytes:
    """Return data end, summary and footer, to be written at ``position``."""
    builder = RecordBuilder()
    DataEnd(0).write(builder)
    data_end = builder.end()
    for record in (*index.schemas.values(), *index.channels.values()):
        record.write(builder)
    Statistics(
        attachment_count=0,
        channel_count=len(index.channels),
        channel_message_counts=dict(counts),
        chunk_count=len(chunks),
        message_count=sum(counts.values()),
        message_end_time=max((chunk.message_end_time for chunk in chunks), default=0),
        message_start_time=min((chunk.message_start_time for chunk in chunks), default=0),
        metadata_count=len(index.metadata),
        schema_count=len(index.schemas),
    ).write(builder)
    for chunk in chunks:
        chunk.write(builder)
    summary = builder.end()
    start = position + len(data_end)
    # The checksum covers the footer up to itself (mcap.dev/spec, footer).
    crc = zlib.crc32(struct.pack("<BQQQ", Opcode.FOOTER, 20, start, 0), zlib.crc32(summary))
    Footer(start, 0, crc).write(builder)
    return b"".join((data_end, summary, builder.end(), MAGIC))
