"""Points followed over time by one or several cameras, as files: CSV, NPZ, sessions, Rerun."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.colormap import point_colors
from lingbot_live.errors import ExportError
from lingbot_live.frame import Extrinsics, RefinedFrame
from lingbot_live.perception.tracks import Lifted, Points, Tracked
from lingbot_live.perception.trust import trust_map
from lingbot_live.recording.encode import optical_frame, trust_message
from lingbot_live.recording.format import slug
from lingbot_live.recording.found import (
    TRACKING_ENDS,
    FoundPoints,
    speed_m_s,
    tracking_begins,
)
from lingbot_live.recording.mcap.cdr import Header
from lingbot_live.recording.rerun_log import RerunLog, imported
from lingbot_live.recording.results import Results
from lingbot_live.system.outputs import MARK
from lingbot_live.system.writing import write_bytes, write_text

_HEAD = "frame,time_s,camera,point,u,v,visible,x_m,y_m,z_m,trust,speed_m_s"
_QUALITY = 90  # of pictures beside them


@dataclass(frozen=True, slots=True)
class TrackedCamera:
    """Whose points; they are told in the common axes, or without a pose in its own."""

    name: str
    info: CameraInfo
    pose: Extrinsics | None = None  # T_common_camera


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Where N points of one camera are in a frame of it."""

    camera: int  # its place among those of the input
    first_point: int  # its first point's number; no other camera's points have the same
    refined: RefinedFrame
    tracked: Tracked
    lifted: Lifted

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Of its points, (N,)."""
        return self.first_point + np.arange(len(self.tracked.pixels))


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What cameras saw at a time."""

    time_s: float  # since the first
    seen: tuple[Seen, ...]  # at least one camera's


class TrackFile(ABC):
    """One file of the tracks of one or several cameras."""

    def __init__(self, path: Path, cameras: Sequence[TrackedCamera]) -> None:
        self.path, self.cameras = path, tuple(cameras)

    @abstractmethod
    def add(self, moment: Moment) -> None:
        """Take the points of the next moment."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is left; WriteError or RecordingError where the disk does not take it."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of the file, whole or not; safe after `finish`."""

    def points(self, seen: Seen) -> Points:
        """Return (N, 3) metres in the axes asked for."""
        points_m, pose = seen.lifted.points_m, self.cameras[seen.camera].pose
        return points_m if pose is None else np.asarray(pose.apply(points_m), np.float32)


class CsvTracks(TrackFile):
    """One row a frame and point."""

    def __init__(self, path: Path, cameras: Sequence[TrackedCamera]) -> None:
        super().__init__(path, cameras)
        self._lines = io.StringIO(newline="")
        self._rows = csv.writer(self._lines, lineterminator="\n")
        self._rows.writerow(_HEAD.split(","))

    def add(self, moment: Moment) -> None:
        """Take the points of the next moment."""
        for seen in moment.seen:
            self._add(f"{moment.time_s:.6f}", seen)

    def _add(self, time_s: str, seen: Seen) -> None:
        points_m, speed, tracked = self.points(seen), speed_m_s(seen.lifted), seen.tracked
        index, camera = seen.refined.frame.index, self.cameras[seen.camera].name
        for row, (number, (u, v)) in enumerate(zip(seen.numbers, tracked.pixels, strict=True)):
            place = ("" if np.isnan(c) else f"{c:.4f}" for c in points_m[row])
            self._rows.writerow([
                index, time_s, camera, number, f"{u:.2f}", f"{v:.2f}", int(tracked.visible[row]),
                *place, f"{seen.lifted.trust[row]:.3f}", f"{speed[row]:.4f}",
            ])  # fmt: skip

    def finish(self) -> None:
        """Write the file."""
        write_text(self.path, self._lines.getvalue())


class NpzTracks(TrackFile):
    """Arrays over T moments and the N points of all cameras; of frames over T and C cameras.

    Where a camera saw nothing at a moment its frame is -1, its points are hidden, their places nan.
    """

    def __init__(self, path: Path, cameras: Sequence[TrackedCamera]) -> None:
        super().__init__(path, cameras)
        self._moments: list[tuple[float, list[_Row]]] = []

    def add(self, moment: Moment) -> None:
        """Take the points of the next moment."""
        self._moments.append((moment.time_s, [self._row(seen) for seen in moment.seen]))

    def _row(self, seen: Seen) -> _Row:
        told = {f.name: getattr(seen.lifted, f.name) for f in fields(seen.lifted)}
        told |= {f.name: getattr(seen.tracked, f.name) for f in fields(seen.tracked)}
        told |= {"points_m": self.points(seen)}
        return _Row(seen.camera, seen.refined.frame.index, seen.numbers, told)

    def finish(self) -> None:
        """Write the file."""
        rows = [(at, row) for at, (_, of) in enumerate(self._moments) for row in of]
        moments, points = len(self._moments), 1 + max(int(row.numbers.max()) for _, row in rows)
        frame = np.full((moments, len(self.cameras)), -1)
        camera = np.zeros(points, np.intp)
        arrays = {name: _absent(like, moments, points) for name, like in rows[0][1].told.items()}
        for at, row in rows:
            frame[at, row.camera], camera[row.numbers] = row.index, row.camera
            for name, values in row.told.items():
                arrays[name][at, row.numbers] = values
        named = np.array([one.name for one in self.cameras])
        packed = io.BytesIO()
        np.savez_compressed(
            packed, made_by=np.bytes_(MARK), camera=named[camera], frame=frame,
            time_s=np.array([time_s for time_s, _ in self._moments]), **arrays,
        )  # fmt: skip
        write_bytes(self.path, packed.getvalue())


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """What is told of one camera's points in a frame."""

    camera: int
    index: int
    numbers: npt.NDArray[np.int64]
    told: dict[str, npt.NDArray[Any]]


def _absent(like: npt.NDArray[Any], moments: int, points: int) -> npt.NDArray[Any]:
    nothing = False if like.dtype == bool else np.nan
    return np.full((moments, points, *like.shape[1:]), nothing, like.dtype)


class SessionTracks(TrackFile):
    """A session with the frames, refined depth, and topics of points; markers at both ends."""

    def __init__(self, path: Path, cameras: Sequence[TrackedCamera]) -> None:
        super().__init__(path, cameras)
        self._results = Results(path, [camera.info for camera in cameras])
        self._begun = False

    def add(self, moment: Moment) -> None:
        """Write the frames of a moment."""
        for seen in moment.seen:
            self._add(moment.time_s, seen)
        if not self._begun:
            count = sum(len(seen.numbers) for seen in moment.seen)
            self._results.mark(tracking_begins(count))
            self._begun = True

    def _add(self, time_s: float, seen: Seen) -> None:
        name, pose = self._results.names[seen.camera], self.cameras[seen.camera].pose
        stamp_ns = self._results.stamp_ns(time_s)
        found = FoundPoints(seen.refined.frame, seen.numbers, seen.tracked, seen.lifted, pose)
        messages = found.messages(name, stamp_ns)
        trust = trust_message(Header(stamp_ns, optical_frame(name)), trust_map(seen.refined))
        self._results.add(seen.camera, seen.refined, [*messages, trust])

    def finish(self) -> None:
        """Note the end and close the file."""
        self._results.mark(TRACKING_ENDS)
        self._results.finish()

    def close(self) -> None:
        """Close what `finish` did not."""
        self._results.close()


class RerunTracks(TrackFile):
    """A Rerun recording: pictures, depth, and Points3D of the tracks of all cameras together."""

    def __init__(self, path: Path, cameras: Sequence[TrackedCamera]) -> None:
        super().__init__(path, cameras)
        self._sdk = imported("track", ExportError)
        self._stream: Any = self._sdk.RecordingStream("lingbot-live")
        self._stream.save(str(path))
        self._stream.log("/", self._sdk.ViewCoordinates.RDF, static=True)
        names: list[str] = []
        for camera in cameras:
            names.append(slug(camera.info.address, names))
        self._logs = [RerunLog(self._sdk, self._stream, name, _QUALITY) for name in names]

    def add(self, moment: Moment) -> None:
        """Log the frames of a moment, where their cameras stand, and all points."""
        self._stream.set_time("frame", sequence=moment.seen[0].refined.frame.index)
        self._stream.set_time("device_time", duration=moment.time_s)
        for seen in moment.seen:
            log, pose = self._logs[seen.camera], self.cameras[seen.camera].pose
            if pose is not None:
                log.stand(np.asarray(pose.matrix))
            log.frame(seen.refined.frame)
            log.refined(seen.refined.depth_m)
        points_m = np.concatenate([self.points(seen) for seen in moment.seen])
        known = np.isfinite(points_m).all(1)
        names = np.concatenate([seen.numbers for seen in moment.seen])[known]
        points = self._sdk.Points3D(
            points_m[known], colors=point_colors(names), keypoint_ids=names, radii=0.008
        )
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
