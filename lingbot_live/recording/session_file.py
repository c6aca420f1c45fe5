"""One session file being written: whole chunks only, valid up to the last of them at any moment."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from mcap.writer import CompressionType, Writer

from lingbot_live import __version__
from lingbot_live.errors import LingbotLiveError, RecordingError
from lingbot_live.recording import schemas
from lingbot_live.recording.encode import Messages
from lingbot_live.recording.format import CAMERA, COMMON, PROFILE, ROLE, TOPICS, Role
from lingbot_live.recording.repair import finish

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
_NEVER = 1 << 60  # the library shall not end chunks by itself, within a frame
_COMPRESSION = {"lz4": CompressionType.LZ4, "none": CompressionType.NONE}


class _Stream:
    """An unbuffered file for the library, so that nothing waits to be written after an error."""

    def __init__(self, path: Path) -> None:
        self.file = FileIO(path, "xb")
        self.position = 0

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[self.file.write(left) :]
        self.position += len(data)
        return len(data)

    def tell(self) -> int:
        return self.position

    def flush(self) -> None:
        """Nothing is buffered."""


@dataclass(slots=True)
class _CameraChannels:
    name: str  # in topics
    first_ns: int  # log time of its first frame in this file
    channels: dict[Role, int] = field(default_factory=dict)


class SessionFile:
    """Writes the messages of cameras into a new file; never overwrites one.

    Raises:
        RecordingError: from the constructor, when the file cannot be made.
        OSError: from any method, when the disk is full or gone; call `abort` then.
    """

    def __init__(
        self, path: Path, metadata: list[tuple[str, dict[str, str]]], compression: str = "lz4"
    ) -> None:
        self.path = path
        self._stream = _create(path)
        self._writer = Writer(
            self._stream, chunk_size=_NEVER, compression=_COMPRESSION[compression]
        )
        self._schemas: dict[str, int] = {}
        self._cameras: dict[str, _CameraChannels] = {}
        self._common: dict[Role, int] = {}
        self._pending = 0  # bytes in the chunk being built
        self._safe_end = 0
        self._writer.start(PROFILE, f"lingbot-live {__version__}")
        for name, values in metadata:
            self._writer.add_metadata(name, values)
        self.flush()

    @property
    def size_bytes(self) -> int:
        """What the file holds and will hold, the open chunk counted as unpacked."""
        return self._stream.position + self._pending

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

    def write(
        self, camera: str, log_ns: int, publish_ns: int, sequence: int, messages: Messages
    ) -> None:
        """Add the messages of one frame; they stay together in one chunk."""
        for role, data in messages:
            channel = self._channel(camera, role)
            self._writer.add_message(channel, log_ns, data, publish_ns, sequence & 0xFFFFFFFF)
            self._pending += len(data)
        if self._pending >= CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """End the chunk and hand it to the system: a killed process loses nothing before this."""
        self._writer.flush()
        self._pending = 0
        self._safe_end = self._stream.position

    def finish(self) -> None:
        """Write the summary and close the file."""
        self.flush()
        self._writer.finish()
        self._stream.file.close()

    def abort(self) -> None:
        """After an error: cut off what is incomplete, close the file, end it properly if it fits.

        The cut frees the room that the summary needs; without one the file still opens.
        """
        self._pending = 0
        if self._stream.file.closed:
            return
        try:
            self._stream.file.truncate(self._safe_end)
            self._stream.position = self._safe_end
        except OSError as error:
            log.warning("%s: %s", self.path, error)
        try:
            self._stream.file.close()
            finish(self.path)
        except (OSError, LingbotLiveError) as error:
            log.warning("%s: left without its summary: %s", self.path, error)

    def _channel(self, camera: str, role: Role) -> int:
        common = role in COMMON
        channels = self._common if common else self._cameras[camera].channels
        if role not in channels:
            topic, schema = TOPICS[role]
            metadata = {ROLE: role.value, **({} if common else {CAMERA: camera})}
            named = topic if common else topic.format(camera=self._cameras[camera].name)
            channels[role] = self._writer.register_channel(
                named, "cdr", self._schema(schema), metadata
            )
        return channels[role]

    def _schema(self, name: str) -> int:
        if name not in self._schemas:
            self._schemas[name] = self._writer.register_schema(
                name, "ros2msg", schemas.definition(name)
            )
        return self._schemas[name]


def _create(path: Path) -> _Stream:
    try:
        return _Stream(path)
    except FileExistsError as error:
        raise RecordingError(f"{path}: exists already; choose another name") from error
    except FileNotFoundError as error:
        raise RecordingError(f"{path}: its folder does not exist; make it first") from error
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error.strerror})") from error
