"""MCAP files of other programs: standard ROS 2 topics matched to cameras."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import CameraError, CorruptRecordingError, RecordingError
from lingbot_live.frame import Calibration, ColorImage, Frame, Intrinsics, RawDepth
from lingbot_live.recording.format import MILLIMETRE_M
from lingbot_live.recording.mcap import cdr, schemas
from lingbot_live.recording.mcap.reader import MessageReader
from lingbot_live.recording.tracks import Track, decode_color

_DEPTH = {"16UC1": np.uint16, "mono16": np.uint16, "32FC1": np.float32}
_COLOR = {
    "rgb8": (3, None),
    "8UC3": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
}
_COMPRESSED_DEPTH_HEAD = 12  # bytes before the PNG (compressed_depth_image_transport)
_FAR_APART_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Topics:
    """Names for what cannot be matched by itself; as text ``DEPTH,COLOR,CAMERA_INFO``."""

    depth: str
    color: str
    camera_info: str

    @classmethod
    def parse(cls, text: str) -> Topics | None:
        """Read three topics with commas between; None where the text is something else."""
        parts = text.split(",")
        return cls(*parts) if len(parts) == 3 and text.startswith("/") else None

    def __str__(self) -> str:
        return f"{self.depth},{self.color},{self.camera_info}"


@dataclass(frozen=True, slots=True)
class _Stream:
    channel: int
    topic: str
    kind: str  # "depth", "color" or "info"
    frame_id: str


def foreign_tracks(reader: MessageReader, topics: Topics | None = None) -> list[Track]:
    """Return a track for each depth topic that has colour and a calibration.

    They belong together when their ``frame_id`` is the same, or the start of the topic's name.

    Raises:
        RecordingError: a named topic is not there.
    """
    streams = list(_streams(reader))
    if topics is not None:
        chosen = [_named(streams, t) for t in (topics.depth, topics.color, topics.camera_info)]
        return [ForeignTrack(str(topics), reader, *chosen)]
    tracks: list[Track] = []
    for depth in (stream for stream in streams if stream.kind == "depth"):
        color, info = _partner(depth, streams, "color"), _partner(depth, streams, "info")
        if color is not None and info is not None:
            tracks.append(ForeignTrack(depth.topic, reader, depth, color, info))
    return tracks


class ForeignTrack(Track):
    """Depth frames with the colour nearest in time. Depth in metres is rounded to millimetres."""

    def __init__(
        self, name: str, reader: MessageReader, depth: _Stream, color: _Stream, info: _Stream
    ) -> None:
        self._reader, self._streams = reader, (depth, color, info)
        times, others = reader.entries(depth.channel).times_ns, reader.entries(color.channel)
        self._color_rows = _nearest(others.times_ns, times)
        near = np.abs(others.times_ns[self._color_rows] - times) <= _FAR_APART_NS
        self._rows = np.flatnonzero(near)
        super().__init__(name, times[near])

    @property
    def info(self) -> CameraInfo | None:
        """Unknown to such files."""
        return None

    def frame(self, index: int) -> Frame:
        """Return the frame at ``index``; colour is scaled to the depth image where they differ."""
        depth_stream, color_stream, _ = self._streams
        row = int(self._rows[index])
        header, depth = self._depth(depth_stream, row)
        color = self._color(color_stream, int(self._color_rows[row]))
        height, width = depth.shape
        if color.shape[:2] != depth.shape:
            color = cv2.resize(color, (width, height), interpolation=cv2.INTER_AREA)
        time_ns = int(self.times_ns[index])
        try:
            return Frame(
                self.name, index, time_ns, header.stamp_ns // 1000, color, depth,
                MILLIMETRE_M, Calibration(self._intrinsics(width, height)),
            )  # fmt: skip
        except CameraError as error:
            raise CorruptRecordingError(f"{self.name}: frame {index}: {error}") from error

    def _depth(self, stream: _Stream, row: int) -> tuple[cdr.Header, RawDepth]:
        data = self._reader.payload(stream.channel, row)
        if _schema(self._reader, stream.channel) == schemas.COMPRESSED_IMAGE:
            header, _, packed = cdr.decode_compressed(data)
            raw = cv2.imdecode(
                np.frombuffer(packed[_COMPRESSED_DEPTH_HEAD:], np.uint8), cv2.IMREAD_UNCHANGED
            )
            if raw is None or raw.dtype != np.uint16 or raw.ndim != 2:
                raise CorruptRecordingError(f"{self.name}: a depth image cannot be decoded")
            return header, raw
        image = cdr.decode_image(data)
        if image.encoding not in _DEPTH:
            raise CorruptRecordingError(f"{self.name}: depth as {image.encoding!r} is unknown")
        values = cdr.pixels(image, _DEPTH[image.encoding])
        if values.dtype == np.uint16:
            return image.header, values
        millimetres = np.nan_to_num(values / np.float32(MILLIMETRE_M), posinf=0, neginf=0)
        return image.header, np.rint(np.clip(millimetres, 0, 65535)).astype(np.uint16)

    def _color(self, stream: _Stream, row: int) -> ColorImage:
        data = self._reader.payload(stream.channel, row)
        if _schema(self._reader, stream.channel) == schemas.COMPRESSED_IMAGE:
            return decode_color(cdr.decode_compressed(data)[2])
        image = cdr.decode_image(data)
        if image.encoding not in _COLOR:
            raise CorruptRecordingError(f"{self.name}: colour as {image.encoding!r} is unknown")
        channels, conversion = _COLOR[image.encoding]
        values = cdr.pixels(image, np.uint8, channels)
        color: ColorImage = values if conversion is None else cv2.cvtColor(values, conversion)
        return color

    def _intrinsics(self, width: int, height: int) -> Intrinsics:
        _, found = cdr.decode_camera_info(self._reader.payload(self._streams[2].channel, 0))
        if found is None:
            raise RecordingError(f"{self._streams[2].topic}: the camera is not calibrated (k is 0)")
        if (found.width, found.height) == (width, height):
            return found
        x, y = width / found.width, height / found.height
        # Half a pixel lies between the corner of the image and the centre of its first pixel.
        return replace(
            found, width=width, height=height, fx=found.fx * x, fy=found.fy * y,
            cx=(found.cx + 0.5) * x - 0.5, cy=(found.cy + 0.5) * y - 0.5,
        )  # fmt: skip


def _streams(reader: MessageReader) -> Iterator[_Stream]:
    for number, channel in reader.index.channels.items():
        if number not in reader.index.entries or channel.message_encoding != "cdr":
            continue
        try:
            kind, frame_id = _kind(reader, number)
        except CorruptRecordingError:
            continue  # one unreadable topic does not hide the others
        if kind:
            yield _Stream(number, channel.topic, kind, frame_id)


def _kind(reader: MessageReader, channel: int) -> tuple[str, str]:
    """Tell what a topic holds by its first message, and its coordinate frame."""
    name = _schema(reader, channel)
    if name == schemas.CAMERA_INFO:
        return "info", cdr.decode_camera_info(reader.payload(channel, 0))[0].frame_id
    if name == schemas.COMPRESSED_IMAGE:
        header, kind, _ = cdr.decode_compressed(reader.payload(channel, 0))
        return ("depth" if "compressedDepth" in kind else "color"), header.frame_id
    if name == schemas.IMAGE:
        image = cdr.decode_image(reader.payload(channel, 0))
        kind = "depth" if image.encoding in _DEPTH else "color" * (image.encoding in _COLOR)
        return kind, image.header.frame_id
    return "", ""


def _schema(reader: MessageReader, channel: int) -> str:
    schema = reader.index.schemas.get(reader.index.channels[channel].schema_id)
    return "" if schema is None else schema.name


def _partner(depth: _Stream, streams: list[_Stream], kind: str) -> _Stream | None:
    same = [s for s in streams if s.kind == kind and s.frame_id == depth.frame_id]
    root = depth.topic.strip("/").split("/")[0]
    near = [s for s in streams if s.kind == kind and s.topic.strip("/").split("/")[0] == root]
    # Among several of one frame (raw and compressed), the one nearest by name.
    ranked = sorted(same or near, key=lambda s: (s not in near, s.topic))
    return ranked[0] if ranked else None


def _named(streams: list[_Stream], topic: str) -> _Stream:
    for stream in streams:
        if stream.topic == topic:
            return stream
    known = ", ".join(stream.topic for stream in streams) or "none"
    raise RecordingError(f"no image or camera info on topic {topic!r}; there are: {known}")


def _nearest(
    times: np.typing.NDArray[np.int64], wanted: np.typing.NDArray[np.int64]
) -> np.typing.NDArray[np.intp]:
    after = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
    after = np.minimum(after, len(times) - 1)
    before = np.maximum(after - 1, 0)
    closer = np.abs(times[before] - wanted) <= np.abs(times[after] - wanted)
    return np.where(closer, before, after)
