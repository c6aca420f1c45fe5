"""``sensor_msgs/msg/PointCloud2`` to bytes and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.cdr import Header, Reader, Writer

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


def encode_points(header: Header, columns: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """Encode ``sensor_msgs/msg/PointCloud2``, one row, of float32 columns (N,) by their names."""
    table = np.ascontiguousarray(np.stack([*columns.values()], -1), np.float32)
    writer = Writer().header(header).put("I", 1, len(table), len(columns))
    for place, name in enumerate(columns):
        writer.text(name).put("I", 4 * place).put("B", _FLOAT32).put("I", 1)
    step = 4 * len(columns)
    writer.put("B", 0).put("I", step, step * len(table), table.nbytes)
    return writer.end(table.data.cast("B") if len(table) else b"") + b"\x00"  # gaps are nan


def decode_points(data: bytes | memoryview) -> tuple[Header, dict[str, npt.NDArray[np.float32]]]:
    """Return header and columns (N,) of what `encode_points` made; others' clouds are refused."""
    reader = Reader(data)
    header, count = reader.header(), reader.number() * reader.number()
    fields = [
        (reader.text(), reader.number(), reader.number("B"), reader.number())
        for _ in range(reader.number())
    ]
    is_big, step = reader.number("B"), reader.number()
    reader.number()
    rows = reader.octets()
    if is_big or {kind for _, _, kind, _ in fields} != {_FLOAT32} or step * count != len(rows):
        raise CorruptRecordingError(f"{count} points of {len(rows)} bytes are no followed points")
    names, offsets = [name for name, *_ in fields], [offset for _, offset, *_ in fields]
    try:
        kind = np.dtype(
            {"names": names, "formats": ["<f4"] * len(names), "offsets": offsets, "itemsize": step}
        )
        table = np.frombuffer(rows, kind)
    except ValueError as error:
        raise CorruptRecordingError(f"followed points' columns {names}: {error}") from error
    return header, {name: np.asarray(table[name], np.float32) for name in names}
