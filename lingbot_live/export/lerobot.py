"""Format ``lerobot``: a LeRobot dataset, version 3, with depth, by pyarrow and PyAV.

Layout and fields are those of LeRobot's own documentation of the format ("LeRobotDataset v3.0"):
rows in Parquet, colour as video, depth as 16 bit PNG in the rows, which is exact.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ExportError
from lingbot_live.export.images import in_units, too_far
from lingbot_live.export.lerobot_poses import NAMES, CameraPoses, append
from lingbot_live.export.moments import Moment
from lingbot_live.export.shot import DepthSource, JointTarget
from lingbot_live.export.statistics import Statistics
from lingbot_live.frame import Frame
from lingbot_live.system.outputs import MARK

if TYPE_CHECKING:
    import pyarrow as pa

_FILE = "chunk-000/file-000"
_MM_M = 0.001
_ROWS = 32  # written at a time
_GOP = 2  # so that any picture is found at once
_CODECS = ("libx264", "libsvtav1", "mpeg4")  # the first that PyAV was built with
_COUNTED = ("frame_index", "episode_index", "index", "task_index")
_STATS_STEP = 8  # pixels


class LerobotWriter:
    """Writes all cameras into one dataset; a gap of more than 5 s begins an episode.

    Features of camera NAME: ``observation.images.NAME`` (colour), ``observation.images.NAME_depth``
    (raw) and with refined depth asked for ``..._refined``, in millimetres;
    ``observation.NAME.time_s``, the device's clock, and ``observation.NAME.imu``, the mean reading
    since the frame before: acceleration in m/s^2, turning in rad/s. With ``trajectory`` asked for
    ``observation.NAME.pose`` by `CameraPoses`.
    """

    def __init__(self, target: JointTarget) -> None:
        self._target = target
        self._fps = target.fps
        self._names: dict[int, str] = dict(enumerate(target.names))
        self._rows: list[dict[str, Any]] = []
        self._features: dict[str, dict[str, Any]] = {}
        self._stats: dict[str, Statistics] = {}
        self._videos: dict[str, _Video] = {}
        self._starts: list[int] = []  # of episodes, in rows
        self._count = self._repeats = self._far = 0
        self._poses = CameraPoses(target.source) if target.flag("trajectory") else None
        self._writer: Any = None
        self._last: dict[int, int] = {}

    def add(self, moment: Moment) -> None:
        """Append a row; a moment that not all cameras saw is left out."""
        if len(moment.frames) < len(self._names):
            return
        if not self._features:
            self._begin(moment)
        if moment.is_first or not self._starts:
            self._starts.append(self._count)
        row: dict[str, Any] = {}
        for place, frame in moment.frames.items():
            self._repeats += self._last.get(place) == frame.index
            self._last[place] = frame.index
            self._add_camera(row, self._names[place], frame)
            if self._poses is not None:
                self._poses.add(self._count, self._names[place], frame)
        self._add_counters(row)
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            self._flush()

    def finish(self) -> list[str]:
        """Write what describes the whole."""
        self._flush()
        self.close()
        went = self._add_poses(self._poses) if self._poses is not None else []
        self._write_meta()
        remarks = [*went, f"{len(self._starts)} episodes at {self._fps:g} frames a second"]
        if self._repeats:
            remarks.append(f"{self._repeats} frames stand twice, to keep that rate")
        if self._far:
            remarks.append(f"{self._far} pixels lie beyond 65.5 m: 0")
        return remarks

    def close(self) -> None:
        """Close all files."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        for video in self._videos.values():
            video.close()

    # ---- rows --------------------------------------------------------------------------------

    def _begin(self, moment: Moment) -> None:
        for place, frame in moment.frames.items():
            name, (height, width, _) = self._names[place], frame.color.shape
            color = f"observation.images.{name}"
            path = self._target.path / "videos" / color / f"{_FILE}.mp4"
            self._videos[color] = _Video(path, width // 2 * 2, height // 2 * 2, self._fps)
            self._features[color] = _color_feature(self._videos[color])
            for key in self._depth_keys(name):
                self._features[key] = _depth_feature(height, width)
            self._features[f"observation.{name}.time_s"] = _numbers("float64", 1)
            if frame.imu:
                self._features[f"observation.{name}.imu"] = _numbers("float32", 6)
        self._features["timestamp"] = _numbers("float32", 1)
        self._features |= {name: _numbers("int64", 1) for name in _COUNTED}
        self._stats = {key: Statistics(_stats_shape(f)) for key, f in self._features.items()}

    def _depth_keys(self, name: str) -> list[str]:
        keys = [f"observation.images.{name}_depth"]
        if self._target.source is DepthSource.REFINED:
            keys.append(f"observation.images.{name}_refined")
        return keys

    def _add_camera(self, row: dict[str, Any], name: str, frame: Frame) -> None:
        color = f"observation.images.{name}"
        video = self._videos[color]
        if frame.color.shape[0] // 2 * 2 != video.height or frame.color.shape[1] // 2 * 2 != (
            video.width
        ):
            raise ExportError(f"lerobot: {name} changes its size; choose a span with --frames")
        video.add(frame.color)
        small = frame.color[::_STATS_STEP, ::_STATS_STEP].transpose(2, 0, 1) / 255.0
        self._stats[color].add(small)
        depths = [frame.depth_raw * np.float64(frame.depth_scale_m)]
        if frame.recorded is not None:
            depths.append(frame.recorded.depth_m.astype(np.float64))
        for key, depth_m in zip(self._depth_keys(name), depths, strict=False):
            self._far += too_far(depth_m, _MM_M)
            millimetres = in_units(depth_m, _MM_M)
            row[key] = {"bytes": _png(millimetres), "path": f"{key}-{self._count:06d}.png"}
            self._stats[key].add(millimetres[None, ::_STATS_STEP, ::_STATS_STEP])
        self._put(row, f"observation.{name}.time_s", [frame.device_timestamp_us / 1e6])
        if f"observation.{name}.imu" in self._features:
            self._put(row, f"observation.{name}.imu", _mean_reading(frame))

    def _add_counters(self, row: dict[str, Any]) -> None:
        within = self._count - self._starts[-1]
        self._put(row, "timestamp", [within / self._fps])
        counters = (within, len(self._starts) - 1, self._count, 0)
        for name, value in zip(_COUNTED, counters, strict=True):
            self._put(row, name, [value])
        self._count += 1

    def _put(self, row: dict[str, Any], key: str, values: list[float]) -> None:
        row[key] = values[0] if self._features[key]["shape"] == [1] else values
        self._stats[key].add(np.array(values)[:, None])

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._rows:
            return
        table = pa.Table.from_pylist(self._rows, schema=self._schema())
        if self._writer is None:
            self._writer = pq.ParquetWriter(_made(self._data), table.schema, compression="snappy")
        self._writer.write_table(table)
        self._rows = []

    @property
    def _data(self) -> Path:
        return self._target.path / "data" / f"{_FILE}.parquet"

    def _add_poses(self, poses: CameraPoses) -> list[str]:
        """Put the cameras' ways into the rows; return what there is to say of them."""
        columns, remarks = poses.columns(self._count)
        append(self._data, columns)
        for key, values in columns.items():
            self._features[key] = {**_numbers("float32", len(NAMES)), "names": NAMES}
            self._stats[key] = Statistics((len(NAMES),))
            for value in values:
                self._stats[key].add(value)
        return remarks

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        kinds = {"float32": pa.float32(), "float64": pa.float64(), "int64": pa.int64()}
        fields = []
        for key, feature in self._features.items():
            if feature["dtype"] == "image":
                fields.append(pa.field(key, picture))
            elif feature["dtype"] != "video":
                kind, size = kinds[feature["dtype"]], feature["shape"][0]
                fields.append(pa.field(key, kind if size == 1 else pa.list_(kind, size)))
        return pa.schema(fields)

    # ---- what describes the whole ------------------------------------------------------------

    def _write_meta(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        meta = self._target.path / "meta"
        _made(meta / "info.json").write_text(json.dumps(self._info(), indent=4), "utf-8")
        stats = {key: found.as_dict() for key, found in self._stats.items()}
        (meta / "stats.json").write_text(json.dumps(stats, indent=4), "utf-8")
        tasks = pa.table({"task_index": [0], "task": [self._target.task]})
        pq.write_table(tasks.replace_schema_metadata(_INDEXED_BY_TASK), meta / "tasks.parquet")
        episodes = pa.Table.from_pylist([self._episode(i) for i in range(len(self._starts))])
        pq.write_table(episodes, _made(meta / "episodes" / f"{_FILE}.parquet"))

    def _info(self) -> dict[str, Any]:
        path = "chunk-{chunk_index:03d}/file-{file_index:03d}"
        return {
            "codebase_version": "v3.0",
            "robot_type": None,
            "total_episodes": len(self._starts),
            "total_frames": self._count,
            "total_tasks": 1,
            "chunks_size": 1000,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": int(self._fps) if self._fps == int(self._fps) else self._fps,
            "splits": {"train": f"0:{len(self._starts)}"},
            "data_path": f"data/{path}.parquet",
            "video_path": f"videos/{{video_key}}/{path}.mp4",
            "features": self._features,
        }

    def _episode(self, number: int) -> dict[str, Any]:
        first = self._starts[number]
        end = [*self._starts, self._count][number + 1]
        found: dict[str, Any] = {
            "episode_index": number,
            "tasks": [self._target.task],
            "length": end - first,
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": first,
            "dataset_to_index": end,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for key in self._videos:
            found |= {
                f"videos/{key}/chunk_index": 0,
                f"videos/{key}/file_index": 0,
                f"videos/{key}/from_timestamp": first / self._fps,
                f"videos/{key}/to_timestamp": end / self._fps,
            }
        return found


class _Video:
    """A video of one camera's colour at a steady rate."""

    def __init__(self, path: Path, width: int, height: int, fps: float) -> None:
        import av

        self.width, self.height, self.fps = width, height, fps
        self.codec = next(name for name in _CODECS if name in av.codecs_available)
        rate = Fraction(fps).limit_denominator(1001)
        self._container: Any = av.open(str(_made(path)), "w", format="mp4")
        self._container.metadata["comment"] = f"written by {MARK}"
        options = {"crf": "18", "g": str(_GOP)}
        self._stream = self._container.add_stream(self.codec, rate=rate, options=options)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = 1 / rate
        self._count = 0

    def add(self, color: npt.NDArray[np.uint8]) -> None:
        """Encode the next picture."""
        import av

        even = np.ascontiguousarray(color[: self.height, : self.width])
        picture = av.VideoFrame.from_ndarray(even, format="rgb24")
        picture.pts, picture.time_base = self._count, self._stream.codec_context.time_base
        self._count += 1
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Encode what is still held and close the file; safe more than once."""
        container, self._container = self._container, None
        if container is not None:
            container.mux(self._stream.encode(None))
            container.close()


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _png(image: npt.NDArray[np.uint16]) -> bytes:
    import cv2

    data: bytes = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    return data


def _mean_reading(frame: Frame) -> list[float]:
    """Return the mean acceleration and turning, 0 where none was read since the frame before."""
    pull = [s.acceleration_m_s2 for s in frame.imu if s.acceleration_m_s2 is not None]
    turn = [s.angular_velocity_rad_s for s in frame.imu if s.angular_velocity_rad_s is not None]
    means = [np.mean(v, axis=0) if v else np.zeros(3) for v in (pull, turn)]
    return [float(value) for value in np.concatenate(means)]


def _numbers(kind: str, size: int) -> dict[str, Any]:
    return {"dtype": kind, "shape": [size], "names": None}


def _depth_feature(height: int, width: int) -> dict[str, Any]:
    return {
        "dtype": "image",
        "shape": [height, width, 1],
        "names": ["height", "width", "channels"],
        "info": {"is_depth_map": True, "depth_unit": "mm"},
    }


def _color_feature(video: _Video) -> dict[str, Any]:
    codec = {"libx264": "h264", "libsvtav1": "av1"}.get(video.codec, video.codec)
    return {
        "dtype": "video",
        "shape": [video.height, video.width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": video.height,
            "video.width": video.width,
            "video.codec": codec,
            "video.pix_fmt": "yuv420p",
            "video.fps": video.fps,
            "video.channels": 3,
            "is_depth_map": False,
            "has_audio": False,
        },
    }


def _stats_shape(feature: dict[str, Any]) -> tuple[int, ...]:
    if feature["dtype"] in ("video", "image"):
        return (feature["shape"][2], 1, 1)
    return (feature["shape"][0],)


# The table's index is the task, as pandas notes it.
_INDEXED_BY_TASK = {
    "pandas": json.dumps(
        {
            "index_columns": ["task"],
            "column_indexes": [],
            "columns": [
                {
                    "name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy,
                    "metadata": None,
                }
                for name, kind, numpy in (
                    ("task_index", "int64", "int64"), ("task", "unicode", "object"),
                )
            ],
            "pandas_version": "2.0.0",
        }
    )
}  # fmt: skip
