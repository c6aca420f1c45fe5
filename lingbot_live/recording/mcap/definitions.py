"""Definitions of an MCAP file, each noted in the index: header, schemas, channels, metadata."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from mcap.data_stream import ReadDataStream
from mcap.records import Channel, Metadata, Schema

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.places import FileIndex
from lingbot_live.recording.mcap.records import CHANNEL, HEADER, METADATA, SCHEMA


def define(index: FileIndex, opcode: int, body: bytes) -> None:
    """Note a definition; CorruptRecordingError where it does not fill its record."""
    stream = io.BytesIO(body)
    note = DEFINITIONS[opcode]
    note(index, ReadDataStream(stream))
    if stream.tell() != len(body):
        raise CorruptRecordingError("a record is longer than what it says")


def _note_metadata(index: FileIndex, stream: Any) -> None:
    found = Metadata.read(stream)
    index.metadata.append((found.name, found.metadata))


def _note_header(index: FileIndex, stream: Any) -> None:
    index.profile = stream.read_prefixed_string()
    stream.read_prefixed_string()  # the library that wrote it


def put(into: dict[int, Any], found: Schema | Channel) -> None:
    """Note a schema or channel by its number."""
    into[found.id] = found


DEFINITIONS: dict[int, Callable[[FileIndex, Any], None]] = {
    HEADER: _note_header,
    SCHEMA: lambda index, stream: put(index.schemas, Schema.read(stream)),
    CHANNEL: lambda index, stream: put(index.channels, Channel.read(stream)),
    METADATA: _note_metadata,
}
