"""Format ``rrd``: a Rerun recording, by rerun-sdk."""

from __future__ import annotations

from typing import Any

from lingbot_live.errors import ExportError
from lingbot_live.export.shot import Shot, Target
from lingbot_live.export.way import CameraWay
from lingbot_live.recording.format import slug
from lingbot_live.recording.rerun_log import INSTALL, RerunLog, imported

__all__ = ["INSTALL", "RerunWriter"]


class RerunWriter:
    """Logs colour, raw and refined depth under one pinhole, so that Rerun shows pictures and cloud.

    Timelines: ``frame``, the place in the recording, and ``device_time``, seconds of the device's
    own clock. With ``trajectory`` the pinhole stands where the camera was, in the axes of its first
    frame.
    """

    def __init__(self, target: Target) -> None:
        rerun = imported("rrd", ExportError)
        path = slug(target.camera.address)
        self._way = CameraWay() if target.flag("trajectory") else None
        self._numbers: dict[float, int] = {}  # of frames by their time
        self._stream: Any = rerun.RecordingStream("lingbot-live")
        self._stream.save(str(target.path))
        self._log = RerunLog(rerun, self._stream, path, round(target.number("quality")))
        self._stream.log("/", rerun.ViewCoordinates.RDF, static=True)
        self._stream.log(path, rerun.AnyValues(camera=target.camera.name), static=True)

    def add(self, shot: Shot) -> None:
        """Log a frame."""
        self._stream.set_time("frame", sequence=shot.number)
        self._stream.set_time("device_time", duration=shot.time_s)
        self._log.frame(shot.frame)
        to_shot_s = shot.time_s - shot.frame.device_timestamp_us / 1e6
        for sample in shot.frame.imu:
            self._stream.set_time(
                "device_time", duration=sample.device_timestamp_us / 1e6 + to_shot_s
            )
            self._log.reading(sample)
        self._stream.set_time("device_time", duration=shot.time_s)
        if shot.refined_m is not None:
            self._log.refined(shot.refined_m)
        if self._way is not None:
            self._way.add(shot)
            self._numbers[shot.time_s] = shot.number

    def finish(self) -> list[str]:
        """Write what is still held."""
        remarks = [] if self._way is None else [self._log_way(self._way)]
        self.close()
        return remarks

    def _log_way(self, way: CameraWay) -> str:
        poses, words = way.poses()
        for time_s, pose in poses:
            self._stream.set_time("frame", sequence=self._numbers[time_s])
            self._stream.set_time("device_time", duration=time_s)
            self._log.stand(pose)
        return words

    def close(self) -> None:
        """Write what is still held, and let the file go.

        Raises:
            OSError: it could not be written.
        """
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.flush()
                stream.disconnect()
            except RuntimeError as error:  # newer releases tell that their writer gave up
                raise OSError(str(error)) from error
