"""Formats ``images``, ``tum`` and ``npz``: frames as pictures and arrays."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.export.shot import DepthSource, OneCalibration, Shot, Target
from lingbot_live.export.way import CameraWay
from lingbot_live.frame import ColorImage, DepthMap, ImuSample, Intrinsics, RawDepth
from lingbot_live.perception.trajectory import tum_lines

TRAJECTORY = "trajectory.txt"
TUM_SCALE_M = 1 / 5000  # depth of a TUM sequence
_MM_M = 0.001
_MOST = 65534  # 65535 means "no measurement" to many programs, and to `folder:`


class ImageWriter:
    """Writes folders ``000042/`` as LingBot-Depth's examples are: `folder:` plays them.

    ``rgb.png``, ``raw_depth.png`` (16 bit, whole ``depth_unit_m``, by default millimetres),
    ``intrinsics.txt`` (3x3, pixels), with refined depth asked for ``refined_depth.png`` beside
    them, and as they came ``infrared.png`` and others of `lingbot_live.frame.EXTRAS`. What
    ``intrinsics.txt`` cannot say, another unit and a lens' distortion, stands in
    ``intrinsics.json``.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._unit_m = target.number("depth_unit_m")
        self._far = Counter[str]()
        self._is_distorted = False

    def add(self, shot: Shot) -> None:
        """Write a frame's folder."""
        frame, folder = shot.frame, self._target.path / shot.name
        folder.mkdir()
        write_color(folder / "rgb.png", frame.color)
        is_as_it_is = frame.depth_scale_m == self._unit_m
        raw_m = frame.depth_raw * np.float64(frame.depth_scale_m)
        raw = frame.depth_raw if is_as_it_is else self._units(raw_m, "raw")
        write_image(folder / "raw_depth.png", raw)
        if shot.source is DepthSource.REFINED:
            write_image(folder / "refined_depth.png", self._units(shot.depth_m, "refined"))
        for name, picture in frame.extras.items():
            write_image(folder / f"{name}.png", picture)
        np.savetxt(folder / "intrinsics.txt", frame.intrinsics.matrix, fmt="%.9g")
        self._is_distorted |= frame.intrinsics.is_distorted
        if frame.intrinsics.is_distorted or self._unit_m != _MM_M:
            _write_intrinsics(folder, frame.intrinsics, self._unit_m)

    def finish(self) -> list[str]:
        """Say which pixels do not fit, and what others will not see."""
        remarks = [_beyond(n, self._unit_m, f"{what} ") for what, n in self._far.items() if n]
        if self._is_distorted:
            remarks.append(
                "intrinsics.txt has no place for the lens' distortion: it stands in "
                "intrinsics.json, which folder: reads and LingBot-Depth's own scripts do not"
            )
        return remarks

    def close(self) -> None:
        """Nothing is open."""

    def _units(self, depth_m: DepthMap | npt.NDArray[np.float64], what: str) -> RawDepth:
        self._far[what] += too_far(depth_m, self._unit_m)
        return in_units(depth_m, self._unit_m)


class TumWriter:
    """Writes a sequence as the TUM RGB-D benchmark has them: ``rgb/``, ``depth/`` and lists.

    Time stamps are the device's, in seconds. Depth is 16 bit, 5000 a metre, so 13.1 m at most.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lines: list[str] = []
        self._way = CameraWay() if target.flag("trajectory") else None
        self._pulls: list[str] = []  # what the accelerometer read
        self._calibration = OneCalibration("tum")
        self._far = 0
        for name in ("rgb", "depth"):
            (target.path / name).mkdir()

    def add(self, shot: Shot) -> None:
        """Write colour and depth, both called by their time."""
        stamp, intrinsics = f"{shot.time_s:.6f}", self._calibration.of(shot)
        depth = in_units(_depth_m(shot), TUM_SCALE_M)
        self._far += too_far(_depth_m(shot), TUM_SCALE_M)
        write_color(self._target.path / "rgb" / f"{stamp}.png", shot.frame.color)
        write_image(self._target.path / "depth" / f"{stamp}.png", depth)
        self._lines.append(stamp)
        if self._way is not None:
            self._way.add(shot)
        to_shot_s = shot.time_s - shot.frame.device_timestamp_us / 1e6
        for sample in shot.frame.imu:
            if sample.acceleration_m_s2 is not None:
                numbers = " ".join(f"{n:.6f}" for n in sample.acceleration_m_s2)
                self._pulls.append(f"{sample.device_timestamp_us / 1e6 + to_shot_s:.6f} {numbers}")
        if len(self._lines) == 1:
            _write_intrinsics(self._target.path, intrinsics, TUM_SCALE_M)

    def finish(self) -> list[str]:
        """Write the lists; say which pixels do not fit."""
        for name, what in (("rgb", "color images"), ("depth", "depth maps")):
            rows = [f"{stamp} {name}/{stamp}.png" for stamp in self._lines]
            self._list(f"{name}.txt", f"# {what}\n# timestamp filename", rows)
        rows = [f"{stamp} rgb/{stamp}.png {stamp} depth/{stamp}.png" for stamp in self._lines]
        self._list("associations.txt", "", rows)
        if self._pulls:
            self._list("accelerometer.txt", "# accelerometer\n# timestamp ax ay az", self._pulls)
        far = [_beyond(self._far, TUM_SCALE_M)] if self._far else []
        return far if self._way is None else [*far, self._write_trajectory(self._way)]

    def _write_trajectory(self, way: CameraWay) -> str:
        poses, words = way.poses()
        self._list(TRAJECTORY, "", tum_lines(poses))
        return words

    def close(self) -> None:
        """Nothing is open."""

    def _list(self, name: str, head: str, rows: list[str]) -> None:
        lines = ([head] if head else []) + rows
        (self._target.path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


class ArrayWriter:
    """Writes ``000042.npz``: everything of a frame, nothing rounded.

    ``color`` (H, W, 3) uint8 RGB, ``depth_raw`` (H, W) uint16 and ``depth_scale_m``, ``depth_m``
    (H, W) float32 metres of the source asked for, ``K`` (3, 3), ``distortion``, ``time_s``,
    ``index``; ``mask`` (H, W) bool with refined depth; ``imu_time_s`` (K,) and the readings (K, 3)
    since the frame before.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._save: Any = np.savez_compressed if target.flag("compress") else np.savez

    def add(self, shot: Shot) -> None:
        """Write a frame's arrays."""
        frame = shot.frame
        arrays: dict[str, Any] = {
            "color": frame.color,
            "depth_raw": frame.depth_raw,
            "depth_scale_m": frame.depth_scale_m,
            "depth_m": shot.depth_m,
            "K": frame.intrinsics.matrix,
            "distortion": np.array(frame.intrinsics.distortion, np.float64),
            "time_s": shot.time_s,
            "index": frame.index,
            **_imu_arrays(frame.imu),
        }
        if shot.source is DepthSource.REFINED and frame.recorded is not None:
            arrays["mask"] = frame.recorded.mask
        arrays.update(frame.extras)
        packed = io.BytesIO()  # a ZIP on a disk that fails complains once more when it goes
        self._save(packed, **arrays)
        (self._target.path / f"{shot.name}.npz").write_bytes(packed.getvalue())

    def finish(self) -> list[str]:
        """Nothing is left."""
        return []

    def close(self) -> None:
        """Nothing is open."""


def _imu_arrays(samples: tuple[ImuSample, ...]) -> dict[str, Any]:
    """Return readings as arrays, nan for what one does not hold; none where there are none."""
    if not samples:
        return {}
    none = (np.nan, np.nan, np.nan)
    return {
        "imu_time_s": np.array([s.device_timestamp_us for s in samples]) / 1e6,
        "imu_acceleration_m_s2": np.array([s.acceleration_m_s2 or none for s in samples]),
        "imu_angular_velocity_rad_s": np.array([s.angular_velocity_rad_s or none for s in samples]),
    }


def in_units(depth_m: DepthMap | npt.NDArray[np.float64], unit_m: float) -> RawDepth:
    """Return depth in whole units, (H, W) uint16, rounded; what does not fit becomes 0."""
    units = np.rint(np.asarray(depth_m, np.float64) / unit_m)
    fitting: RawDepth = np.where(units <= _MOST, units, 0).astype(np.uint16)
    return fitting


def write_image(path: Path, image: npt.NDArray[Any]) -> None:
    """Write a PNG of one channel, or of BGR.

    Raises:
        OSError: it cannot be written.
    """
    import cv2

    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def write_color(path: Path, color: ColorImage) -> None:
    """Write an RGB picture as PNG. Raises as `write_image`."""
    import cv2

    write_image(path, cv2.cvtColor(color, cv2.COLOR_RGB2BGR))


def _depth_m(shot: Shot) -> npt.NDArray[Any]:
    """The depth asked for, without the rounding of float32 where it is raw."""
    if shot.source is DepthSource.REFINED:
        return shot.depth_m
    return shot.frame.depth_raw * np.float64(shot.frame.depth_scale_m)


def too_far(depth_m: npt.NDArray[Any], unit_m: float) -> int:
    """Return how many pixels have depth that does not fit into 16 bit of ``unit_m``."""
    return int(np.count_nonzero(np.rint(np.asarray(depth_m, np.float64) / unit_m) > _MOST))


def _beyond(count: int, unit_m: float, what: str = "") -> str:
    return f"{count} {what}pixels lie beyond {_MOST * unit_m:.1f} m: 0"


def _write_intrinsics(folder: Path, intrinsics: Intrinsics, unit_m: float) -> None:
    values = {**asdict(intrinsics), "depth_scale_m": unit_m}
    (folder / "intrinsics.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
