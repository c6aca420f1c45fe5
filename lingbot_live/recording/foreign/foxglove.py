"""Foxglove's own messages (foxglove.dev/docs/sdk/schemas), by field; and their form in JSON."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.foreign.messages import (
    CameraModel,
    Channel,
    CompressedImage,
    Data,
    Header,
    Image,
    Message,
    Transform,
    Transforms,
)
from lingbot_live.recording.mcap.cdr import rigid
from lingbot_live.system.inputs import from_json

_STAMP = re.compile(rb'"timestamp"\s*:\s*\{\s*"sec"\s*:\s*(\d+)\s*,\s*"nsec"\s*:\s*(\d+)')
_ZEROS = (0.0,) * 12


class Fields(Protocol):
    """One message, whatever its encoding; what is missing is zero or empty."""

    def number(self, name: str) -> float:
        """Return a number."""

    def text(self, name: str) -> str:
        """Return a string."""

    def octets(self, name: str) -> bytes:
        """Return bytes."""

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers."""

    def stamp_ns(self, name: str) -> int:
        """Return a time in nanoseconds since 1970."""

    def part(self, name: str) -> Fields:
        """Return a message within."""

    def parts(self, name: str) -> list[Fields]:
        """Return a list of messages."""


def decode(channel: Channel, read: Callable[[], Fields]) -> Message:
    """Return the message of a channel.

    Raises:
        CorruptRecordingError: it is damaged, or not of its type.
    """
    try:
        return READERS[channel.schema](read())
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CorruptRecordingError(
            f"{channel.topic}: no {channel.schema}, or damaged ({error})"
        ) from error
    except CorruptRecordingError as error:
        raise CorruptRecordingError(f"{channel.topic}: {error}") from error


def _header(message: Fields) -> Header:
    return Header(message.stamp_ns("timestamp"), message.text("frame_id"))


def _image(message: Fields) -> Image:
    width, height = int(message.number("width")), int(message.number("height"))
    step, data = int(message.number("step")), message.octets("data")
    if width < 1 or height < 1 or step < width or height * step > len(data):
        raise CorruptRecordingError(
            f"an image of {width}x{height}, {step} bytes a row, has {len(data)} bytes"
        )
    pixels = np.frombuffer(data, np.uint8)
    return Image(_header(message), height, width, message.text("encoding"), False, step, pixels)


def _compressed(message: Fields) -> CompressedImage:
    return CompressedImage(_header(message), message.text("format"), message.octets("data"))


def _camera(message: Fields) -> CameraModel:
    k, r, p = (message.numbers(name) for name in "KRP")
    return CameraModel(
        _header(message), int(message.number("width")), int(message.number("height")),
        message.text("distortion_model"), message.numbers("D"),
        k or _ZEROS[:9], r or _ZEROS[:9], p or _ZEROS,
    )  # fmt: skip


def _transform(message: Fields) -> Transform:
    shift, turn = message.part("translation"), message.part("rotation")
    return Transform(
        message.text("parent_frame_id"),
        message.text("child_frame_id"),
        rigid(
            tuple(shift.number(axis) for axis in "xyz"),
            tuple(turn.number(axis) for axis in "xyzw"),
        ),
    )


READERS: dict[str, Callable[[Fields], Message]] = {
    "foxglove.RawImage": _image,
    "foxglove.CompressedImage": _compressed,
    "foxglove.CameraCalibration": _camera,
    "foxglove.FrameTransform": lambda message: Transforms((_transform(message),)),
    "foxglove.FrameTransforms": lambda message: Transforms(
        tuple(map(_transform, message.parts("transforms")))
    ),
}


class _Json:
    """`Fields` of a JSON object."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, dict):
            raise ValueError("an object is expected")
        self._values: dict[str, Any] = values

    def number(self, name: str) -> float:
        """Return a number."""
        return float(self._values.get(name, 0))

    def text(self, name: str) -> str:
        """Return a string."""
        return str(self._values.get(name, ""))

    def octets(self, name: str) -> bytes:
        """Return bytes, which JSON holds as base64."""
        try:
            return base64.b64decode(self._values.get(name, ""), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{name} is no base64: {error}") from error

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers."""
        return tuple(map(float, self._values.get(name, ())))

    def stamp_ns(self, name: str) -> int:
        """Return a time in nanoseconds since 1970."""
        stamp = self._values.get(name, {})
        return int(stamp.get("sec", 0)) * 1_000_000_000 + int(stamp.get("nsec", 0))

    def part(self, name: str) -> Fields:
        """Return an object within."""
        return _Json(self._values.get(name, {}))

    def parts(self, name: str) -> list[Fields]:
        """Return a list of objects."""
        return [_Json(value) for value in self._values.get(name, ())]


class FoxgloveJson:
    """The `Decoder` of ``json``."""

    def knows(self, schema: str) -> bool:
        """Whether `decode` reads messages of this type."""
        return schema in READERS

    def decode(self, channel: Channel, data: Data) -> Message:
        """Return a message; CorruptRecordingError where it is damaged or empty."""
        return decode(channel, lambda: _Json(from_json(bytes(data).decode())))

    def header(self, channel: Channel, head: Data) -> Header | None:
        """Return the time, where it stands near the start; the rest is not known from that."""
        found = _STAMP.search(bytes(head))
        return Header(int(found[1]) * 1_000_000_000 + int(found[2]), "") if found else None
