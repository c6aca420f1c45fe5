"""Foxglove's messages as Protocol Buffers, read by the definition that each file carries."""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.foreign import foxglove
from lingbot_live.recording.foreign.messages import Channel, Data, Header, Message

_FIRST_FIELD = 0x0A  # tag of field 1 as a message: the time in all of these types


class _Protobuf:
    """`foxglove.Fields` of a message; fields that a definition lacks raise AttributeError."""

    def __init__(self, message: Any) -> None:
        self._message = message

    def number(self, name: str) -> float:
        """Return a number."""
        return float(getattr(self._message, name))

    def text(self, name: str) -> str:
        """Return a string."""
        return str(getattr(self._message, name))

    def octets(self, name: str) -> bytes:
        """Return bytes."""
        return bytes(getattr(self._message, name))

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers."""
        return tuple(map(float, getattr(self._message, name)))

    def stamp_ns(self, name: str) -> int:
        """Return a time in nanoseconds since 1970."""
        stamp = getattr(self._message, name)
        return int(stamp.seconds) * 1_000_000_000 + int(stamp.nanos)

    def part(self, name: str) -> foxglove.Fields:
        """Return a message within."""
        return _Protobuf(getattr(self._message, name))

    def parts(self, name: str) -> list[foxglove.Fields]:
        """Return a list of messages."""
        return [_Protobuf(one) for one in getattr(self._message, name)]


class FoxgloveProtobuf:
    """The `Decoder` of ``protobuf``."""

    def knows(self, schema: str) -> bool:
        """Whether `decode` reads messages of this type."""
        return schema in foxglove.READERS

    def decode(self, channel: Channel, data: Data) -> Message:
        """Return a message; CorruptRecordingError where it is damaged or empty."""
        kind = _message_class(channel.definition, channel.schema)
        try:
            message = kind.FromString(bytes(data))
        except DecodeError as error:
            raise CorruptRecordingError(f"{channel.topic}: {error}") from error
        return foxglove.decode(channel, lambda: _Protobuf(message))

    def header(self, channel: Channel, head: Data) -> Header | None:
        """Return the time, which is written first; the rest is not known from a start."""
        if len(head) < 2 or head[0] != _FIRST_FIELD:
            return None
        try:
            stamp = Timestamp.FromString(bytes(head[2 : 2 + head[1]]))
        except DecodeError:
            return None
        return Header(int(stamp.seconds) * 1_000_000_000 + int(stamp.nanos), "")


@functools.lru_cache(64)
def _message_class(definition: bytes, name: str) -> Any:
    try:
        pool = DescriptorPool()
        files = {file.name: file for file in FileDescriptorSet.FromString(definition).file}
        seen: set[str] = set()
        for name_of_file in files:
            _add(pool, files, name_of_file, seen)
        return GetMessageClass(pool.FindMessageTypeByName(name))
    except (DecodeError, KeyError, TypeError, ValueError) as error:
        raise CorruptRecordingError(
            f"the file's definition of {name} cannot be read ({error})"
        ) from error


def _add(pool: DescriptorPool, files: dict[str, Any], name: str, seen: set[str]) -> None:
    """Add a file after those that it needs, in whatever order they were written."""
    if name not in files or name in seen:
        return
    seen.add(name)
    for needed in files[name].dependency:
        _add(pool, files, needed, seen)
    pool.AddSerializedFile(files[name].SerializeToString())
