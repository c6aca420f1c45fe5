"""Sessions recorded by lingbot-live, and other programs' MCAP files, as cameras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lingbot_live.cameras.base import Camera, CameraInfo, Driver, RecordedFacts
from lingbot_live.cameras.places import split_target
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, CameraNotFoundError, RecordingError
from lingbot_live.recording.bags.files import SUFFIXES, holds_recording

if TYPE_CHECKING:
    from lingbot_live.recording.recording import Recording
    from lingbot_live.recording.tracks import Track


class PlaybackDriver(Driver):
    """Addresses: ``session:FILE.mcap``, ``session:FILE.mcap#CAMERA``, or just the file's path.

    Other programs' recordings too: MCAP, bags of ROS 1, files and folders of rosbag2, and those
    packed with Zstandard. There CAMERA may be ``DEPTH,COLOR,CAMERA_INFO``, its topics' names.
    """

    scheme = "session"
    title = "Recorded session"
    suffixes = SUFFIXES

    def discover(self) -> list[CameraInfo]:
        """Return nothing: files are named, not found."""
        return []

    def plays(self, path: Path) -> bool:
        """Whether it is such a file or folder; bags of their own cameras the SDKs' drivers take."""
        return holds_recording(path)

    def find(self, target: str) -> CameraInfo:
        """Return what a file says of its camera."""
        path, camera = split_target(target)
        with _opened(path, camera) as recording:
            return self._info(target, recording, recording.track(camera))

    def members(self, target: str) -> list[CameraInfo]:
        """Return all cameras of a file; the one that is named, if one is."""
        path, camera = split_target(target)
        with _opened(path, camera) as recording:
            tracks = [recording.track(camera)] if camera else recording.tracks.values()
            return [self._info(f"{path}#{t.name}", recording, t) for t in tracks]

    def _info(self, target: str, recording: Recording, track: Track) -> CameraInfo:
        facts = RecordedFacts(
            tuple(recording.tracks), len(track), len(track.refined_times_ns),
            recording.duration_s, tuple(recording.damage), tuple(track.remarks),
        )  # fmt: skip
        known = track.info or CameraInfo(self.scheme, target, track.name)
        return CameraInfo(
            self.scheme, target, known.name, known.serial, is_recording=True,
            details=known.details, recorded=facts,
        )  # fmt: skip

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return a player."""
        from lingbot_live.recording.player import Player

        path, camera = split_target(info.target)
        return Player(path, camera, info, config)


@contextmanager
def _opened(path: Path, camera: str) -> Iterator[Recording]:
    if not path.exists():
        raise CameraNotFoundError(f"session: no such file {path}; check the path")
    from lingbot_live.recording.foreign import Topics
    from lingbot_live.recording.recording import Recording

    try:
        with Recording(path, Topics.parse(camera)) as recording:
            yield recording
    except RecordingError as error:
        raise BadRecordingError(str(error)) from error
