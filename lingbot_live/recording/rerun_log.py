"""Frames as Rerun shows them: pictures and cloud under one pinhole. For exports and for viewers."""

from __future__ import annotations

from typing import Any

import numpy as np

from lingbot_live.errors import LingbotLiveError
from lingbot_live.frame import ColorImage, DepthMap, Frame, ImuSample, Intrinsics, Matrix
from lingbot_live.recording.encode import encode_jpeg
from lingbot_live.system.worker import IMPORTS

INSTALL = 'pip install "lingbot-live[rerun]"'


class RerunLog:
    """Logs one camera's frames to a Rerun stream, below the entity ``path``.

    Raw depth is in the sensor's unit, refined depth float metres; both say so. The caller sets the
    stream's time.
    """

    def __init__(self, sdk: Any, stream: Any, path: str, quality: int) -> None:
        self._sdk, self._stream, self._path, self._quality = sdk, stream, path, quality
        self._intrinsics: Intrinsics | None = None

    def frame(self, frame: Frame) -> None:
        """Log colour, raw depth, and the pinhole where it is another than before."""
        if frame.intrinsics != self._intrinsics:
            self._intrinsics = frame.intrinsics
            size = (frame.intrinsics.width, frame.intrinsics.height)
            pinhole = self._sdk.Pinhole(
                image_from_camera=frame.intrinsics.matrix,
                resolution=size,
                camera_xyz=self._sdk.ViewCoordinates.RDF,
            )
            self._stream.log(self._path, pinhole)
        self._log("color", self._color(frame.color))
        self._log("depth", self._sdk.DepthImage(frame.depth_raw, meter=1 / frame.depth_scale_m))

    def refined(self, depth_m: DepthMap) -> None:
        """Log refined depth."""
        self._log("refined", self._sdk.DepthImage(depth_m, meter=1.0))

    def stand(self, T_scene_camera: Matrix) -> None:
        """Log where the camera was, (4, 4)."""
        turn, place = T_scene_camera[:3, :3], T_scene_camera[:3, 3]
        self._stream.log(self._path, self._sdk.Transform3D(translation=place, mat3x3=turn))

    def reading(self, sample: ImuSample) -> None:
        """Log a reading of the inertial sensors, at the stream's present time."""
        for name, vector in (
            ("acceleration_m_s2", sample.acceleration_m_s2),
            ("angular_velocity_rad_s", sample.angular_velocity_rad_s),
        ):
            if vector is not None:
                self._log(f"imu/{name}", self._sdk.Scalars(list(vector)))

    def _log(self, name: str, what: object) -> None:
        self._stream.log(f"{self._path}/{name}", what)

    def _color(self, color: ColorImage) -> Any:
        if self._quality == 0:
            return self._sdk.Image(np.asarray(color))
        jpeg = encode_jpeg(color, self._quality)
        return self._sdk.EncodedImage(contents=jpeg, media_type="image/jpeg")


def imported(who: str, error_kind: type[LingbotLiveError]) -> Any:
    """Return rerun-sdk's module.

    Raises:
        LingbotLiveError: an ``error_kind``, for it cannot be imported.
    """
    try:
        with IMPORTS:
            import rerun
    except ImportError as error:
        raise error_kind(
            f"{who}: rerun-sdk cannot be imported ({error}). Run: {INSTALL}"
        ) from error
    return rerun
