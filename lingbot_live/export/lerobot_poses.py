"""Where cameras were, as columns of a LeRobot dataset's rows: known only when all are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.export.shot import DepthSource, Shot
from lingbot_live.export.way import CameraWay
from lingbot_live.frame import Frame
from lingbot_live.perception.trajectory import pose_numbers

NAMES = ["x_m", "y_m", "z_m", "qx", "qy", "qz", "qw"]

Columns = dict[str, npt.NDArray[np.float32]]


class CameraPoses:
    """Follows each camera from row to row."""

    def __init__(self, source: DepthSource) -> None:
        self._source = source
        self._ways: dict[str, CameraWay] = {}

    def add(self, row: int, name: str, frame: Frame) -> None:
        """Take a camera's frame of a row."""
        refined = frame.recorded if self._source is DepthSource.REFINED else None
        depth_m = frame.depth_m if refined is None else refined.depth_m
        way = self._ways.setdefault(name, CameraWay())
        way.add(Shot(row, float(row), frame, self._source, depth_m))

    def columns(self, rows: int) -> tuple[Columns, list[str]]:
        """Return (rows, 7) positions and quaternions in the first frame's axes, and remarks.

        All is 0 where a frame could not be placed: no quaternion is.
        """
        columns: Columns = {}
        remarks: list[str] = []
        for name, way in self._ways.items():
            poses, words = way.poses()
            values = np.zeros((rows, len(NAMES)), np.float32)
            for row, pose in poses:
                values[int(row)] = pose_numbers(pose)
            columns[f"observation.{name}.pose"] = values
            remarks.append(f"{name}: {words}")
        return columns, remarks


def append(path: Path, columns: Columns) -> None:
    """Write a Parquet file anew with more columns behind the others, a group of rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(key, pa.list_(pa.float32(), len(NAMES))) for key in columns]
    made = path.with_suffix(".new")
    with pq.ParquetFile(path) as old:
        schema = pa.schema([*old.schema_arrow, *fields])
        with pq.ParquetWriter(made, schema, compression="snappy") as new:
            at = 0
            for group in range(old.num_row_groups):
                table = old.read_row_group(group)
                for field in fields:
                    values: Any = columns[field.name][at : at + len(table)].tolist()
                    table = table.append_column(field, pa.array(values, field.type))
                new.write_table(table)
                at += len(table)
    made.replace(path)
