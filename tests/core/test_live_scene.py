"""A scene reconstructed beside a session: in a process of its own, bounded, saved, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import moving_room
import numpy as np
import open3d as o3d
import pytest

from lingbot_live.export.live import LiveReconstruction, LiveState
from lingbot_live.frame import Calibration, Frame, RefinedFrame, RefinerInfo
from lingbot_live.perception.odometry import TrackState
from lingbot_live.perception.reconstruction import Depth, Fusing
from lingbot_live.quality.ruler import Box

FUSING = Fusing(tuple(Depth), voxel_m=0.03, far_m=5.0)


def until(condition, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Source:
    """Shows its taps what the test hands it."""

    feeds = ()

    def __init__(self):
        self.taps = []

    def add_tap(self, tap):
        self.taps.append(tap)

    def remove_tap(self, tap):
        self.taps.remove(tap)

    def show(self, what, camera="room"):
        for tap in self.taps:
            tap(camera, what)


def refined(number, color, depth_m):
    raw = np.rint(depth_m * 1e4).astype(np.uint16)
    calibration = Calibration(moving_room.INTRINSICS)
    frame = Frame("room", number, 0, number * 33_333, color, raw, 1e-4, calibration)
    moved = np.where(depth_m > 0, depth_m + np.float32(0.1), 0).astype(np.float32)  # told apart
    return RefinedFrame(frame, moved, moved > 0, RefinerInfo("test"), 0, 0)


@pytest.fixture(scope="module")
def shots():
    room = moving_room.scene()
    poses = [moving_room.pose(n / 24) for n in range(6)]
    return [refined(n, *moving_room.picture(room, pose)) for n, pose in enumerate(poses)]


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def scene(source):
    before = set(threading.enumerate())
    made = LiveReconstruction("room", FUSING)
    made.start(source)
    with contextlib.closing(made):
        yield made
    assert source.taps == []
    until(lambda: set(threading.enumerate()) <= before, 10)


def show(scene, source, shots):
    for shot in shots:
        looked_at = scene.status.news.frames + scene.status.news.left_out
        source.show(shot)
        until(lambda n=looked_at: scene.status.news.frames + scene.status.news.left_out > n)


def median_off_mm(points_m):
    start = moving_room.pose(0)
    points = points_m @ start[:3, :3].T + start[:3, 3]
    tensor = o3d.core.Tensor(points.astype(np.float32))
    return 1000 * np.median(moving_room.scene().compute_distance(tensor).numpy())


def test_both_depths_become_surfaces_that_are_switched_and_saved(scene, source, shots, tmp_path):
    source.show(shots[0], camera="another")
    show(scene, source, shots)
    status = scene.status
    assert (status.state, status.news.state) == (LiveState.RUNNING, TrackState.TRACKING)
    assert (status.news.frames, status.news.left_out) == (6, 0)
    surfaces = status.surfaces
    scene.show(Depth.RAW)
    until(lambda: scene.status.surfaces > surfaces)
    assert median_off_mm(scene.surface.points_m) < 15
    scene.save(tmp_path / "raw.ply")
    scene.show(Depth.REFINED)
    scene.save(tmp_path / "refined.glb")
    scene.save_way(tmp_path / "way.txt")
    until(lambda: scene.status.saves == 3)
    assert not scene.status.error
    raw, made = (
        np.asarray(o3d.io.read_triangle_mesh(tmp_path / name).vertices)
        for name in ("raw.ply", "refined.glb")
    )
    assert median_off_mm(raw) < 15
    assert median_off_mm(made) > 40  # refined depth is off by 0.1 m here
    assert len(np.loadtxt(tmp_path / "way.txt")) == 6
    assert len(list(tmp_path.iterdir())) == 3


def test_the_crop_box_crops_what_is_saved(scene, source, shots, tmp_path):
    show(scene, source, shots[:3])
    scene.show(Depth.RAW)
    scene.save(tmp_path / "part.ply", Box((-0.5, -1.0, 0.5), (0.5, 1.0, 3.0)))
    until(lambda: scene.status.saves == 1)
    points = np.asarray(o3d.io.read_triangle_mesh(tmp_path / "part.ply").vertices)
    assert len(points) > 100
    assert (np.abs(points) <= (0.5, 1.0, 3.0)).all()
    cropped = scene.surface.cropped(Box((-0.5, -1.0, 0.5), (0.5, 1.0, 3.0)))
    assert 0 < len(cropped.triangles) < len(scene.surface.triangles)
    assert (np.abs(cropped.points_m[cropped.triangles]) <= (0.5, 1.0, 3.0)).all()
    scene.save(tmp_path / "none.ply", Box((50.0, 50.0, 50.0), (51.0, 51.0, 51.0)))
    until(lambda: scene.status.error)
    assert "nothing of the scene lies in the crop box" in scene.status.error
    assert [path.name for path in tmp_path.iterdir()] == ["part.ply"]


def test_newer_frames_replace_those_that_wait(scene, source, shots):
    show(scene, source, shots[:1])
    for _ in range(20):
        source.show(shots[1])
    until(lambda: scene.status.news.frames >= 2)
    assert scene.status.dropped >= 15


def test_a_pause_takes_no_frames_and_a_reset_begins_anew(scene, source, shots):
    show(scene, source, shots[:3])
    scene.pause(True)
    assert scene.status.state is LiveState.PAUSED
    source.show(shots[3])
    scene.pause(False)
    scene.reset()
    until(lambda: scene.status.news.frames == 0)
    assert scene.surface is None
    show(scene, source, shots[:2])
    assert scene.status.news.frames == 2


def test_what_cannot_be_saved_is_said_and_the_scene_stays(scene, source, shots, tmp_path):
    show(scene, source, shots[:2])
    (tmp_path / "file").write_text("no folder")
    scene.save(tmp_path / "file" / "m.ply")
    until(lambda: scene.status.error)
    show(scene, source, shots[2:3])
    assert scene.status.news.frames == 3
    blank = refined(9, shots[0].frame.color // 9, np.zeros_like(shots[0].depth_m))
    show(scene, source, [blank] * 6)
    assert scene.status.news.state is TrackState.LOST
    assert (scene.status.news.frames, scene.status.news.left_out) == (3, 6)


def test_a_process_that_dies_is_said_and_the_session_goes_on(scene, source, shots):
    show(scene, source, shots[:1])
    os.kill(scene._child.process.pid, signal.SIGKILL)
    source.show(shots[1])
    until(lambda: scene.status.state is LiveState.FAILED)
    assert "its scene is lost" in scene.status.error
    source.show(shots[2])
    assert source.taps == []
