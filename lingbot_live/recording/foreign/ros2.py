"""ROS 2 messages in CDR, as rosbag2 writes them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import Extrinsics
from lingbot_live.recording.foreign.messages import (
    CameraModel,
    Channel,
    CompressedImage,
    Data,
    Header,
    Message,
    Text,
    Transform,
    Transforms,
)
from lingbot_live.recording.mcap import cdr, schemas

_EXTRINSICS = "realsense2_camera_msgs/msg/Extrinsics"


class Ros2:
    """The `Decoder` of ``cdr``."""

    def knows(self, schema: str) -> bool:
        """Whether `decode` reads messages of this type."""
        return self.name(schema) in _READERS or schema == _EXTRINSICS

    def decode(self, channel: Channel, data: Data) -> Message:
        """Return a message; CorruptRecordingError where it is damaged or empty."""
        if not len(data):
            raise CorruptRecordingError(f"{channel.topic}: a message is empty")
        try:
            if channel.schema == _EXTRINSICS:
                return _extrinsics(self.reader(data), b"Header" in channel.definition)
            return _READERS[self.name(channel.schema)](self.reader(data))
        except (struct.error, ValueError, OverflowError) as error:
            raise CorruptRecordingError(f"{channel.topic}: {error}") from error
        except CorruptRecordingError as error:
            raise CorruptRecordingError(f"{channel.topic}: {error}") from error

    def header(self, channel: Channel, head: Data) -> Header | None:
        """Return the header that images and calibrations begin with."""
        try:
            return self.reader(head).header()
        except CorruptRecordingError:
            return None

    def reader(self, data: Data) -> cdr.Reader:
        """Return what takes the values off a message; CorruptRecordingError where it is none."""
        return cdr.Reader(data)

    def name(self, schema: str) -> str:
        """Return a type's name as ROS 2 has it."""
        return schema


def _compressed(reader: cdr.Reader) -> CompressedImage:
    return CompressedImage(*cdr.decode_compressed(reader))


def _camera(reader: cdr.Reader) -> CameraModel:
    header = reader.header()
    height, width = reader.number(), reader.number()
    model = reader.text()
    d = reader.take("d", reader.number())
    k, r, p = reader.take("d", 9), reader.take("d", 9), reader.take("d", 12)
    binning = (reader.number(), reader.number())
    x, y, high, wide = (reader.number() for _ in range(4))
    return CameraModel(header, width, height, model, d, k, r, p, binning, (x, y, wide, high))


def _transforms(reader: cdr.Reader) -> Transforms:
    found = []
    for _ in range(reader.number()):
        parent, child = reader.header().frame_id, reader.text()
        shift, turn = reader.take("d", 3), reader.take("d", 4)
        found.append(Transform(parent, child, cdr.rigid(shift, turn)))
    return Transforms(tuple(found))


def _extrinsics(reader: cdr.Reader, has_header: bool) -> Transforms:
    """Read ``realsense2_camera_msgs/msg/Extrinsics``; its rotation goes by columns."""
    if has_header:
        reader.header()
    turn = np.reshape(reader.take("d", 9), (3, 3)).T
    shift = np.reshape(reader.take("d", 3), (3, 1))
    return Transforms((Transform("", "", Extrinsics.from_matrix(np.hstack([turn, shift]))),))


_READERS: dict[str, Callable[[cdr.Reader], Message]] = {
    schemas.IMAGE: cdr.decode_image,
    schemas.COMPRESSED_IMAGE: _compressed,
    schemas.CAMERA_INFO: _camera,
    schemas.TRANSFORMS: _transforms,
    schemas.TEXT: lambda reader: Text(reader.text()),
}
