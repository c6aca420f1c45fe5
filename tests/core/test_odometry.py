"""The way of a camera: standing still, walking, coming back, and what is written of it."""

from __future__ import annotations

import itertools

import moving_room
import numpy as np
import pytest
from moving_room import errors_m, view_of, walked

from lingbot_live.calibration.rig import move_of
from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.perception.landmarks import View
from lingbot_live.perception.odometry import Odometry
from lingbot_live.perception.pose_graph import Edge, optimised
from lingbot_live.perception.trajectory import drift_words, tum_lines


def length_m(poses):
    return sum(np.linalg.norm(b[:3, 3] - a[:3, 3]) for a, b in itertools.pairwise(poses))


def test_a_stereo_camera_that_stands_still_goes_nowhere():
    info = registry.find_camera("synthetic:stereo")
    odometry = Odometry()
    with registry.driver(info.driver).create(info, OFFLINE) as camera:
        for frame in itertools.islice(every_frame(camera), 12):
            assert odometry.follow(View.of(frame, frame.depth_m)) is not None
    assert odometry.length_m == 0
    assert odometry.keys == 1


def test_noisy_depth_alone_invents_little_motion():
    odometry = Odometry()
    for view in walked([moving_room.pose(0.3)] * 10, noise=0.004, blank=True):
        assert odometry.follow(view) is not None
    assert odometry.length_m < 0.03


@pytest.mark.parametrize(("noise", "share"), [(0.0, 0.01), (0.004, 0.02)])
def test_a_walk_is_found_within_a_hundredth_of_its_length(noise, share):
    poses = [moving_room.pose(n / 24) for n in range(24)]
    odometry = Odometry()
    places = [odometry.follow(view) for view in walked(poses, noise)]
    way = odometry.closed()
    off_m = errors_m([way.pose(place) for place in places], poses)
    assert np.sqrt(np.mean(off_m**2)) < share * length_m(poses)
    assert odometry.length_m == pytest.approx(length_m(poses), rel=0.03)


def test_a_view_of_another_place_is_not_placed():
    odometry = Odometry()
    first, other = walked([moving_room.pose(0.0), moving_room.pose(1.0)])
    assert odometry.follow(first) is not None
    assert odometry.follow(view_of(other.color * 0, np.zeros_like(other.depth_m))) is None
    assert odometry.follow(first).T_first_now == pytest.approx(np.eye(4), abs=1e-3)


def test_a_loop_spreads_the_error_that_gathered():
    """A square of 40 steps whose every step is 1 % too long and turns a little too far."""
    turn = move_of((0.1, 0, 0), (0, 0, 9.0)).matrix
    wrong = move_of((0.101, 0.0005, 0), (0, 0, 9.2)).matrix
    true = [np.linalg.matrix_power(turn, n) for n in range(41)]
    found = [np.linalg.matrix_power(wrong, n) for n in range(41)]
    information = np.diag([1e6] * 3 + [1e5] * 3)
    edges = [Edge(n, n + 1, wrong, information) for n in range(40)]
    edges.append(Edge(0, 40, true[40], 100 * information, is_loop=True))
    before, after = errors_m(found, true), errors_m(optimised(found, edges), true)
    assert after[-1] < 0.1 * before[-1]
    assert after.max() < 0.5 * before.max()


def test_tum_lines_hold_place_and_quaternion():
    pose = move_of((0.5, -0.25, 2.0), (0, 90.0, 0)).matrix
    head, first, second = tum_lines([(1.5, np.eye(4)), (2.0, pose)])
    assert head.startswith("#")
    assert [float(x) for x in first.split()] == [1.5, 0, 0, 0, 0, 0, 0, 1]
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        [float(x) for x in second.split()], [2.0, 0.5, -0.25, 2.0, 0, half, 0, half], atol=1e-6
    )


def test_what_is_said_of_drift():
    odometry = Odometry()
    odometry.follow(next(walked([np.eye(4)])))
    assert "drift is not known" in drift_words(odometry.closed())
