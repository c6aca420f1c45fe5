"""Things on a table and grasps of them, against the true surfaces of the simulated table."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from command import command

from bench.bench_perception_grasps import Tally, judge, rows, table_frame
from bench.grasp_truth import TrueScene
from drivers.synthetic.tabletop import Tabletop
from lingbot_live.calibration.hand_eye import HandEye
from lingbot_live.calibration.rig import Rig, move_of
from lingbot_live.cameras.readings import OFFLINE
from lingbot_live.cameras.registry import create_camera
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Extrinsics, Intrinsics
from lingbot_live.geometry import rays
from lingbot_live.perception.bodies import Kind, complete
from lingbot_live.perception.grasps import (
    Grasp,
    GraspSettings,
    Gripper,
    NoSupportError,
    find_grasps,
)
from lingbot_live.perception.support import find_support
from lingbot_live.refiners.guided import create_guided

SEEDS = (0, 3)
K = Intrinsics(320, 240, 260.0, 260.0, 159.5, 119.5)


@pytest.fixture(scope="module")
def tallies():
    refiner, raw, refined = create_guided(RefinerConfig("guided")), Tally(), Tally()
    for seed in SEEDS:
        frame = table_frame(seed)
        judge(raw, seed, frame, frame.depth_m)
        judge(refined, seed, frame, refiner.refine(frame).depth_m)
    return raw, refined


def test_bars_on_few_tables(tallies):
    told = {what.partition(", %")[0]: (ours, raw) for what, ours, _, raw in rows(*tallies)}
    assert told["opaque things: found"][0] >= 90
    assert told["opaque things: held"][0] >= 80
    ours, raw = told["glass and steel: held"]
    assert ours > raw
    assert told["glass cup: held"][0] >= 50, "that which no sensor measured"


def plane_depth(height_m=0.6, pitch_deg=50.0, k=K):
    """Depth of a table below a camera that looks down, and the table's normal."""
    pitch = np.radians(pitch_deg)
    normal = np.array([0.0, -np.cos(pitch), -np.sin(pitch)])
    way = np.dstack([rays(k), np.ones((k.height, k.width), np.float32)])
    return (height_m / -(way @ normal)).astype(np.float32), normal


def test_the_plane_is_found_where_it_is():
    depth_m, normal = plane_depth()
    found = find_support(rays_to_points(depth_m))
    assert found is not None
    assert found.T_camera_plane[:3, 2] @ normal > np.cos(np.radians(0.1))
    heights = found.to_plane(rays_to_points(depth_m))[..., 2]
    assert np.abs(heights).max() < 0.001
    np.testing.assert_allclose(found.to_camera(found.to_plane(np.eye(3))), np.eye(3), atol=1e-6)
    assert found.to_plane(np.zeros(3))[2] == pytest.approx(0.6, abs=0.002)


def rays_to_points(depth_m, k=K):
    return np.dstack([rays(k) * depth_m[..., None], depth_m]).astype(np.float32)


def test_an_empty_table_has_nothing_on_it():
    found = find_grasps(plane_depth()[0], K)
    assert found.things == ()
    assert found.grasps == ()


def test_a_floor_that_waves_has_nothing_on_it():
    """As real depth of wet and shining floors does: patches of it rise by a few centimetres."""
    depth_m = plane_depth(height_m=1.2)[0]
    waves = cv2.GaussianBlur(np.random.default_rng(1).standard_normal(depth_m.shape), (0, 0), 5)
    waved_m = depth_m * (1 + 0.008 * waves / waves.std()).astype(np.float32)
    assert find_grasps(waved_m, K).things == ()


@pytest.mark.parametrize(("example", "least", "most"), [("2", 3, 3), ("0", 0, 2), ("3", 0, 4)])
def test_real_floors_show_what_stands_on_them(testdata, example, least, most):
    """A bowl, a mug and a dish on a carpet; a shining corridor; a wet skate ground."""
    address = str(testdata / "data" / "lingbot_examples" / example)
    with create_camera(address, OFFLINE) as camera:
        frame = camera.read(60.0)
    assert least <= len(find_grasps(frame.depth_m, frame.intrinsics).things) <= most


@pytest.mark.parametrize("depth", ["nothing", "a wall", "noise"])
def test_without_a_table_it_says_so(depth):
    depth_m = np.zeros((240, 320), np.float32)
    if depth == "a wall":  # beside the camera: its normal points sideways
        way = rays(K)[..., 0] + 0.7
        depth_m = np.where(way > 0.1, 0.5 / np.maximum(way, 0.1), 0).astype(np.float32)
    if depth == "noise":
        depth_m = np.random.default_rng(0).uniform(0.3, 5, (240, 320)).astype(np.float32)
    with pytest.raises(NoSupportError, match="no plane is seen"):
        find_grasps(depth_m, K)


def half_seen(kind):
    """Points of a can or a box that a camera before and above it sees, with noise; its middle."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.0015, (900, 3))
    at = np.array([0.1, 0.4, 0.0])
    if kind == "can":
        turn, z = rng.uniform(np.pi, 2 * np.pi, 600), rng.uniform(0.01, 0.12, 600)
        side = np.column_stack([0.03 * np.cos(turn), 0.03 * np.sin(turn), z])
        spin, r = rng.uniform(0, 2 * np.pi, 300), 0.03 * np.sqrt(rng.random(300))
        top = np.column_stack([r * np.cos(spin), r * np.sin(spin), np.full(300, 0.12)])
    else:
        u, z = rng.uniform(-0.5, 0.5, (600, 2)), rng.uniform(0.01, 0.12, 600)
        front = np.column_stack([0.06 * u[:300, 0], np.full(300, -0.04), z[:300]])
        flank = np.column_stack([np.full(300, 0.03), 0.08 * u[300:, 0], z[300:]])
        side = np.concatenate([front, flank])
        top = np.column_stack([0.06 * u[:300, 0], 0.08 * u[:300, 1], np.full(300, 0.12)])
    return np.concatenate([side, top]) + noise + at, at


def test_the_hidden_side_of_a_can_is_that_of_a_can():
    points, at = half_seen("can")
    body = complete(points, np.array([0.0, 0.0, 0.5]))
    assert body.kind is Kind.TURNED
    np.testing.assert_allclose(body.center_m[:2], at[:2], atol=0.002)
    np.testing.assert_allclose(body.size_m, (0.06, 0.06, 0.12), atol=0.005)
    out = ((body.points_m - body.center_m) * body.normals)[:, :2].sum(1)
    assert (out > 0).all()


def test_the_hidden_side_of_a_box_is_that_of_a_box():
    points, at = half_seen("box")
    body = complete(points, np.array([0.0, 0.0, 0.5]))
    assert body.kind is Kind.BOX
    np.testing.assert_allclose(body.center_m[:2], at[:2], atol=0.006)
    assert sorted(body.size_m[:2]) == pytest.approx([0.06, 0.08], abs=0.01)


def grasp_on(tabletop, number, *, turn_deg=0.0, shift_m=0.0, lift_m=0.0, opened_m=0.085):
    """A grasp from above at the middle of a body, across its yaw's first axis."""
    mesh = tabletop.bodies[number].mesh
    middle = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
    angle = np.radians(turn_deg)
    x = np.array([np.cos(angle), 0, np.sin(angle)])
    z = np.array([0.0, 1.0, 0.0])
    T = np.eye(4)
    T[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    T[:3, 3] = middle + shift_m * x - [0, lift_m, 0]
    T = np.linalg.inv(tabletop.T_room_camera.astype(float)) @ T
    return Grasp(0, T, 0.06, opened_m, np.zeros((2, 3)), 1.0)


def test_the_judge_knows_good_from_bad():
    tabletop = Tabletop(0)
    truth, gripper = TrueScene(tabletop), Gripper(depth_m=0.3)
    kinds = [body.kind for body in tabletop.bodies]
    ball = kinds.index("steel ball")
    assert truth.holds(grasp_on(tabletop, ball), gripper) == ball
    assert truth.holds(grasp_on(tabletop, ball, lift_m=0.2), gripper) is None, "above it"
    assert truth.holds(grasp_on(tabletop, ball, opened_m=0.03), gripper) is None, "into it"
    assert truth.holds(grasp_on(tabletop, ball, shift_m=0.045), gripper) is None, "into it"
    box = kinds.index("block")
    held = [truth.holds(grasp_on(tabletop, box, turn_deg=t), gripper) for t in range(0, 180, 5)]
    assert 3 <= held.count(box) < 30, "across its corners it slips"
    slippery = Gripper(depth_m=0.3, friction=0.02)
    rare = [truth.holds(grasp_on(tabletop, box, turn_deg=t), slippery) for t in range(0, 180, 5)]
    assert rare.count(box) < held.count(box)


def test_the_gripper_is_asked_for_in_metres():
    with pytest.raises(ConfigError, match="lengths are in metres"):
        Gripper(opening_m=85)


def test_a_thing_too_broad_is_found_and_not_grasped(tallies):
    frame = table_frame(0)
    few = find_grasps(frame.depth_m, K480, GraspSettings(Gripper(opening_m=0.05)))
    many = find_grasps(frame.depth_m, K480)
    assert len(few.things) == len(many.things)
    assert 0 < len({g.thing for g in few.grasps}) < len({g.thing for g in many.grasps})
    assert all(grasp.width_m <= 0.05 for grasp in few.grasps)


K480 = Intrinsics(640, 480, 520.0, 520.0, 319.5, 239.5)


def test_only_things_of_the_region():
    frame = table_frame(0)
    region = np.zeros(frame.depth_raw.shape, bool)
    region[:, :320] = True
    part, whole = (find_grasps(frame.depth_m, K480, region=r) for r in (region, None))
    assert 0 < len(part.things) < len(whole.things)
    assert not part.labels[:, 320:].any()


# ---- the command ---------------------------------------------------------------------------------


def poses_in(session):
    """The positions and orientations that ROS reads from the session's only PoseArray, (N, 7)."""
    from mcap.reader import make_reader
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    with session.open("rb") as file:
        found = [
            store.deserialize_cdr(message.data, schema.name)
            for schema, _, message in make_reader(file).iter_messages()
            if schema.name == "geometry_msgs/msg/PoseArray"
        ]
    (array,) = found
    rows = [(p.position, p.orientation) for p in array.poses]
    return np.array([[at.x, at.y, at.z, to.x, to.y, to.z, to.w] for at, to in rows])


def test_the_command_writes_json_and_poses(tmp_path):
    json_file, session = tmp_path / "grasps.json", tmp_path / "grasps.mcap"
    told = command("grasps", "synthetic:table", "--refiner", "none", "-o", json_file, "-o", session)
    assert told.returncode == 0, told.stderr
    data = json.loads(json_file.read_text())
    things = data["frames"][0]["things"]
    assert len(things) >= 8
    assert [thing["is_guess"] for thing in things].count(True) == 1, "the glass cup"
    grasps = [grasp for thing in things for grasp in thing["grasps"]]
    assert grasps
    assert all(abs(np.linalg.norm(g["orientation_xyzw"]) - 1) < 1e-4 for g in grasps)
    poses = poses_in(session)
    assert len(poses) == len(grasps)
    best = max(grasps, key=lambda grasp: grasp["score"])
    np.testing.assert_allclose(poses[0][:3], best["position_m"], atol=1e-4)
    np.testing.assert_allclose(poses[0][3:], best["orientation_xyzw"], atol=1e-4)
    assert command("grasps", "synthetic:table", "-o", session).returncode != 0, "it is there"


def test_in_the_robots_axes(tmp_path):
    pose = move_of((0.5, -0.2, 0.8), (120.0, 10.0, -5.0))
    rig = Rig.of(("synthetic:table",))
    Rig(rig.cameras, HandEye("synthetic:table", False, pose, 5, 0.1, 0.01)).save(
        tmp_path / "rig.toml"
    )
    places = []
    for options in ((), ("--rig", tmp_path / "rig.toml")):
        output = tmp_path / f"{len(options)}.json"
        told = command(
            "grasps", "synthetic:table", "--refiner", "none", "--most", 1, "-o", output, *options
        )
        assert told.returncode == 0, told.stderr
        data = json.loads(output.read_text())
        places.append(
            [t["grasps"][0]["position_m"] for t in data["frames"][0]["things"] if t["grasps"]]
        )
    assert data["axes"] == "the robot"
    assert "does not know" not in told.stderr
    np.testing.assert_allclose(pose.apply(places[0]), places[1], atol=2e-3)


def test_a_camera_on_the_hand_needs_its_pose(tmp_path):
    rig = Rig.of(("synthetic:table",))
    held = HandEye("synthetic:table", True, Extrinsics(), 5)
    Rig(rig.cameras, held).save(tmp_path / "rig.toml")
    options = ("synthetic:table", "--rig", tmp_path / "rig.toml", "-o", tmp_path / "a.json")
    told = command("grasps", *options)
    assert told.returncode != 0
    assert "--robot-pose" in told.stderr
    wrong = command("grasps", *options, "--robot-pose", "1,2,3,0,0,0,5")
    assert "quaternion has length 5" in wrong.stderr


def test_a_camera_that_the_rig_does_not_know_is_said(tmp_path):
    """Poses in the axes of a robot that another camera was calibrated to are wrong."""
    rig = Rig.of(("synthetic:stereo",))
    held = HandEye("synthetic:stereo", False, Extrinsics(), 5)
    Rig(rig.cameras, held).save(tmp_path / "rig.toml")
    options = ("--region", "0,0,9,9", "--rig", tmp_path / "rig.toml", "-o", tmp_path / "a.json")
    told = command("grasps", "synthetic:table", "--refiner", "none", *options)
    assert told.returncode == 0, told.stderr
    assert "does not know synthetic:table" in told.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("-o", "a.txt"), "FILE.json"),
        (("-o", "a.json", "--region", "600,0,100,100"), "inside the picture"),
        (("-o", "a.json", "--region", "left"), "X,Y,W,H"),
        (("-o", "a.json", "--opening", "-3"), "positive"),
        (("-o", "a.json", "--opening", "inf"), "below 10"),
        (("-o", "a.json", "--robot-pose", "0,0,0,0,0,0,1"), "--rig"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, monkeypatch, options, text):
    monkeypatch.chdir(tmp_path)
    told = command("grasps", "synthetic:table", "--refiner", "none", *options)
    assert told.returncode != 0
    assert text in told.stderr
    assert not list(tmp_path.iterdir())
