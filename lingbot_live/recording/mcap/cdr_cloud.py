"""``sensor_msgs/msg/PointCloud2`` to bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lingbot_live.recording.mcap.cdr import Header, Writer

POINT = np.dtype([("xyz", "<f4", 3), ("bgr", "u1", 3), ("pad", "u1")])
_FLOAT32 = 7  # of sensor_msgs/msg/PointField


def encode_cloud(header: Header, points: npt.NDArray[np.void]) -> bytes:
    """Encode (N,) of `POINT`: metres, and colour packed as viewers of ROS want it."""
    writer = Writer().header(header).put("I", 1, len(points))
    fields = (("x", 0), ("y", 4), ("z", 8), ("rgb", 12))
    writer.put("I", len(fields))
    for name, offset in fields:
        writer.text(name).put("I", offset).put("B", _FLOAT32).put("I", 1)
    writer.put("B", 0).put("I", POINT.itemsize, points.nbytes, points.nbytes)
    return writer.end(points.tobytes() + b"\x01")  # dense: no point is nan
