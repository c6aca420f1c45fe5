"""The messages as Cyclone DDS is told of them; their bytes are made by `recording.mcap.cdr`.

Names are those of ROS 2's mapping to DDS (https://design.ros2.org, "Topic and Service names").
"""

from __future__ import annotations

import functools
from typing import Any

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, CLOUD = "sensor_msgs/msg/CameraInfo", "sensor_msgs/msg/PointCloud2"
TRANSFORMS = "tf2_msgs/msg/TFMessage"

_HEAD = "header std_msgs/msg/Header; "
_FIELDS = {
    "builtin_interfaces/msg/Time": "sec int32; nanosec uint32",
    "std_msgs/msg/Header": "stamp builtin_interfaces/msg/Time; frame_id string",
    IMAGE: f"{_HEAD}height uint32; width uint32; encoding string; is_bigendian uint8; "
    "step uint32; data uint8[]",
    COMPRESSED: f"{_HEAD}format string; data uint8[]",
    "sensor_msgs/msg/RegionOfInterest": "x_offset uint32; y_offset uint32; height uint32; "
    "width uint32; do_rectify bool",
    CAMERA_INFO: f"{_HEAD}height uint32; width uint32; distortion_model string; d float64[]; "
    "k float64[9]; r float64[9]; p float64[12]; binning_x uint32; binning_y uint32; "
    "roi sensor_msgs/msg/RegionOfInterest",
    "sensor_msgs/msg/PointField": "name string; offset uint32; datatype uint8; count uint32",
    CLOUD: f"{_HEAD}height uint32; width uint32; fields sensor_msgs/msg/PointField[]; "
    "is_bigendian bool; point_step uint32; row_step uint32; data uint8[]; is_dense bool",
    "geometry_msgs/msg/Vector3": "x float64; y float64; z float64",
    "geometry_msgs/msg/Quaternion": "x float64; y float64; z float64; w float64",
    "geometry_msgs/msg/Transform": "translation geometry_msgs/msg/Vector3; "
    "rotation geometry_msgs/msg/Quaternion",
    "geometry_msgs/msg/TransformStamped": f"{_HEAD}child_frame_id string; "
    "transform geometry_msgs/msg/Transform",
    TRANSFORMS: "transforms geometry_msgs/msg/TransformStamped[]",
}


@functools.cache
def message(name: str) -> Any:
    """Return the type of a message, as cyclonedds makes it of its fields."""
    return _made(name)


def _made(name: str) -> Any:
    from cyclonedds.idl import make_idl_struct

    package, middle, word = name.split("/")
    fields = {}
    for field in _FIELDS[name].split("; "):
        key, kind = field.split(" ")
        fields[key] = _kind(kind)
    return make_idl_struct(f"{word}_", f"{package}::{middle}::dds_::{word}_", fields)


@functools.cache
def raw(name: str) -> Any:
    """Return a type of the same name and fields whose samples are bytes: ``octets``, whole CDR."""
    made = _made(name)  # a class of its own

    def deserialize(cls: Any, /, data: bytes, *_: object, **__: object) -> Any:
        sample = cls.__new__(cls)
        sample.octets = data
        return sample

    made.serialize = lambda sample, *_, **__: sample.octets
    made.deserialize = classmethod(deserialize)
    return made


def _kind(text: str) -> Any:
    from cyclonedds.idl import types

    if text.endswith("]"):
        inner, _, length = text[:-1].partition("[")
        of = _kind(inner)
        return types.array[of, int(length)] if length else types.sequence[of]
    if "/" in text:
        return message(text)
    return {"string": str, "bool": bool}.get(text) or getattr(types, text)
