"""A session file as a sequence of frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.playtime import PlayTime
from lingbot_live.errors import CorruptRecordingError, RecordingError, did_you_mean
from lingbot_live.frame import Extrinsics, Frame, RefinedFrame
from lingbot_live.recording.bags import files, opening
from lingbot_live.recording.foreign import ForeignFile, Topics, TopicUse
from lingbot_live.recording.format import SESSION, Event, Role, check_version
from lingbot_live.recording.mcap.cdr import decode_poses
from lingbot_live.recording.mcap.cdr_cloud import decode_points
from lingbot_live.recording.mcap.places import Times
from lingbot_live.recording.own_file import OwnFile, is_own
from lingbot_live.recording.tracks import Track

log = logging.getLogger(__name__)


class Recording:
    """Random access to a session file, or to another program's recording.

    Those are MCAP files with topics of ROS or Foxglove, bags of ROS 1, and files and folders of
    rosbag2 (see `lingbot_live.recording.bags`).

    Frames of all cameras count as one sequence in order of time; `tracks` has them by camera.
    Nothing is decoded before it is asked for, so memory stays small whatever the file's length.

    Example::

        with Recording("desk.mcap") as recording:
            frame = recording[100]
            left = recording.tracks["realsense:f1234567"]
            refined = left.refined(left.index_at(recording.start_ns + 2_000_000_000))

    Raises:
        CorruptRecordingError: nothing in it can be read.
        RecordingVersionError: it was written by a newer version.
        RecordingError: it holds no colour and depth, or cannot be opened.
    """

    def __init__(self, path: str | Path, topics: Topics | None = None) -> None:
        self.path = Path(path).expanduser()
        self._closing = ExitStack()
        try:
            self._open(topics)
        except OSError as error:
            self.close()
            raise RecordingError(f"{self.path}: cannot be opened ({error.strerror})") from error
        except BaseException:
            self.close()
            raise

    def _open(self, topics: Topics | None) -> None:
        self.files = tuple(files.resolve(self.path))
        self._reader = opening.open_mcap(self.files, self._closing)
        self.metadata = {} if self._reader is None else dict(self._reader.index.metadata)
        check_version(self.metadata.get(SESSION, {}), str(self.path))
        self._file = self._own() or self._foreign(topics)
        self.is_own = isinstance(self._file, OwnFile)
        self.tracks: dict[str, Track] = {t.name: t for t in self._file.tracks if len(t)}
        if not self.tracks:
            raise CorruptRecordingError(f"{self.path}: no frame with colour and depth in it")
        self._owner, self._row, self._times = _merge(list(self.tracks.values()))
        own = self._file if isinstance(self._file, OwnFile) else None
        self.play_time = PlayTime(self._times, own.pauses_ns(self._times) if own else ())

    @property
    def topics(self) -> list[TopicUse]:
        """What every topic with messages holds, in the file's order."""
        return self._file.topics

    @property
    def size_bytes(self) -> int:
        """Of its files, as they lie on the disk."""
        return sum(file.stat().st_size for file in self.files)

    @property
    def damage(self) -> tuple[str, ...]:
        """What was found damaged so far, in words; empty for a file that is whole."""
        return () if self._reader is None else tuple(self._reader.index.damage)

    def check(self, most_s: float | None = None) -> tuple[int, int]:
        """Look for damage in the frames themselves, for ``most_s`` at most; `damage` says it.

        Returns:
            Chunks looked at, and chunks in all; none where it is no single MCAP file.
        """
        if self._reader is None:
            return 0, 0
        return self._reader.check(most_s), len(self._reader.index.chunks)

    # ---- frames ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._times)

    def __getitem__(self, index: int) -> Frame:
        track, row = self.locate(index)
        return track[row]

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            try:
                yield self[index]
            except CorruptRecordingError as error:
                log.warning("%s: frame %d passed over: %s", self.path, index, error)

    def refined(self, index: int) -> RefinedFrame | None:
        """Return the refined depth recorded for a frame; None if there is none."""
        track, row = self.locate(index)
        return track.refined(row)

    def points(self, index: int) -> dict[str, npt.NDArray[np.float32]] | None:
        """Return the followed points stored with a frame; None if there are none.

        Columns (N,) by name: x, y, z in metres, nan where unknown, in the axes that
        docs/session-format.md tells; id, u, v, visible, trust, and speed in metres a second.
        """
        track, row = self.locate(index)
        data = track.beside(Role.TRACKS, row)
        return None if data is None else decode_points(data)[1]

    def grasps(self, index: int) -> list[Extrinsics] | None:
        """Return the grasps stored with a frame, the best first; None if none was looked for."""
        track, row = self.locate(index)
        data = track.beside(Role.GRASPS, row)
        return None if data is None else decode_poses(data)[1]

    def locate(self, index: int) -> tuple[Track, int]:
        """Return the camera and its own index of a frame."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path}: frame {index} of {len(self)}")
        return list(self.tracks.values())[self._owner[index]], int(self._row[index])

    def track(self, name: str = "") -> Track:
        """Return a camera's frames by its name; the first camera's without one.

        Raises:
            RecordingError: there is no such camera; the message says which there are.
        """
        if not name:
            return next(iter(self.tracks.values()))
        if name not in self.tracks:
            raise RecordingError(
                f"{self.path}: no camera {name!r} in it.{did_you_mean(name, self.tracks)} "
                f"It has: {', '.join(self.tracks)}"
            )
        return self.tracks[name]

    def to_numpy(
        self, camera: str = "", frames: slice = slice(None)
    ) -> dict[str, npt.NDArray[np.generic]]:
        """Return a camera's frames as arrays; all of them are in memory at once.

        ``color`` (N, H, W, 3) uint8, ``depth_m`` (N, H, W) float32 metres, ``times_ns`` (N,),
        and ``refined_m`` (N, H, W) where each frame has refined depth.

        Raises:
            RecordingError: no such camera, or the frames differ in size.
        """
        track = self.track(camera)
        chosen = range(len(track))[frames]
        images = [track[row] for row in chosen]
        if len({frame.depth_raw.shape for frame in images}) != 1:
            raise RecordingError(f"{self.path}: {len(images)} frames of one size are needed")
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "color": np.stack([frame.color for frame in images]),
            "depth_m": np.stack([frame.depth_m for frame in images]),
            "times_ns": track.times_ns[frames],
        }
        if np.isin(track.times_ns[frames], track.refined_times_ns).all():
            found = (track.refined(row) for row in chosen)
            arrays["refined_m"] = np.stack([r.depth_m for r in found if r is not None])
        return arrays

    # ---- time and events ---------------------------------------------------------------------

    @property
    def times_ns(self) -> Times:
        """(N,) time of each frame since 1970, rising."""
        return self._times

    @property
    def start_ns(self) -> int:
        """Time of the first frame."""
        return int(self._times[0])

    @property
    def end_ns(self) -> int:
        """Time of the last frame."""
        return int(self._times[-1])

    @property
    def duration_s(self) -> float:
        """From the first frame to the last, as it is played: without long gaps."""
        return self.play_time.length_ns / 1e9

    @property
    def events(self) -> list[Event]:
        """Markers, drops, pauses and changes of the refiner, in order of time; read anew."""
        return self._file.events() if isinstance(self._file, OwnFile) else []

    def close(self) -> None:
        """Close the file; safe more than once."""
        self._closing.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- private -----------------------------------------------------------------------------

    def _own(self) -> OwnFile | None:
        reader = self._reader
        return OwnFile(reader) if reader is not None and is_own(reader) else None

    def _foreign(self, topics: Topics | None) -> ForeignFile:
        source = opening.open_source(self.files, self._reader, self._closing)
        stats = [(file.resolve(), file.stat()) for file in self.files]
        key = tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)
        file = ForeignFile(source, topics, key)
        if not file.tracks:
            raise file.nothing(str(self.path))
        return file


def _merge(tracks: list[Track]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Times]:
    """Return track, row and time of each frame of all tracks, in order of time."""
    times = np.concatenate([track.times_ns for track in tracks])
    owner = np.repeat(np.arange(len(tracks)), [len(track) for track in tracks])
    row = np.concatenate([np.arange(len(track)) for track in tracks])
    order = np.argsort(times, kind="stable")
    return owner[order], row[order], times[order]
