"""Scenes out of walks: lost and found again, loops, both depths, what bad input is told."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time

import cv2
import moving_room
import numpy as np
import open3d as o3d
import pytest
from command import command
from moving_room import view_of

from drivers.synthetic import walk
from drivers.synthetic.driver import pinhole
from drivers.synthetic.sensors import FINE_M, SENSORS
from lingbot_live.cameras.readings import every_frame
from lingbot_live.cameras.registry import create_camera
from lingbot_live.config import CameraConfig
from lingbot_live.errors import ConfigError, ReconstructionError
from lingbot_live.perception.kept import KeptFrames
from lingbot_live.perception.odometry import Odometry, TrackState
from lingbot_live.perception.reconstruction import Depth, Fusing, Reconstruction
from lingbot_live.perception.volume import Volume, open3d_device


def off_mm(path_or_mesh, phase=0.0):
    """Distances of a mesh's vertices from the true walls."""
    mesh = path_or_mesh
    if not isinstance(mesh, o3d.geometry.TriangleMesh):
        mesh = o3d.io.read_triangle_mesh(path_or_mesh)
    start = moving_room.pose(phase)
    points = np.asarray(mesh.vertices) @ start[:3, :3].T + start[:3, 3]
    tensor = o3d.core.Tensor(points.astype(np.float32))
    return 1000 * moving_room.scene().compute_distance(tensor).numpy()


def test_a_lost_camera_is_found_again_where_it_was_before():
    size = pinhole(320, 240)
    rendered = walk.Walk(SENSORS["stereo"], size, 0).rendered
    numbers = range(0, 36, 3)
    poses = [walk.true_pose(number) for number in numbers]
    made = [rendered(number, threading.Event()) for number in numbers]
    depths_m = [np.multiply(pose.mean, np.float32(FINE_M), dtype=np.float32) for pose in made]
    views = [view_of(p.color, depth_m, size) for p, depth_m in zip(made, depths_m, strict=True)]
    odometry = Odometry()
    for view in views:
        assert odometry.follow(view) is not None
    for _ in range(7):
        assert odometry.follow(view_of(views[0].color // 9, views[0].depth_m * 0, size)) is None
    assert odometry.state is TrackState.LOST
    found = [odometry.follow(views[2]) for _ in range(3)]  # far from where it was lost
    place = next(p for p in found if p is not None)
    assert odometry.state is TrackState.TRACKING
    assert odometry.found_again == 1
    true = np.linalg.inv(poses[0]) @ poses[2]
    assert np.linalg.norm((odometry.pose(place) - true)[:3, 3]) < 0.02


@pytest.mark.parametrize("noise_m", [0.003, 0.01, 0.03])
def test_a_bare_wall_shows_no_way(noise_m):
    wall = np.full((moving_room.HEIGHT, moving_room.WIDTH), 2.0, np.float32)
    rng = np.random.default_rng(0)
    gray = np.full((*wall.shape, 3), 128, np.uint8)
    odometry = Odometry()
    places = [
        odometry.follow(view_of(gray, wall + rng.normal(0, noise_m, wall.shape))) for _ in range(8)
    ]
    assert places[0] is not None
    assert places[1:] == [None] * 7
    assert odometry.state is TrackState.LOST
    assert odometry.length_m == 0


def test_kept_frames_come_back_in_any_order(tmp_path):
    rng = np.random.default_rng(0)
    kept = KeptFrames(tmp_path)
    depths = [rng.uniform(0.3, 9, (12, 16)).astype(np.float32) for _ in range(3)]
    for depth in depths:
        kept.add(np.full((12, 16, 3), 77, np.uint8), [depth, depth * 0])
    for number in (2, 0, 1):
        color, (first, second) = kept.frame(number)
        assert np.abs(color.astype(int) - 77).max() <= 1
        np.testing.assert_allclose(first, depths[number], atol=1.1e-4)
        assert not second.any()
    kept.close()
    assert list(tmp_path.iterdir()) == []


def test_live_frames_are_fused_anew_while_others_come(tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 8)
    scene = Reconstruction(Fusing((Depth.RAW,), 0.03, 5.0), is_live=True)
    shift = np.eye(4)
    shift[0, 3] = 2.0
    with create_camera(f"folder:{folder}", CameraConfig(loop=False, realtime=False)) as camera:
        for frame in itertools.islice(every_frame(camera), 8):
            if frame.index == 3:  # as a loop would move the way
                scene._odometry._keys[0] = scene._odometry._keys[0].__class__(
                    scene._odometry._keys[0].looked,
                    scene._odometry._keys[0].landmarks,
                    scene._odometry._keys[0].surface,
                    shift,
                )
                scene._begin_anew()
            assert scene.add(frame, {Depth.RAW: frame.depth_m}, frame.index / 30)
    assert not scene._anew
    assert np.asarray(scene.mesh(Depth.RAW).vertices)[:, 0].mean() > 1.5
    scene.close()


def test_a_live_camera_that_stands_still_has_enough_of_what_it_sees(tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 6)
    scene = Reconstruction(Fusing(tuple(Depth), 0.03, 5.0), is_live=True)
    with create_camera(f"folder:{folder}", CameraConfig(loop=False, realtime=False)) as camera:
        first, second = itertools.islice(every_frame(camera), 2)
    depths = [{Depth.RAW: f.depth_m, Depth.REFINED: f.depth_m} for f in (first, second)]
    for number in range(20):
        assert scene.add(first, depths[0], number / 30)
    assert scene.frames == 20
    fused = [scene.volume(depth).frames for depth in Depth]
    assert fused == [5, 5]  # in turns
    assert scene.add(second, depths[1], 1.0)  # from 7 cm away
    assert [scene.volume(depth).frames for depth in Depth] == [6, 5]
    assert len(scene.trajectory()) == 21
    scene.close()


def test_measurements_that_no_block_is_asked_for_are_left_out():
    lone = np.zeros((moving_room.HEIGHT, moving_room.WIDTH), np.float32)
    lone[121, 161] = 1.0
    volume = Volume(0.02, 4.0, moving_room.K)
    volume.fuse(np.zeros((*lone.shape, 3), np.uint8), lone, np.eye(4))
    assert len(volume.surface().points_m) == 0


def test_no_frame_and_no_depth_are_said(tmp_path):
    scene = Reconstruction()
    with pytest.raises(ReconstructionError, match="no frame has depth"):
        scene.finish()
    scene.close()
    folder = moving_room.walk(tmp_path / "walk", 2)
    for path in (folder / "depth").iterdir():
        cv2.imwrite(str(path), np.zeros((moving_room.HEIGHT, moving_room.WIDTH), np.uint16))
    done = command("reconstruct", folder, "-o", tmp_path / "m.ply", "--depth", "raw")
    assert done.returncode == 2
    assert "no frame has depth enough" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["walk"]


@pytest.mark.parametrize(
    "words",
    [
        ("reconstruct", "-o", "room.ply"),
        ("track", "--points", "9,9", "-o", "way.csv"),
        ("grasps", "-o", "g.json"),
    ],
)
def test_a_recording_without_intrinsics_ends_with_a_word(tmp_path, words):
    folder = moving_room.walk(tmp_path / "walk", 2)
    (folder / "intrinsics.json").unlink()
    name, *options, file = words
    done = command(name, folder, *options, tmp_path / file)
    assert done.returncode == 2
    assert "intrinsics" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["walk"]


def test_a_first_frame_without_depth_does_not_end_the_scene(tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 8)
    nothing = np.zeros((moving_room.HEIGHT, moving_room.WIDTH), np.uint16)
    cv2.imwrite(str(folder / "depth" / "0000.png"), nothing)
    options = ("--depth", "raw", "--voxel-mm", "30", "--far-m", "0.5")
    done = command("reconstruct", folder, "-o", tmp_path / "m.ply", *options)
    assert done.returncode == 2
    assert "any nearer than 0.5 m" in done.stderr
    done = command("reconstruct", folder, "-o", tmp_path / "m.ply", *options[:-1], "5")
    assert done.returncode == 0, done.stderr
    assert "7 frames, 1 left out" in done.stdout
    assert np.median(off_mm(tmp_path / "m.ply", 1 / 8)) < 10


def test_a_device_that_is_not_there_is_said():
    with pytest.raises(ConfigError, match="write cpu, cuda"):
        open3d_device("gpu")
    if not o3d.core.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA device"):
            open3d_device("cuda:1")


def test_the_command_makes_a_mesh_of_each_depth_and_the_way(tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 10)
    out, way = tmp_path / "room.glb", tmp_path / "way.txt"
    options = ("--depth", "both", "--refiner", "guided", "--voxel-mm", "20", "--far-m", "5")
    done = command("reconstruct", folder, "-o", out, "--trajectory", way, *options)
    assert done.returncode == 0, done.stderr
    assert "10 frames in" in done.stdout
    for name in ("room.raw.glb", "room.refined.glb"):
        assert np.median(off_mm(tmp_path / name)) < 10
    rows = np.loadtxt(way)
    start = np.linalg.inv(moving_room.pose(0))
    true_m = [(start @ moving_room.pose(n / 10))[:3, 3] for n in range(10)]
    np.testing.assert_allclose(rows[:, 1:4], true_m, atol=0.006)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "room.raw.glb", "room.refined.glb", "walk", "way.txt",
    ]  # fmt: skip


def test_recorded_depth_is_steadied_where_that_is_asked_for(tmp_path):
    take, small = tmp_path / "a.mcap", ("--voxel-mm", "40")
    options = ("--size", "160x120", "--refiner", "guided", "--frames", 1)
    assert command("record", "synthetic:tof", *options, "-o", take).returncode == 0
    done = command("reconstruct", take, "-o", tmp_path / "m.ply", *small)
    assert "refined by guided on CPU, recorded" in done.stderr
    done = command("reconstruct", take, "-o", tmp_path / "n.ply", *small, "--steady", "--no-flying")
    assert "guided on CPU, steady, without flying points, recorded" in done.stderr


def test_one_frame_is_a_scene_and_a_jump_is_said(tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 2)
    options = ("--depth", "raw", "--voxel-mm", "30", "--far-m", "5")
    done = command("reconstruct", folder, "-o", tmp_path / "one.ply", "--frames", "0", *options)
    assert done.returncode == 0, done.stderr
    assert np.median(off_mm(tmp_path / "one.ply")) < 10
    other = np.random.default_rng(0).integers(0, 255, (240, 320, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / "color" / "0001.png"), other)
    depth = np.full((240, 320), 9000, np.uint16)
    depth[:, 160:] = 30000
    cv2.imwrite(str(folder / "depth" / "0001.png"), depth)
    done = command("reconstruct", folder, "-o", tmp_path / "two.ply", *options)
    assert done.returncode == 0, done.stderr
    assert "1 frame could not be placed and is left out; move slower, and past more" in done.stderr
    assert np.median(off_mm(tmp_path / "two.ply")) < 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-o", "m.obj"), "ends in .ply or .glb"),
        (("-o", "m.ply", "--depth", "best"), "raw, refined or both"),
        (("-o", "m.ply", "--trajectory", "m.ply", "--depth", "raw"), "choose another"),
        (("-o", "walk/color/0000.png.ply", "--depth", "raw"), "lies inside of the input"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    moving_room.walk(tmp_path / "walk", 1)
    done = command("reconstruct", "walk", *options)
    assert done.returncode == 2
    assert words in done.stderr


def test_it_stops_within_two_seconds_and_leaves_nothing(tmp_path):
    out = tmp_path / "m.ply"
    words = ["reconstruct", "synthetic:tof", "--frames", "0:9999", "--depth", "raw", "-o", str(out)]
    with subprocess.Popen(
        [sys.executable, "-m", "lingbot_live", *words], stderr=subprocess.PIPE, text=True
    ) as child:
        deadline_s = time.monotonic() + 40
        while not any(p.name.startswith(".m.ply") for p in tmp_path.iterdir()):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        time.sleep(1.0)
        child.send_signal(signal.SIGTERM)
        asked_s = time.monotonic()
        words = child.communicate(timeout=20)[1]
        assert time.monotonic() - asked_s < 2.0
        assert child.returncode == 130, words
    assert "nothing was written" in words
    assert list(tmp_path.iterdir()) == []


def test_the_walk_of_the_simulated_camera_is_six_metres_with_true_poses():
    poses = [walk.true_pose(n) for n in range(walk.POSES + 1)]
    steps = [np.linalg.norm(b[:3, 3] - a[:3, 3]) for a, b in itertools.pairwise(poses)]
    assert sum(steps) == pytest.approx(6.0, abs=0.03)
    assert max(steps) < 1.1 * min(steps)
    config = CameraConfig(width=160, height=120, realtime=False)
    with create_camera("synthetic:stereo-walk", config) as camera:
        frames = list(itertools.islice(every_frame(camera), 12))
    k = frames[0].intrinsics
    depth = frames[0].reference_m
    v, u = np.nonzero(depth[20:100, 20:140] > 0)
    v, u = v[::97] + 20, u[::97] + 20
    z = depth[v, u].astype(float)
    points = np.stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z, np.ones_like(z)])
    there = np.linalg.inv(poses[11]) @ poses[0] @ points
    seen = frames[11].reference_m
    pu = np.rint(k.fx * there[0] / there[2] + k.cx).astype(int)
    pv = np.rint(k.fy * there[1] / there[2] + k.cy).astype(int)
    inside = (pu > 0) & (pv > 0) & (pu < 159) & (pv < 119)
    off = np.abs(seen[pv[inside], pu[inside]] - there[2][inside])
    assert np.median(off) < 0.02
