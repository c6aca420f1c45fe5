"""The bytes of an MCAP file, read at random and searched for chunks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.places import Budget
from lingbot_live.recording.mcap.records import (
    CHUNK_START,
    LONGEST_HEAD,
    MAGIC,
    ChunkHead,
    read_chunk_head,
)
from lingbot_live.system.inputs import refuse_special

_BLOCK = 1 << 20


class ByteSource:
    """An open file. Not safe for several threads at once.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        refuse_special(path)
        self._file: BinaryIO = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file; safe more than once."""
        self._file.close()

    def read(self, at: int, length: int) -> bytes:
        """Return a stretch of the file; CorruptRecordingError where it is shorter."""
        data = self.read_some(at, length)
        if len(data) != length:
            raise CorruptRecordingError(f"{self.path}: it ends within a record")
        return data

    def read_some(self, at: int, length: int) -> bytes:
        """Return a stretch of the file, or what there is of it."""
        if at < 0 or length < 0 or length > max(self.size, len(MAGIC), LONGEST_HEAD):
            raise CorruptRecordingError(f"{self.path}: a record lies outside the file")
        self._file.seek(at)
        return self._file.read(length)

    def chunk_at(self, at: int) -> ChunkHead | None:
        """Return the head of the chunk record at a place; None where there is no whole one."""
        head = read_chunk_head(self.read_some(at, LONGEST_HEAD))
        return head if head is not None and at + head.length <= self.size else None

    def next_chunk(self, at: int, budget: Budget) -> int | None:
        """Return where the first chunk record at or behind a place begins, judged by its head."""
        while at < self.size and not budget.is_spent:
            block = self.read_some(at, min(_BLOCK + LONGEST_HEAD, self.size))
            for found in CHUNK_START.finditer(block, 0, len(block)):
                if self.chunk_at(at + found.start()) is not None:
                    return at + found.start()
            at += _BLOCK
        return None
