"""The simulated walk as frames with true poses, rendered once and kept in the user's cache."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open3d as o3d

from drivers.synthetic import walk
from drivers.synthetic.driver import drawn, pinhole, white_noise
from drivers.synthetic.loop import Pose, cache_root, save_pose, saved_pose
from drivers.synthetic.sensors import FINE_M, SENSORS
from lingbot_live.frame import Calibration, Frame, Matrix

STEP = 6  # every sixth pose: 10 cm from the last, as at 5 frames a second


class TrueWalk:
    """Frames of one sensor on the walk, at 640x480, with fresh noise; and what is true."""

    def __init__(self, sensor: str = "stereo", step: int = STEP) -> None:
        self._sensor = SENSORS[sensor]
        self.intrinsics = pinhole(640, 480)
        digest = zlib.crc32(Path(walk.__file__).read_bytes())
        self._folder = cache_root() / f"{sensor}-walk-{digest:08x}"
        self._walk = walk.Walk(self._sensor, self.intrinsics, 0)
        self.indices = list(range(0, walk.POSES, step))
        start = np.linalg.inv(walk.true_pose(0))
        self.poses: list[Matrix] = [start @ walk.true_pose(k) for k in self.indices]

    def frames(self) -> Iterator[Frame]:
        calibration = Calibration(self.intrinsics, baseline_m=self._sensor.baseline_m)
        noise = white_noise(self._sensor, self.intrinsics, 0)
        for number, index in enumerate(self.indices):
            pose = self._pose(index)
            raw = drawn(pose, np.random.default_rng((0, number)), noise, self._sensor.raw_table())
            true_m = np.multiply(pose.reference, np.float32(FINE_M), dtype=np.float32)
            yield Frame(
                "walk", number, 0, round(index * 1e6 / 30), pose.color, raw,
                self._sensor.depth_scale_m, calibration, reference_m=true_m,
            )  # fmt: skip

    def off_mm(self, points_m: np.ndarray) -> np.ndarray:
        """Distance of points (N, 3), in the first camera's axes, from the nearest true surface."""
        scene, body, first = (
            o3d.t.geometry.RaycastingScene(),
            walk.true_surface(),
            walk.true_pose(0),
        )
        triangles = o3d.core.Tensor(body.triangles.astype(np.uint32))
        scene.add_triangles(o3d.core.Tensor(body.vertices.astype(np.float32)), triangles)
        there = points_m @ first[:3, :3].T + first[:3, 3]
        found: np.ndarray = scene.compute_distance(
            o3d.core.Tensor(there.astype(np.float32))
        ).numpy()
        return 1000 * found

    def _pose(self, index: int) -> Pose:
        path = self._folder / f"{index:03}.npz"
        found = saved_pose(path)
        if found is None:
            found = self._walk.rendered(index, threading.Event())
            save_pose(path, found)
        return found


def trajectory_mm(found: list[Matrix], true: list[Matrix]) -> float:
    """Root mean square of the places' distances after the ways were laid on each other.

    Absolute trajectory error (Sturm et al., IROS 2012); alignment by Umeyama (PAMI 1991).
    """
    a, b = (np.array([pose[:3, 3] for pose in poses]) for poses in (found, true))
    a, b = a - a.mean(0), b - b.mean(0)
    u, _, vt = np.linalg.svd(b.T @ a)
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    return float(1000 * np.sqrt(np.mean(np.sum((b - a @ turn.T) ** 2, axis=1))))
