"""Sessions recorded by lingbot-live, and other programs' MCAP files, as cameras."""

from __future__ import annotations

from lingbot_live.camera import Camera, CameraInfo, Driver
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, CameraNotFoundError, RecordingError
from lingbot_live.recording.format import split_target


class PlaybackDriver(Driver):
    """Addresses: ``session:FILE.mcap``, ``session:FILE.mcap#CAMERA``, or just the file's path."""

    scheme = "session"
    title = "Recorded session"
    suffixes = (".mcap",)

    def discover(self) -> list[CameraInfo]:
        """Return nothing: files are named, not found."""
        return []

    def find(self, target: str) -> CameraInfo:
        """Return what a file says of its camera."""
        path, camera = split_target(target)
        if not path.is_file():
            raise CameraNotFoundError(f"session: no such file {path}; check the path")
        from lingbot_live.recording.recording import Recording

        try:
            with Recording(path) as recording:
                track = recording.track(camera)
                name = track.info.name if track.info else track.name
                details = {
                    "cameras": ", ".join(recording.tracks),
                    "frames": str(len(track)),
                    "duration_s": f"{recording.duration_s:.3f}",
                }
                serial = track.info.serial if track.info else ""
        except RecordingError as error:
            raise BadRecordingError(str(error)) from error
        return CameraInfo(
            self.scheme, target, name, serial, is_recording=True, details=details
        )  # fmt: skip

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return a player."""
        from lingbot_live.recording.player import Player

        path, camera = split_target(info.target)
        return Player(path, camera, info, config)
