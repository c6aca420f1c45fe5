"""Damaged files made whole in a copy, and files joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from mcap.records import ChunkIndex

from lingbot_live.errors import CorruptRecordingError, RecordingError
from lingbot_live.recording.mcap.chunks import Chunk, PackedChunk, pack, repacked
from lingbot_live.recording.mcap.index import McapFile
from lingbot_live.recording.mcap.places import ChunkPlace, FileIndex
from lingbot_live.recording.mcap.summary import front, summary
from lingbot_live.system.scratch import scratch_folder
from lingbot_live.system.writing import writing

_CHUNK_BYTES = 1 << 20  # of messages that lay outside of chunks


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
    file = McapFile(path, patient=True)
    try:
        with new_file(out) as target:
            copy = _Copy(target, file.index)
            copy.add_all(file)
            copy.end()
    finally:
        file.close()
    return RepairReport(
        copy.messages,
        len(copy.chunks),
        copy.lost,
        file.index.lost_bytes + copy.lost_bytes,
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
                copy.add_all(file)
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
    # Twice: whether the disk is full must be asked before the scratch folder goes.
    with (
        writing(out, RecordingError),
        scratch_folder(out) as work,
        writing(out, RecordingError),
    ):
        with (work / out.name).open("wb") as target:
            yield target
        (work / out.name).replace(out)


class _Copy:
    """Chunks of one file written into another."""

    def __init__(self, target: BinaryIO, index: FileIndex) -> None:
        self.chunks: list[ChunkIndex] = []
        self.lost = self.lost_bytes = 0
        self._counts: Counter[int] = Counter()
        self._target = target
        self._index = index
        target.write(front(index))

    def add_all(self, file: McapFile) -> None:
        """Copy the chunks that are whole, then what lies outside of chunks."""
        for place in file.index.chunks:
            self._add(file, place)
        self._add_loose(file)

    def _add(self, file: McapFile, place: ChunkPlace) -> None:
        """Copy a chunk if it is whole, with head and message index made from its content."""
        try:
            record, data = file.record(place)
        except CorruptRecordingError as error:
            self._index.note(f"chunk at byte {place.start}: {error}")
            self.lost += 1
            self.lost_bytes += place.length
            return
        self._put(repacked(record, data, self._index.channels))

    def _add_loose(self, file: McapFile) -> None:
        chunk = Chunk()
        for channel, at in _loose(file.index):
            record = file.loose_message(at)
            chunk.add_record(channel, record)
            if chunk.size >= _CHUNK_BYTES:
                self._put(pack(chunk, "lz4"))
                chunk = Chunk()
        if chunk.size:
            self._put(pack(chunk, "lz4"))

    def _put(self, packed: PackedChunk) -> None:
        if not packed.counts:
            return
        self.chunks.append(packed.entry(self._target.tell()))
        self._target.write(packed.head)
        self._target.write(packed.data)
        self._target.write(packed.indexes)
        self._counts.update(packed.counts)

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


def _loose(index: FileIndex) -> Iterator[tuple[int, int]]:
    """Yield channel and place of the messages outside of chunks, in order of place."""
    found = [
        np.stack((np.full(len(rows), channel), entries.offset[rows]), axis=1)
        for channel, entries in index.entries.items()
        if len(rows := np.flatnonzero(entries.chunk < 0))
    ]
    places = np.concatenate(found) if found else np.empty((0, 2), np.int64)
    for channel, at in places[np.argsort(places[:, 1])]:
        yield int(channel), int(at)
