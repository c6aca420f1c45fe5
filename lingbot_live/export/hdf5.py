"""Format ``hdf5``: one file with everything of a camera, by h5py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lingbot_live.export.shot import DepthSource, OneCalibration, Shot, Target
from lingbot_live.export.way import CameraWay
from lingbot_live.frame import ImuSample
from lingbot_live.perception.trajectory import pose_numbers
from lingbot_live.system.outputs import MARK

if TYPE_CHECKING:
    import h5py

INSTALL = 'pip install "lingbot-live[learning]"'
_NO_VECTOR = (np.nan, np.nan, np.nan)


class Hdf5Writer:
    """Writes ``color`` (N, H, W, 3) uint8, ``depth_raw`` (N, H, W) uint16 and what belongs to them.

    ``refined_m`` (N, H, W) float32 metres and ``mask`` with refined depth asked for; ``time_s``,
    ``device_timestamp_us`` and ``index`` (N,); group ``imu``; ``trajectory`` (M, 8) on request:
    time, place and unit quaternion as TUM has them. Attributes hold the rest.
    """

    def __init__(self, target: Target) -> None:
        import h5py

        self._target = target
        self._file: h5py.File | None = h5py.File(target.path, "w")
        self._calibration = OneCalibration("hdf5")
        self._packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        self._way = CameraWay() if target.flag("trajectory") else None
        self._imu: list[ImuSample] = []

    def add(self, shot: Shot) -> None:
        """Append a frame."""
        frame, intrinsics = shot.frame, self._calibration.of(shot)
        if "color" not in self._open:
            self._describe(shot)
        arrays: dict[str, Any] = {
            "color": frame.color,
            "depth_raw": frame.depth_raw,
            "time_s": np.float64(shot.time_s),
            "device_timestamp_us": np.int64(frame.device_timestamp_us),
            "index": np.int64(frame.index),
        }
        if shot.source is DepthSource.REFINED and frame.recorded is not None:
            arrays |= {"refined_m": shot.depth_m, "mask": frame.recorded.mask}
        for name, array in arrays.items():
            self._append(name, np.asarray(array))
        self._imu += frame.imu
        if self._way is not None:
            self._way.add(shot)
        self._open["depth_raw"].attrs["depth_scale_m"] = frame.depth_scale_m
        self._open.attrs["size"] = (intrinsics.width, intrinsics.height)

    def finish(self) -> list[str]:
        """Write what spans all frames."""
        if self._imu:
            self._write_imu()
        remarks = [] if self._way is None else [self._write_way(self._way)]
        self.close()
        return remarks

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    # ---- private -----------------------------------------------------------------------------

    @property
    def _open(self) -> h5py.File:
        if self._file is None:
            raise ValueError("the file is closed")
        return self._file

    def _describe(self, shot: Shot) -> None:
        camera, intrinsics = self._target.camera, shot.frame.intrinsics
        attributes = self._open.attrs
        attributes["app"] = f"written by {MARK}"
        attributes["camera"] = json.dumps(
            {"address": camera.address, "name": camera.name, "serial": camera.serial}
        )
        attributes["recorded"] = json.dumps(dict(self._target.recorded))
        attributes["K"] = intrinsics.matrix
        attributes["distortion"] = np.array(intrinsics.distortion, np.float64)

    def _append(self, name: str, array: npt.NDArray[Any]) -> None:
        if name not in self._open:
            packing = self._packing if array.ndim else {}
            chunk = (1, *array.shape) if array.ndim else (1024,)
            self._open.create_dataset(
                name, (0, *array.shape), array.dtype, maxshape=(None, *array.shape), chunks=chunk,
                **packing,
            )  # fmt: skip
        data = self._open[name]
        data.resize(len(data) + 1, axis=0)
        data[-1] = array

    def _write_imu(self) -> None:
        group = self._open.create_group("imu")
        times = [sample.device_timestamp_us for sample in self._imu]
        pull = [sample.acceleration_m_s2 or _NO_VECTOR for sample in self._imu]
        turn = [sample.angular_velocity_rad_s or _NO_VECTOR for sample in self._imu]
        group["device_timestamp_us"] = np.array(times, np.int64)
        group["acceleration_m_s2"] = np.array(pull, np.float64)
        group["angular_velocity_rad_s"] = np.array(turn, np.float64)

    def _write_way(self, way: CameraWay) -> str:
        poses, words = way.poses()
        rows = [(time_s, *pose_numbers(pose)) for time_s, pose in poses]
        self._open["trajectory"] = np.array(rows, np.float64).reshape(-1, 8)
        return words
