"""What is in a vendor's recording, as plain data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraInfo, first_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, EndOfStreamError
from lingbot_live.frame import Frame


def describe(address: str) -> dict[str, object]:
    """Return model, serial, firmware, streams, calibration, duration and frames (JSON-ready).

    Raises:
        CameraError: there is no such file, it is damaged, or no driver plays it.
        DriverUnavailableError: the make's SDK is not installed.
    """
    info = registry.find_camera(address)
    if not info.is_recording:
        raise BadRecordingError(f"{address}: a camera, not a recording; name a file")
    driver = registry.driver(info.driver)
    path = Path(info.target)
    # The counts come first: what they tell of a damaged file is exact and costs nothing.
    counts = driver.frame_counts(path) if path.is_file() else {}
    with driver.create(info, CameraConfig(loop=False, realtime=False)) as camera:
        return _of(camera, _first(camera), path, counts)


def _first(camera: Camera) -> Frame:
    try:
        return first_frame(camera)
    except EndOfStreamError as error:
        raise BadRecordingError(f"{camera.info.target}: no colour and depth in it") from error


def _of(camera: Camera, frame: Frame, path: Path, counts: dict[str, int]) -> dict[str, object]:
    info, playback = camera.info, camera.playback
    return {
        "file": str(path),
        "bytes": path.stat().st_size if path.is_file() else None,
        "driver": info.driver,
        "name": info.name,
        "serial": info.serial,
        "details": info.details,
        "duration_s": round(playback.duration_s, 6) if playback is not None else None,
        "frames": counts,
        "streams": _streams(info),
        "depth_scale_m": frame.depth_scale_m,
        "alignment": frame.alignment.value,
        "calibration": {k: v for k, v in asdict(frame.calibration).items() if v is not None},
    }


def _streams(info: CameraInfo) -> list[dict[str, object]]:
    return [asdict(profile) for profile in info.profiles]
