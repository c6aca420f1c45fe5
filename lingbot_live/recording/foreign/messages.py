"""What other programs' files are made of: channels of messages, and the few that matter here.

A file is a `MessageSource`: bytes by channel and row, whatever the container. A `Decoder` turns the
bytes of one encoding (``cdr``, ``ros1``, ``protobuf``, ``json``) into the messages below. Matching
of topics, pairing and pixels know neither container nor encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lingbot_live.frame import Extrinsics
from lingbot_live.recording.mcap.cdr import Header, Image

__all__ = [
    "CameraModel",
    "Channel",
    "CompressedImage",
    "Decoder",
    "Header",
    "Image",
    "Message",
    "MessageSource",
    "Text",
    "Transform",
    "Transforms",
]

Data = bytes | memoryview
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic of a file."""

    number: int
    topic: str
    schema: str  # name of its messages' type as the file writes it, such as sensor_msgs/msg/Image
    encoding: str  # of the messages: cdr, ros1, protobuf, json
    count: int  # messages
    definition: bytes = b""  # of the type, for encodings that cannot be read without


@dataclass(frozen=True, slots=True)
class CompressedImage:
    """An image file in a message; ``data`` is not copied."""

    header: Header
    format: str  # in ROS's words: "jpeg", "16UC1; compressedDepth png", ...
    data: Data


@dataclass(frozen=True, slots=True)
class CameraModel:
    """A calibration as ``sensor_msgs/msg/CameraInfo`` says it; nothing is checked yet.

    ``k`` and ``r`` are 3x3, ``p`` is 3x4, by rows; all zero where the camera is not calibrated.
    ``roi`` is x, y, width, height in pixels of the full image, all zero for all of it.
    """

    header: Header
    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]
    binning: tuple[int, int] = (0, 0)  # horizontally and vertically; 0 means 1
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Transform:
    """Where a coordinate frame stands in its parent."""

    parent: str
    child: str
    T_parent_child: Extrinsics


@dataclass(frozen=True, slots=True)
class Transforms:
    """All of one message."""

    transforms: tuple[Transform, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A plain text, such as an option of RealSense's own recordings."""

    text: str


Message = Image | CompressedImage | CameraModel | Transforms | Text


class MessageSource(Protocol):
    """An open file. Safe from several threads; memory stays bounded whatever the file's length."""

    @property
    def channels(self) -> Sequence[Channel]:
        """All topics that have messages, in the file's order."""

    def times_ns(self, channel: int) -> Times:
        """Return when each message of a channel was logged, since 1970, rising; its rows' order."""

    def payload(self, channel: int, row: int) -> Data:
        """Return one message.

        Raises:
            CorruptRecordingError: it lies in a damaged part of the file.
        """

    def heads(self, channels: Sequence[int], size: int) -> dict[int, list[Data]]:
        """Return the first ``size`` bytes (or more) of every message, by channel in rows' order.

        Empty where a message cannot be read. A source need not read whole images for it.
        """

    def close(self) -> None:
        """Close the file; safe more than once."""


class Decoder(Protocol):
    """Reads the messages of one encoding."""

    def knows(self, schema: str) -> bool:
        """Whether `decode` reads messages of this type."""

    def decode(self, channel: Channel, data: Data) -> Message:
        """Return a message.

        Raises:
            CorruptRecordingError: it is damaged, empty, or not of its type.
        """

    def header(self, channel: Channel, head: Data) -> Header | None:
        """Return the header from a message's first `HEAD_BYTES`, None where there is none."""


HEAD_BYTES = 512  # enough for any header
MOST_MESSAGE = 256 << 20  # bytes; the largest images have a tenth
