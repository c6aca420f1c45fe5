"""What each topic of a file holds, told by its first whole message and its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.foreign import compressed, names, pixels
from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.messages import (
    CameraModel,
    Channel,
    CompressedImage,
    Image,
    Message,
    MessageSource,
    Text,
    Transforms,
)

_TRIES = 50  # messages that may be damaged before a topic counts as unreadable


class Kind(str, Enum):
    """What a topic is good for."""

    DEPTH = "depth"
    COLOR = "colour"
    INFRARED = "infrared"
    CAMERA_INFO = "calibration"
    TRANSFORMS = "transforms"
    TEXT = "text"
    OTHER = "not used"


@dataclass(frozen=True, slots=True)
class Stream:
    """One topic."""

    channel: Channel
    kind: Kind
    frame_id: str = ""
    encoding: str = ""  # of its pixels
    quality: int = 0  # of its transport; the least is the best
    why: str = ""  # it is OTHER

    @property
    def topic(self) -> str:
        """Its name."""
        return self.channel.topic

    @property
    def base(self) -> str:
        """Its name without the transport."""
        return names.base(self.topic)


def survey(source: MessageSource) -> list[Stream]:
    """Return what each topic with messages holds, in the file's order."""
    return [_stream(source, channel) for channel in source.channels]


def first_whole(source: MessageSource, channel: Channel) -> Message:
    """Return the first message that can be read.

    Raises:
        CorruptRecordingError: none of the first can.
    """
    why = f"{channel.topic}: messages in {channel.encoding!r} are not read"
    for message in _first(source, channel):
        if not isinstance(message, str):
            return message
        why = message
    raise CorruptRecordingError(why)


def _first(source: MessageSource, channel: Channel) -> Iterator[Message | str]:
    """Yield the first messages; what is wrong in the place of those that cannot be read."""
    reader = decoder(channel.encoding)
    if reader is None:
        return
    for row in range(min(channel.count, _TRIES)):
        try:
            yield reader.decode(channel, source.payload(channel.number, row))
        except CorruptRecordingError as error:
            yield str(error)


def _stream(source: MessageSource, channel: Channel) -> Stream:
    reader = decoder(channel.encoding)
    if reader is None:
        return _other(channel, f"messages in {channel.encoding or 'no'} encoding are not read")
    found = _other(channel, "")
    if reader.knows(channel.schema):
        for message in _first(source, channel):
            found = _of(channel, message)
            if found.kind is not Kind.OTHER:
                break
    return found


def _of(channel: Channel, message: Message | str) -> Stream:
    if isinstance(message, str):
        return _other(channel, f"no message can be read: {message}")
    if isinstance(message, Image):
        return _image(channel, message.header.frame_id, message.encoding, 0)
    if isinstance(message, CompressedImage):
        return _compressed(channel, message)
    if isinstance(message, CameraModel):
        return Stream(channel, Kind.CAMERA_INFO, message.header.frame_id)
    return Stream(channel, _PLAIN[type(message)])


_PLAIN = {Transforms: Kind.TRANSFORMS, Text: Kind.TEXT}


def _other(channel: Channel, why: str, encoding: str = "") -> Stream:
    return Stream(channel, Kind.OTHER, encoding=encoding, why=why)


def _compressed(channel: Channel, message: CompressedImage) -> Stream:
    try:
        packed = compressed.packing(message, channel.topic)
    except CorruptRecordingError as error:
        return _other(channel, str(error), message.format)
    if packed.is_lossy and packed.encoding in (*pixels.DEPTH, *pixels.GREY16):
        return _other(channel, "JPEG keeps no distances", message.format)
    return _image(channel, message.header.frame_id, packed.encoding, packed.quality)


def _image(channel: Channel, frame_id: str, encoding: str, quality: int) -> Stream:
    kind, why = _kind(channel.topic, frame_id, encoding)
    return Stream(channel, kind, frame_id, encoding, quality, why)


def _kind(topic: str, frame_id: str, encoding: str) -> tuple[Kind, str]:
    said = names.content(topic)
    if encoding in pixels.DEPTH:
        if said == "infrared":
            return Kind.INFRARED, ""
        return (Kind.OTHER, "its name says no depth") if said == "beside" else (Kind.DEPTH, "")
    if names.says_color(topic) and pixels.is_color(encoding):
        return Kind.COLOR, ""
    said = said or names.content(frame_id)
    if encoding in pixels.GREY16 and said == "depth":
        return Kind.DEPTH, ""
    if encoding in (*pixels.GREY16, *pixels.GREY8):
        if said in ("beside", "depth"):
            return Kind.OTHER, "grey levels, no distances"
        return (Kind.INFRARED if said == "infrared" else Kind.COLOR), ""
    if pixels.is_color(encoding):
        return Kind.COLOR, ""
    return Kind.OTHER, f"pixels as {encoding!r} are not read"
