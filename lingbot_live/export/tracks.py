"""Points followed over time, as files: CSV, NPZ, a session with a topic of points, Rerun."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import ConfigError, ExportError
from lingbot_live.frame import Extrinsics, RefinedFrame, TrustMap
from lingbot_live.perception.tracks import Lifted, Tracked
from lingbot_live.recording.encode import optical_frame, trust_message
from lingbot_live.recording.format import Role, slug
from lingbot_live.recording.mcap.cdr import encode_points
from lingbot_live.recording.rerun_log import RerunLog, imported
from lingbot_live.recording.results import Results
from lingbot_live.system.outputs import MARK
from lingbot_live.system.writing import write_bytes, write_text

_HEAD = "frame,time_s,point,u,v,visible,x_m,y_m,z_m,trust,speed_m_s"
_QUALITY = 90  # of pictures beside them


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """Where N points are in one frame."""

    refined: RefinedFrame
    time_s: float  # since the first
    tracked: Tracked
    lifted: Lifted
    trust: TrustMap  # (H, W) of its refined depth

    @property
    def speed_m_s(self) -> Any:
        """Of each point, (N,)."""
        return np.linalg.norm(self.lifted.velocity_m_s, axis=1)


class TrackFile(ABC):
    """One file of tracks. With ``pose`` (``T_common_camera``) points are told in other axes."""

    def __init__(self, path: Path, info: CameraInfo, pose: Extrinsics | None) -> None:
        self.path, self.info, self.pose = path, info, pose

    @abstractmethod
    def add(self, moment: Moment) -> None:
        """Take the points of the next frame."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is left; WriteError or RecordingError where the disk does not take it."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of the file, whole or not; safe after `finish`."""

    def points(self, moment: Moment) -> Any:
        """Return (N, 3) metres in the axes asked for."""
        points_m = moment.lifted.points_m
        return points_m if self.pose is None else self.pose.apply(points_m)


class CsvTracks(TrackFile):
    """One row a frame and point."""

    def __init__(self, path: Path, info: CameraInfo, pose: Extrinsics | None) -> None:
        super().__init__(path, info, pose)
        self._lines: list[str] = []

    def add(self, moment: Moment) -> None:
        """Take the points of the next frame."""
        points_m, speed = self.points(moment), moment.speed_m_s
        tracked, index = moment.tracked, moment.refined.frame.index
        for point, (u, v) in enumerate(tracked.pixels):
            x, y, z = ("" if np.isnan(c) else f"{c:.4f}" for c in points_m[point])
            self._lines.append(
                f"{index},{moment.time_s:.6f},{point},{u:.2f},{v:.2f},"
                f"{int(tracked.visible[point])},{x},{y},{z},"
                f"{moment.lifted.trust[point]:.3f},{speed[point]:.4f}"
            )

    def finish(self) -> None:
        """Write the file."""
        write_text(self.path, "\n".join([_HEAD, *self._lines]) + "\n")


class NpzTracks(TrackFile):
    """Arrays over T frames and N points."""

    def __init__(self, path: Path, info: CameraInfo, pose: Extrinsics | None) -> None:
        super().__init__(path, info, pose)
        self._rows: list[dict[str, Any]] = []

    def add(self, moment: Moment) -> None:
        """Take the points of the next frame."""
        row = {f.name: getattr(moment.lifted, f.name) for f in fields(moment.lifted)}
        row |= {f.name: getattr(moment.tracked, f.name) for f in fields(moment.tracked)}
        row |= {"points_m": self.points(moment), "time_s": moment.time_s}
        self._rows.append({**row, "frame": moment.refined.frame.index})

    def finish(self) -> None:
        """Write the file."""
        arrays = {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
        packed = io.BytesIO()
        np.savez_compressed(packed, made_by=np.bytes_(MARK), **arrays)
        write_bytes(self.path, packed.getvalue())


class SessionTracks(TrackFile):
    """A session with the frames, refined depth, and a topic of points; markers at both ends."""

    def __init__(self, path: Path, info: CameraInfo, pose: Extrinsics | None) -> None:
        super().__init__(path, info, pose)
        self._results = Results(path, info)
        self._frame_id = optical_frame(self._results.name) if pose is None else "rig"
        self._count = 0

    def add(self, moment: Moment) -> None:
        """Write a frame."""
        header = self._results.header(moment.refined.frame, self._frame_id)
        places = self.points(moment).astype(np.float32)
        columns = dict(zip("xyz", places.T, strict=True))
        columns["id"] = np.arange(len(places), dtype=np.float32)
        columns["u"], columns["v"] = moment.tracked.pixels.T
        columns["visible"] = moment.tracked.visible.astype(np.float32)
        columns["trust"], columns["speed"] = moment.lifted.trust, moment.speed_m_s
        points = (Role.TRACKS, encode_points(header, columns))
        self._results.add(moment.refined, [points, trust_message(header, moment.trust)])
        if not self._count:
            self._results.mark(f"tracking of {len(places)} points begins")
        self._count += 1

    def finish(self) -> None:
        """Note the end and close the file."""
        self._results.mark("tracking ends")
        self._results.finish()

    def close(self) -> None:
        """Close what `finish` did not."""
        self._results.close()


class RerunTracks(TrackFile):
    """A Rerun recording: pictures, depth, and Points3D of the tracks."""

    def __init__(self, path: Path, info: CameraInfo, pose: Extrinsics | None) -> None:
        super().__init__(path, info, pose)
        self._sdk = imported("track", ExportError)
        self._stream: Any = self._sdk.RecordingStream("lingbot-live")
        self._stream.save(str(path))
        self._stream.log("/", self._sdk.ViewCoordinates.RDF, static=True)
        self._log = RerunLog(self._sdk, self._stream, slug(info.address), _QUALITY)
        self._colors = np.random.default_rng(0).integers(64, 256, (4096, 3), np.uint8)

    def add(self, moment: Moment) -> None:
        """Log a frame."""
        self._stream.set_time("frame", sequence=moment.refined.frame.index)
        self._stream.set_time("device_time", duration=moment.time_s)
        self._log.frame(moment.refined.frame)
        self._log.refined(moment.refined.depth_m)
        points_m = self.points(moment)
        known = np.isfinite(points_m).all(1)
        names = np.flatnonzero(known)
        colors = self._colors[names % len(self._colors)]
        points = self._sdk.Points3D(points_m[known], colors=colors, keypoint_ids=names, radii=0.008)
        self._stream.log("tracks", points)

    def finish(self) -> None:
        """Write what is still held."""
        self.close()

    def close(self) -> None:
        """Write what is still held, and let the file go."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.flush()
            stream.disconnect()


KINDS: dict[str, type[TrackFile]] = {
    ".csv": CsvTracks,
    ".npz": NpzTracks,
    ".mcap": SessionTracks,
    ".rrd": RerunTracks,
}


def check_track_files(paths: list[Path]) -> None:
    """Raise ConfigError where a name says no known kind, twice the same, or is taken."""
    for path in paths:
        if path.suffix.lower() not in KINDS:
            known = ", ".join(f"FILE{suffix}" for suffix in KINDS)
            raise ConfigError(f"{path}: name one of {known}")
        if path.exists():
            raise ConfigError(f"{path}: exists already; choose another name")
    if len({path.suffix.lower() for path in paths}) != len(paths):
        raise ConfigError("track: one output of each kind")
