"""What a scene of a noisy stereo camera is exact to, where the walk of known poses begins."""

from __future__ import annotations

import threading

import numpy as np
import open3d as o3d
import pytest

from drivers.synthetic import walk
from drivers.synthetic.driver import drawn, pinhole, white_noise
from drivers.synthetic.sensors import FINE_M, SENSORS
from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.frame import Calibration, Frame
from lingbot_live.perception.reconstruction import Depth, Fusing, Reconstruction
from lingbot_live.perception.trust import trusted

POSES, STEP = 7, 6  # 10 cm apart


def frames():
    sensor, intrinsics = SENSORS["stereo"], pinhole(320, 240)
    noise, walked = white_noise(sensor, intrinsics, 0), walk.Walk(sensor, intrinsics, 0)
    calibration = Calibration(intrinsics, baseline_m=sensor.baseline_m)
    for number in range(POSES):
        pose = walked.rendered(number * STEP, threading.Event())
        raw = drawn(pose, np.random.default_rng((0, number)), noise, sensor.raw_table())
        true_m = np.multiply(pose.reference, np.float32(FINE_M), dtype=np.float32)
        yield Frame(
            "walk", number, 0, number * 200_000, pose.color, raw, sensor.depth_scale_m,
            calibration, reference_m=true_m,
        )  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    made = Reconstruction(Fusing(tuple(Depth), 0.02))
    engine = registry.create_refiner(RefinerConfig.parse("guided+steady"))
    for frame in frames():
        refined_m = trusted(engine.refine(frame), made.fusing.least_trust)
        depths_m = {Depth.RAW: frame.depth_m, Depth.REFINED: refined_m}
        assert made.add(frame, depths_m, frame.index / 5)
    made.finish()
    yield made
    made.close()
    engine.close()


def test_the_way_of_a_noisy_camera_is_as_long_as_it_was(scene):
    """Landmarks that slide and depth that leans would make it shorter."""
    start = np.linalg.inv(walk.true_pose(0))
    true = np.array([(start @ walk.true_pose(n * STEP))[:3, 3] for n in range(POSES)])
    found = np.array([pose[:3, 3] for _, pose in scene.trajectory()])
    length = np.linalg.norm(found[-1]) / np.linalg.norm(true[-1])
    assert 0.98 < length < 1.02


def test_surfaces_lie_where_they_are_and_refined_ones_not_worse(scene):
    body, first = walk.true_surface(), walk.true_pose(0)
    true = o3d.t.geometry.RaycastingScene()
    triangles = o3d.core.Tensor(body.triangles.astype(np.uint32))
    true.add_triangles(o3d.core.Tensor(body.vertices.astype(np.float32)), triangles)
    off_mm = {}
    for depth in Depth:
        points = np.asarray(scene.mesh(depth).vertices) @ first[:3, :3].T + first[:3, 3]
        distance_m = true.compute_distance(o3d.core.Tensor(points.astype(np.float32))).numpy()
        off_mm[depth] = 1000 * float(np.median(distance_m))
    assert off_mm[Depth.REFINED] < 12
    assert off_mm[Depth.REFINED] <= off_mm[Depth.RAW]
