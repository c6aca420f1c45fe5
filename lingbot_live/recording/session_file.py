"""One session file being written: whole chunks only, valid up to the last of them at any moment."""

from __future__ import annotations

import itertools
import logging
import os
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from mcap.records import Channel, ChunkIndex, Schema

from lingbot_live.errors import RecordingError
from lingbot_live.recording.disk import as_recording_error
from lingbot_live.recording.encode import Messages
from lingbot_live.recording.format import CAMERA, COMMON, PROFILE, ROLE, TOPICS, Role
from lingbot_live.recording.mcap import schemas
from lingbot_live.recording.mcap.chunks import Chunk, PackedChunk, pack
from lingbot_live.recording.mcap.places import FileIndex
from lingbot_live.recording.mcap.summary import front, summary

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
_MOST_PACKING = 4  # chunks packed at the same time
_COMPRESSION = {"zstd": "zstd", "lz4": "lz4", "none": ""}


@dataclass(frozen=True, slots=True)
class _Written:
    entry: ChunkIndex
    head: bytes  # of the record, with its data's checksum
    counts: dict[int, int]  # messages by channel

    @property
    def end(self) -> int:
        entry = self.entry
        return int(entry.chunk_start_offset + entry.chunk_length + entry.message_index_length)

    def is_in(self, file: BinaryIO) -> bool:
        """Whether the file still holds it, by its head and its length."""
        file.seek(self.entry.chunk_start_offset)
        return file.read(len(self.head)) == self.head and file.seek(0, os.SEEK_END) >= self.end


@dataclass(slots=True)
class _CameraChannels:
    name: str  # in topics
    first_ns: int  # log time of its first frame in this file
    channels: dict[Role, int] = field(default_factory=dict)


class SessionFile:
    """Writes the messages of cameras into a new file; never overwrites one.

    ``packers`` compresses chunks beside the caller's thread. The library's own writer has no way
    to choose LZ4's level, to end a chunk only between frames, or to go on after a full disk.

    Raises:
        RecordingError: from the constructor, when the file cannot be made.
        OSError: from any method, when the disk is full or gone; call `abort` then.
    """

    def __init__(
        self,
        path: Path,
        metadata: list[tuple[str, dict[str, str]]],
        compression: str = "zstd",
        packers: Executor | None = None,
    ) -> None:
        self.path = path
        self._file = _create(path)
        self._compression, self._packers = _COMPRESSION[compression], packers
        self._index = FileIndex(profile=PROFILE, metadata=metadata)
        self._counts: Counter[int] = Counter()
        self._written: list[_Written] = []
        self._is_spoilt = False  # another program changed its length
        self._schemas: dict[str, int] = {}
        self._cameras: dict[str, _CameraChannels] = {}
        self._common: dict[Role, int] = {}
        self._chunk = Chunk()
        self._described: set[str] = set()  # cameras that the open chunk describes
        self._defined = 0  # bytes of definitions that the open chunk began with
        self._packing: deque[Future[PackedChunk]] = deque()
        self._position = 0  # behind the last whole chunk
        self.frames = 0  # written, those on their way included
        self._identity = _identity(path)
        try:
            self._put(front(self._index))
        except OSError as error:
            self._file.close()
            self.remove()
            raise as_recording_error(error, path) from error

    @property
    def size_bytes(self) -> int:
        """What the file holds and will hold, the open chunks counted as unpacked."""
        return self._position + self._chunk.size + len(self._packing) * CHUNK_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether no camera has a frame in it yet."""
        return not self._cameras

    @property
    def is_in_place(self) -> bool:
        """Whether its path still leads to it."""
        return self._identity == _identity(self.path)

    def first_ns(self, camera: str) -> int | None:
        """Log time of a camera's first frame in this file."""
        known = self._cameras.get(camera)
        return None if known is None else known.first_ns

    def add_camera(self, camera: str, name: str, log_ns: int) -> None:
        """Make a camera known before its first frame, at ``log_ns``; topics begin with ``name``."""
        self._cameras[camera] = _CameraChannels(name, log_ns)

    def register(self, camera: str, roles: Sequence[Role]) -> None:
        """Make channels known before their first message."""
        for role in roles:
            self._channel(camera, role)

    def describe(self, camera: str, log_ns: int, messages: Messages) -> None:
        """Add what is known of a camera, into the chunk that what is written next goes into."""
        self._add(camera, log_ns, log_ns, 0, messages)
        self._described.add(camera)

    def describes(self, camera: str) -> bool:
        """Whether the open chunk says what is known of a camera: each does, in case one is lost."""
        return camera in self._described

    def write(
        self, camera: str, log_ns: int, publish_ns: int, sequence: int, messages: Messages
    ) -> None:
        """Add the messages of one frame; they stay together in one chunk."""
        self.frames += any(role is Role.FRAME for role, _ in messages)
        self._add(camera, log_ns, publish_ns, sequence, messages)
        if self._chunk.size - self._defined >= CHUNK_BYTES:
            self._seal()
            while len(self._packing) > _MOST_PACKING or (self._packing and self._packing[0].done()):
                self._put_chunk(self._packing.popleft().result())

    def _add(
        self, camera: str, log_ns: int, publish_ns: int, sequence: int, messages: Messages
    ) -> None:
        for role, data in messages:
            channel = self._channel(camera, role)
            self._chunk.add(channel, sequence & 0xFFFFFFFF, log_ns, publish_ns, data)

    def flush(self) -> None:
        """End the chunk and hand it to the system: a killed process loses nothing before this."""
        self._seal()
        while self._packing:
            self._put_chunk(self._packing.popleft().result())

    def finish(self) -> None:
        """Write the summary and close the file."""
        self.flush()
        self._chunk = Chunk()
        self._put(self._summary())
        self._file.close()

    def mishap(self) -> str:
        """Say what another program did to the file; empty where it lies as we wrote it."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            if not self.path.absolute().parent.is_dir():
                raise
            # Asked now: a name that went meanwhile would be counted yet.
            return "was renamed" if os.fstat(self._file.fileno()).st_nlink else "was deleted"
        if not os.path.samestat(os.fstat(self._file.fileno()), found):
            return "was replaced by another file"
        return "" if self._is_as_written() else "was cut or written over"

    def leave(self) -> int:
        """Close a file after a `mishap`; return how many frames are still in it, whole.

        It has none where it was deleted.
        """
        ours = os.fstat(self._file.fileno())
        if self._is_as_written():
            self.finish()
            return self.frames if ours.st_nlink else 0
        with self.path.open("rb") as file:
            self._written = list(itertools.takewhile(lambda w: w.is_in(file), self._written))
        if not self._written:
            self._file.close()
            return 0
        self._counts = Counter()
        for written in self._written:
            self._counts.update(written.counts)
        self._position, self._is_spoilt = self._written[-1].end, False
        return self.abort()

    def remove(self) -> None:
        """Delete a closed file, unless it is no longer ours."""
        if self.is_in_place:
            self.path.unlink()

    def _is_as_written(self) -> bool:
        self._is_spoilt |= os.fstat(self._file.fileno()).st_size != self._position
        return not self._is_spoilt

    def abort(self) -> int:
        """After an error: cut off what is incomplete, close the file, end it properly if it fits.

        Returns how many frames are in it. The cut frees the room that the summary needs; without
        one the file still opens.
        """
        if self._file.closed:
            return self.frames
        self._chunk = Chunk()
        self._packing.clear()
        if self._is_spoilt:  # by another program, whose bytes are not ours to cut
            self._file.close()
            return 0
        try:
            self._file.truncate(self._position)
            self._file.seek(self._position)
            self._put(self._summary())
        except OSError as error:
            log.info("%s: left without its summary: %s", self.path, error)
            self._cut()
        self._file.close()
        return self._frames_in_chunks()

    def _frames_in_chunks(self) -> int:
        notes = (camera.channels.get(Role.FRAME, 0) for camera in self._cameras.values())
        return sum(self._counts[channel] for channel in notes)

    def _cut(self) -> None:
        try:
            self._file.truncate(self._position)
        except OSError as error:
            log.info("%s: its last bytes are not whole: %s", self.path, error)

    def _seal(self) -> None:
        """Have the gathered chunk packed and begin the next."""
        if not self._chunk.messages:
            return
        chunk, self._chunk = self._chunk, self._new_chunk()
        if self._packers is not None:
            self._packing.append(self._packers.submit(pack, chunk, self._compression))
            return
        done: Future[PackedChunk] = Future()
        done.set_result(pack(chunk, self._compression))
        self._packing.append(done)

    def _new_chunk(self) -> Chunk:
        """Return a chunk that can be read without those before it."""
        self._described.clear()
        chunk = Chunk()
        for definition in (*self._index.schemas.values(), *self._index.channels.values()):
            chunk.define(definition)
        self._defined = chunk.size
        return chunk

    def _put_chunk(self, packed: PackedChunk) -> None:
        start = self._position
        self._put(packed.head, packed.data, packed.indexes)
        self._written.append(_Written(packed.entry(start), packed.head, packed.counts))
        self._counts.update(packed.counts)

    def _summary(self) -> bytes:
        entries = [written.entry for written in self._written]
        return summary(self._index, entries, self._counts, self._position)

    def _put(self, *pieces: bytes) -> None:
        """Write pieces that are only good together; none where they no longer fit: see `mishap`."""
        for piece in pieces if self._is_as_written() else ():
            left = memoryview(piece)
            while left:
                left = left[self._file.write(left) :]
        self._position += sum(len(piece) for piece in pieces)

    def _channel(self, camera: str, role: Role) -> int:
        common = role in COMMON
        channels = self._common if common else self._cameras[camera].channels
        if role not in channels:
            topic, schema = TOPICS[role]
            metadata = {ROLE: role.value, **({} if common else {CAMERA: camera})}
            named = topic if common else topic.format(camera=self._cameras[camera].name)
            number = len(self._index.channels) + 1
            channel = Channel(number, named, "cdr", metadata, self._schema(schema))
            self._index.channels[number] = channel
            self._chunk.define(channel)
            channels[role] = number
        return channels[role]

    def _schema(self, name: str) -> int:
        if name not in self._schemas:
            number = len(self._schemas) + 1
            schema = Schema(number, schemas.definition(name), "ros2msg", name)
            self._schemas[name] = number
            self._index.schemas[number] = schema
            self._chunk.define(schema)
        return self._schemas[name]


def _create(path: Path) -> FileIO:
    try:
        return FileIO(path, "xb")
    except FileExistsError as error:
        raise RecordingError(f"{path}: exists already; choose another name") from error
    except FileNotFoundError as error:
        raise RecordingError(f"{path}: its folder does not exist; make it first") from error
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error.strerror})") from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
