"""Format ``rrd``: a Rerun recording, by rerun-sdk."""

from __future__ import annotations

from typing import Any

import numpy as np

from lingbot_live.errors import ExportError
from lingbot_live.export.shot import Shot, Target
from lingbot_live.recording.encode import encode_jpeg
from lingbot_live.recording.format import slug

INSTALL = 'pip install "lingbot-live[rerun]"'


class RerunWriter:
    """Logs colour, raw and refined depth under one pinhole, so that Rerun shows pictures and cloud.

    Timelines: ``frame``, the place in the recording, and ``device_time``, seconds of the device's
    own clock. Raw depth is in the sensor's unit, refined depth float metres; both say so.
    """

    def __init__(self, target: Target) -> None:
        self._rerun = _imported()
        self._quality = round(target.number("quality"))
        self._path = slug(target.camera.address)
        self._stream: Any = self._rerun.RecordingStream("lingbot-live")
        self._stream.save(str(target.path))
        self._intrinsics: object = None
        rerun = self._rerun
        self._stream.log("/", rerun.ViewCoordinates.RDF, static=True)
        self._stream.log(self._path, rerun.AnyValues(camera=target.camera.name), static=True)

    def add(self, shot: Shot) -> None:
        """Log a frame."""
        rerun, stream, frame = self._rerun, self._stream, shot.frame
        stream.set_time("frame", sequence=shot.number)
        stream.set_time("device_time", duration=shot.time_s)
        if frame.intrinsics != self._intrinsics:
            self._intrinsics = frame.intrinsics
            size = (frame.intrinsics.width, frame.intrinsics.height)
            pinhole = rerun.Pinhole(
                image_from_camera=frame.intrinsics.matrix,
                resolution=size,
                camera_xyz=rerun.ViewCoordinates.RDF,
            )
            stream.log(self._path, pinhole)
        self._log("color", self._color(shot))
        self._log("depth", rerun.DepthImage(frame.depth_raw, meter=1 / frame.depth_scale_m))
        if shot.refined_m is not None:
            self._log("refined", rerun.DepthImage(shot.refined_m, meter=1.0))

    def finish(self) -> list[str]:
        """Write what is still held."""
        self.close()
        return []

    def close(self) -> None:
        """Write what is still held, and let the file go."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.flush()
            stream.disconnect()

    def _log(self, name: str, what: object) -> None:
        self._stream.log(f"{self._path}/{name}", what)

    def _color(self, shot: Shot) -> Any:
        if self._quality == 0:
            return self._rerun.Image(np.asarray(shot.frame.color))
        jpeg = encode_jpeg(shot.frame.color, self._quality)
        return self._rerun.EncodedImage(contents=jpeg, media_type="image/jpeg")


def _imported() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise ExportError(
            f"rrd: rerun-sdk is installed but cannot be imported ({error}). Run: {INSTALL}"
        ) from error
    return rerun
