"""Extrinsics from rendered boards: within 2 mm and 0.1 degrees at 1 m, and what spoils them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from boards import CHARUCO, CHESS, LEFT, RIGHT, picture, standings

from lingbot_live.calibration.board import Board, Sighting
from lingbot_live.calibration.extrinsics import solve_pair, solve_rig
from lingbot_live.calibration.rig import move_of
from lingbot_live.errors import CalibrationError, ConfigError
from lingbot_live.geometry import project

TRUE = move_of((0.25, -0.02, 0.05), (2.0, -14.0, 3.0))  # T_left_right
BOTH = {"left": LEFT, "right": RIGHT}


def away(found, true):
    """Return millimetres and degrees between two poses."""
    shift = np.linalg.norm(np.subtract(found.translation_m, true.translation_m))
    return 1000 * shift, (found.inverse() @ true).angle_deg


def rendered_views(board, count=8):
    views = []
    for n, pose in enumerate(standings(board, count)):
        left = board.find(picture(board, pose, LEFT, 2 * n)[0])
        right = board.find(picture(board, TRUE.inverse() @ pose, RIGHT, 2 * n + 1)[0])
        views.append({k: s for k, s in (("left", left), ("right", right)) if s is not None})
    return views


def projected_views(board, poses, cameras, sigma_px=0.05, seed=0):
    """Return views without pictures: corners projected and shaken. ``cameras``: pose, lens."""
    rng = np.random.default_rng(seed)
    views = []
    for pose in poses:
        view = {}
        for name, (T_reference_camera, lens) in cameras.items():
            points = (T_reference_camera.inverse() @ pose).apply(board.corners_m)
            pixels = project(points, lens) + rng.normal(0, sigma_px, (len(points), 2))
            view[name] = Sighting(np.arange(len(points)), pixels)
        views.append(view)
    return views


@pytest.mark.parametrize("board", [CHARUCO, CHESS], ids=["charuco", "chessboard"])
def test_rendered_boards_give_the_pose_within_2_mm_and_a_tenth_of_a_degree(board):
    views = rendered_views(board)
    assert sum(len(view) == 2 for view in views) >= 6
    rig = solve_rig(board, views, BOTH)
    found = rig.camera("right")
    mm, degrees = away(found.pose, TRUE)
    assert mm < 2.0
    assert degrees < 0.1
    assert found.residual_px < 0.3
    assert found.views >= 5


def test_found_corners_lie_where_the_lens_put_them():
    pose = move_of((-0.15, -0.1, 0.9), (15.0, -20.0, 30.0))
    for board in (CHARUCO, CHESS):
        for turned in (pose, pose @ move_of((0.28, 0.2, 0), (0, 0, 180))):
            found = board.find(picture(board, turned, RIGHT)[0])
            true = project(turned.apply(board.corners_m), RIGHT)
            np.testing.assert_allclose(found.pixels, true[found.ids], atol=0.35)


def test_a_board_that_moved_between_two_exposures_is_left_out():
    poses = standings(CHESS, 10)
    views = projected_views(CHESS, poses, {"left": (move_of(), LEFT), "right": (TRUE, RIGHT)})
    moved = move_of((0.03, 0, 0)) @ poses[4]
    views[4] = {
        "left": views[4]["left"],
        "right": projected_views(CHESS, [moved], {"right": (TRUE, RIGHT)})[0]["right"],
    }
    found = solve_pair(CHESS, views, ("left", "right"), BOTH)
    assert found.views == 9
    mm, degrees = away(found.pose, TRUE)
    assert mm < 1
    assert degrees < 0.05


def test_a_camera_is_reached_by_way_of_another():
    beside = move_of((0.4, 0, 0), (0, -10, 0))
    far = move_of((0.9, 0, 0.1), (0, -25, 0))
    cameras = {"left": (move_of(), LEFT), "right": (beside, RIGHT), "far": (far, LEFT)}
    views = projected_views(CHARUCO, standings(CHARUCO, 12), cameras)
    for view in views[:6]:
        del view["far"]
    for view in views[6:]:
        del view["left"]
    intrinsics = {name: lens for name, (_, lens) in cameras.items()}
    rig = solve_rig(CHARUCO, views, intrinsics)
    assert [camera.address for camera in rig.cameras] == list(cameras)
    for name, (pose, _) in cameras.items():
        mm, degrees = away(rig.camera(name).pose, pose)
        assert mm < 2
        assert degrees < 0.1


def test_too_few_views_and_a_wrong_board_are_told():
    views = projected_views(
        CHESS, standings(CHESS, 6), {"left": (move_of(), LEFT), "right": (TRUE, RIGHT)}
    )
    with pytest.raises(CalibrationError, match="right: it saw the board 2 times together with lef"):
        solve_rig(CHESS, views[:2], BOTH)
    mixed = [{"left": a["left"], "right": b["right"]} for a, b in itertools.pairwise(views)]
    with pytest.raises(CalibrationError, match="px off; is the board really chessboard:8x5:35mm"):
        solve_rig(CHESS, mixed, BOTH)


def test_a_board_hidden_in_part_still_counts_if_charuco():
    color, _ = picture(CHARUCO, move_of((-0.14, -0.1, 0.7)), LEFT)
    color[:, :320] = 90
    found = CHARUCO.find(color)
    assert found is not None
    assert 6 <= len(found.ids) < 24
    assert CHARUCO.find(np.full((480, 640, 3), 90, np.uint8)) is None
    assert CHESS.find(np.full((480, 640, 3), 90, np.uint8)) is None


@pytest.mark.parametrize("text", ["charuco:7x5:40mm:30mm", "chessboard:9x6:25mm",
                                  "charuco:9x6:40mm:30mm:4x4_50"])  # fmt: skip
def test_boards_are_written_as_read(text):
    assert str(Board.parse(text)) == text
    assert Board.parse(text.upper().replace("40MM", "4CM")) == Board.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("charuko:7x5:40mm:30mm", "write charuco:7x5"),
        ("charuco:7x5:40mm", "write charuco:7x5"),
        ("charuco:7*5:40mm:30mm", "no COLUMNSxROWS"),
        ("charuco:7x5:40in:30mm", "'40in' is no length"),
        ("charuco:7x5:40mm:50mm", "marker of 50 mm must be smaller"),
        ("charuco:7x5:40mm:30mm:5x5_10", "Did you mean '5x5_100'"),
        ("charuco:20x20:40mm:30mm", "larger dictionary"),
        ("chessboard:8x6:25mm", "upside down"),
        ("chessboard:2x9:25mm", "3x3"),
        ("chessboard:9x6:25m", "1 mm to 1 m"),
    ],
)
def test_a_board_that_cannot_be_says_why(text, says):
    with pytest.raises(ConfigError, match=says.replace("*", r"\*")):
        Board.parse(text)


def test_corners_on_one_line_do_not_make_a_pose():
    assert replace(CHARUCO, columns=9).corners_m.shape == (8 * 4, 3)
    color, _ = picture(CHARUCO, move_of((-0.14, -0.1, 0.5)), LEFT)
    color[:205] = 90
    color[290:] = 90
    assert CHARUCO.find(color) is None
