"""Recordings as ROS 1 and ROS 2 programs write them, by the rosbags library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rosbags import rosbag1, rosbag2
from rosbags.typesys import Stores, get_typestore

IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
COLOR = "/camera/color/image_raw"
DEPTH = "/camera/aligned_depth_to_color/image_raw"
CAMERA = "/camera/color/camera_info"
FRAME_ID = "camera_color_optical_frame"
WIDTH, HEIGHT = 64, 48
K = (60.0, 0.0, 31.5, 0.0, 61.0, 23.5, 0.0, 0.0, 1.0)
START_NS = 1_700_000_000_000_000_000
TIMES_NS = tuple(START_NS + row * 33_333_333 for row in range(6))


def color(row: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB with ten times the row in a corner."""
    image = np.full((HEIGHT, WIDTH, 3), (200, 120, 40), np.uint8)
    image[:16, :16] = 10 * row
    return image


def depth(row: int) -> np.ndarray:
    """(H, W) uint16 millimetres: 1500 and the row."""
    return np.full((HEIGHT, WIDTH), 1500 + row, np.uint16)


class _Messages:
    """Images and calibration as bytes of ROS 1 or ROS 2."""

    def __init__(self, ros: int) -> None:
        self.store = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)
        self._pack = self.store.serialize_ros1 if ros == 1 else self.store.serialize_cdr
        self._is_ros1 = ros == 1

    def all(self, row: int, time_ns: int) -> dict[str, bytes]:
        return {
            COLOR: self._image(time_ns, "rgb8", color(row)),
            CAMERA: self._info(time_ns),
            DEPTH: self._image(time_ns, "16UC1", depth(row)),
        }

    def _header(self, time_ns: int) -> object:
        kinds = self.store.types
        stamp = kinds["builtin_interfaces/msg/Time"](*divmod(time_ns, 10**9))
        number = (7,) if self._is_ros1 else ()
        return kinds["std_msgs/msg/Header"](*number, stamp, FRAME_ID)

    def _image(self, time_ns: int, encoding: str, image: np.ndarray) -> bytes:
        data = np.ascontiguousarray(image).view(np.uint8).ravel()
        step = len(data) // HEIGHT
        head = self._header(time_ns)
        message = self.store.types[IMAGE](head, HEIGHT, WIDTH, encoding, 0, step, data)
        return bytes(self._pack(message, IMAGE))

    def _info(self, time_ns: int) -> bytes:
        roi = self.store.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        p = np.array([K[0], 0, K[2], 0, 0, K[4], K[5], 0, 0, 0, 1, 0], np.float64)
        message = self.store.types[INFO](
            self._header(time_ns), HEIGHT, WIDTH, "plumb_bob", np.zeros(5), np.array(K),
            np.eye(3).ravel(), p, 0, 0, roi,
        )  # fmt: skip
        return bytes(self._pack(message, INFO))


def ros1(path: Path, compression: str = "none", times_ns: Sequence[int] = TIMES_NS) -> Path:
    """Write a bag; ``compression`` is none, lz4 or bz2."""
    messages = _Messages(1)
    writer = rosbag1.Writer(path)
    if compression != "none":
        writer.set_compression(rosbag1.Writer.CompressionFormat[compression.upper()])
    with writer:
        _write(writer, messages, times_ns)
    return path


def ros2(
    folder: Path,
    storage: str = "mcap",
    packed: str = "none",
    times_ns: Sequence[int] = TIMES_NS,
    first: int = 0,
) -> Path:
    """Write a rosbag2 folder; ``storage`` is mcap or sqlite3, ``packed`` none, file or message.

    ``first`` is the number of its first frame.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    messages = _Messages(2)
    plugin = rosbag2.StoragePlugin[storage.upper()]
    writer = rosbag2.Writer(folder, version=9, storage_plugin=plugin)
    if packed != "none":
        mode = rosbag2.CompressionMode[packed.upper()]
        writer.set_compression(mode, rosbag2.CompressionFormat.ZSTD)
    with writer:
        _write(writer, messages, times_ns, first)
    return folder


def _write(writer, messages: _Messages, times_ns: Sequence[int], first: int = 0) -> None:
    kinds = {COLOR: IMAGE, CAMERA: INFO, DEPTH: IMAGE}
    connections = {
        topic: writer.add_connection(topic, kind, typestore=messages.store)
        for topic, kind in kinds.items()
    }
    for row, time_ns in enumerate(times_ns, first):
        for topic, data in messages.all(row, time_ns).items():
            writer.write(connections[topic], time_ns, data)


def numbers(frames) -> list[int]:
    """Which rows frames are, by their colour and by their depth."""
    frames = list(frames)
    rows = [round(frame.color[4:12, 4:12].mean() / 10) for frame in frames]
    assert [int(frame.depth_raw[5, 5]) - 1500 for frame in frames] == rows
    return rows
