"""Measuring in space against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from lingbot_live.calibration.rig import move_of
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Intrinsics
from lingbot_live.geometry import deproject
from lingbot_live.quality.ruler import EDGES, Box, angle_deg, length_m, plane_through, probe

K = Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)


def test_a_tilted_noisy_plane_gives_its_noise_and_angle():
    rng = np.random.default_rng(0)
    xy = rng.uniform(-0.5, 0.5, (4000, 2))
    pose = move_of((0.1, 0.2, 1.5), (25.0, 0, 0))
    points = pose.apply(np.c_[xy, rng.normal(0, 0.004, 4000)])
    points[:400] += [0, 0, 0.5]  # something else behind it
    found = plane_through(points)
    assert found.rms_mm == pytest.approx(4.0, rel=0.05)
    assert found.tilt_deg == pytest.approx(25.0, abs=0.1)
    assert found.inlier_share == pytest.approx(0.9, abs=0.005)
    true_m = abs(np.dot(np.array(pose.rotation)[:, 2], pose.translation_m))
    assert found.distance_m == pytest.approx(true_m, abs=0.001)
    assert found.points == 4000
    np.testing.assert_allclose(found.centre_m, [0.1, 0.2, 1.5], atol=0.02)


def test_no_plane_through_two_points_or_a_line():
    assert plane_through(np.zeros((2, 3))) is None
    assert plane_through(np.outer(np.arange(9.0), [1, 2, 3])) is None


def test_lengths_and_angles():
    assert length_m((0, 0, 1), (0.3, 0.4, 1)) == pytest.approx(0.5)
    assert angle_deg((1, 0, 0), (-1, 1e-5, 0)) == pytest.approx(np.degrees(1e-5), rel=1e-6)
    assert angle_deg((0, 2, 0), (0, 0, 3)) == pytest.approx(90)


def test_a_box_holds_what_lies_inside():
    box = Box((-1, 0, 1), (1, 2, 3))
    points = np.array([[0, 1, 2], [1, 2, 3], [1.01, 1, 2], [0, -0.1, 2], [0, 1, 0.9]])
    np.testing.assert_array_equal(box.holds(points), [True, True, False, False, False])
    corners = box.corners_m
    lengths = [np.abs(corners[a] - corners[b]) for a, b in EDGES]
    assert len(EDGES) == 12
    assert sorted(np.count_nonzero(way) for way in lengths) == [1] * 12
    np.testing.assert_allclose(np.sum(lengths, 0), [8, 8, 8])
    with pytest.raises(ConfigError, match="holds nothing"):
        Box((0, 0, 0), (1, 0, 1))


def test_a_box_round_points_leaves_out_strays():
    points = np.random.default_rng(0).uniform(0, 1, (10_000, 3))
    points[:50] = 40
    box = Box.around(points, margin_m=0.0)
    assert box.high_m[0] < 1.01
    assert box.holds(points).mean() > 0.93
    assert Box.around(np.empty((0, 3))) is None


def test_every_camera_tells_its_depth_at_a_point():
    raw = np.full((48, 64), 1.5, np.float32)
    refined = raw + np.float32(0.01)
    refined[20, 40] = 1.47
    T_common_camera = move_of((0.2, 0, 0), (0, -8.0, 0))
    point = T_common_camera.apply(deproject(raw, K)[20, 40])
    found = probe(tuple(point), T_common_camera.inverse(), K, raw, refined)
    assert found.pixel == (40, 20)
    assert found.true_m == pytest.approx(1.5, abs=1e-6)
    assert (found.raw_m, found.refined_m) == (1.5, np.float32(1.47))
    assert probe((5.0, 0, 1.0), T_common_camera.inverse(), K, raw, refined) is None
    assert probe((0.2, 0, -1.0), T_common_camera.inverse(), K, raw, refined) is None
