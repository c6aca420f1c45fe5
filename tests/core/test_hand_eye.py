"""Where a camera stands on a robot, from poses of hand and board, and the rig file with it."""

from __future__ import annotations

import numpy as np
import pytest
from command import command

from lingbot_live.calibration.hand_eye import HandEye, read_poses, solve
from lingbot_live.calibration.rig import Rig, RigCamera, move_of
from lingbot_live.errors import CalibrationError, ConfigError
from lingbot_live.frame import Extrinsics

TRUE = move_of((0.04, -0.02, 0.11), (10.0, -35.0, 80.0))
BOARD = move_of((0.6, 0.1, 0.02), (170.0, 5.0, 20.0))


def poses(in_hand, count=9, noise=0.0):
    """The hand's poses and the board's as a camera at TRUE sees it."""
    rng = np.random.default_rng(3)
    robot, board = [], []
    for _ in range(count):
        hand = move_of(np.add(rng.uniform(-0.3, 0.3, 3), (0.4, 0, 0.5)), rng.uniform(-40, 40, 3))
        seen = (hand @ TRUE).inverse() @ BOARD if in_hand else TRUE.inverse() @ hand @ BOARD
        shake = move_of(noise * rng.normal(size=3), 60 * noise * rng.normal(size=3))
        robot.append(hand)
        board.append(seen @ shake)
    return robot, board


@pytest.mark.parametrize("in_hand", [True, False])
def test_finds_where_the_camera_stands(in_hand):
    found = solve("a:1", *poses(in_hand), in_hand)
    np.testing.assert_allclose(found.pose.matrix, TRUE.matrix, atol=1e-6)
    assert found.error_mm < 1e-3
    hand = move_of((1, 2, 3), (4, 5, 6))
    expected = hand @ TRUE if in_hand else TRUE
    np.testing.assert_allclose(found.to_robot(hand).matrix, expected.matrix, atol=1e-6)


@pytest.mark.parametrize("in_hand", [True, False])
def test_noise_is_told(in_hand):
    found = solve("a:1", *poses(in_hand, 20, noise=0.002), in_hand)
    assert np.abs(found.pose.matrix - TRUE.matrix).max() < 0.01
    assert 0.5 < found.error_mm < 10
    assert 0.02 < found.error_deg < 1


def test_what_cannot_be_solved_is_said():
    robot, board = poses(True)
    with pytest.raises(CalibrationError, match="2 poses of the robot and 2"):
        solve("a:1", robot[:2], board[:2], True)
    with pytest.raises(CalibrationError, match="9 poses of the robot and 8"):
        solve("a:1", robot, board[:8], True)
    with pytest.raises(CalibrationError, match="turn"):
        solve("a:1", [robot[0]] * 9, board, True)


def test_a_rig_file_holds_it(tmp_path):
    path = tmp_path / "rig.toml"
    known = HandEye("b:2", True, TRUE, 12, 0.31, 0.02)
    Rig((RigCamera("a:1"), RigCamera("b:2", BOARD)), known).save(path)
    loaded = Rig.load(path)
    assert loaded.hand_eye is not None
    np.testing.assert_allclose(loaded.hand_eye.pose.matrix, TRUE.matrix, atol=1e-9)
    assert (loaded.hand_eye.camera, loaded.hand_eye.in_hand) == ("b:2", True)
    assert (loaded.hand_eye.poses, loaded.hand_eye.error_mm) == (12, 0.31)
    assert loaded.with_camera("b:2", serial="S").hand_eye is loaded.hand_eye


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("in_hand = true", "in_hand = 1"), "in_hand"),
        (('camera = "b:2"', "camera = 2"), "camera"),
        (("translation_m = [", "translation_m = [0.0, "), "translation_m"),
    ],
)
def test_a_damaged_entry_is_said(tmp_path, change, text):
    path = tmp_path / "rig.toml"
    Rig((RigCamera("a:1"),), HandEye("b:2", True, TRUE)).save(path)
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(ConfigError, match=text):
        Rig.load(path)


def write(path, rows, head=True):
    lines = ["x,y,z,qx,qy,qz,qw"] if head else []
    lines += [",".join(map(repr, (*pose.translation_m, *pose.quaternion))) for pose in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_command(tmp_path):
    robot, board = poses(True)
    files = write(tmp_path / "board.csv", board), write(tmp_path / "robot.csv", robot, head=False)
    rig = tmp_path / "rig.toml"
    Rig((RigCamera("a:1"), RigCamera("b:2", BOARD))).save(rig)
    told = command(
        "hand-eye", "b:2", "--board", files[0], "--robot", files[1], "--in-hand", "-o", rig
    )
    assert told.returncode == 0, told.stderr
    found = Rig.load(rig)
    assert [camera.address for camera in found.cameras] == ["a:1", "b:2"]
    assert found.hand_eye is not None
    np.testing.assert_allclose(found.hand_eye.pose.matrix, TRUE.matrix, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1,2,3,0,0,0", "line 2: 1,2,3,0,0,0: seven numbers"),
        ("1,2,3,0,0,0,2", "length 2"),
        ("1,2,nan,0,0,0,1", "seven numbers"),
        ("500,2,3,0,0,0,1", "metres"),
    ],
)
def test_lines_that_are_no_poses_are_said(tmp_path, text, why):
    path = tmp_path / "poses.csv"
    path.write_text("x,y,z,qx,qy,qz,qw\n" + text + "\n")
    with pytest.raises(ConfigError, match=why):
        read_poses(path)


def test_quaternions_go_there_and_back(tmp_path):
    path = write(tmp_path / "poses.csv", [TRUE, BOARD, Extrinsics()])
    for found, true in zip(read_poses(path), (TRUE, BOARD, Extrinsics()), strict=True):
        np.testing.assert_allclose(found.matrix, true.matrix, atol=1e-9)
