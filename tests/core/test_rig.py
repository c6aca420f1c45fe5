"""Rigs: the file, poses that compose, and one camera's depth in another's view."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingbot_live.calibration.rig import Rig, RigCamera, move_of, turn_deg_of
from lingbot_live.calibration.views import (
    region_into_view,
    register_into_view,
)
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Extrinsics, Intrinsics
from lingbot_live.geometry import deproject, project
from lingbot_live.roi import Roi

NEAR = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
OTHER = Intrinsics(128, 96, 110.0, 112.0, 60.0, 50.0, (0.05, -0.02, 0.001, 0.0))
MOVE = move_of((0.12, -0.03, 0.02), (2.0, -5.0, 1.0))
RIG = Rig((RigCamera("a:1"), RigCamera("b:2", MOVE, "S2", 12, 0.21)))
angles = st.tuples(*[st.floats(-50, 50)] * 3)


@given(angles)
def test_turns_go_there_and_back(turn):
    # OpenCV takes turns below 1e-5 radians for none.
    np.testing.assert_allclose(turn_deg_of(move_of(turn_deg=turn)), turn, atol=6e-4)
    assert move_of(turn_deg=turn).angle_deg == pytest.approx(np.linalg.norm(turn), abs=1e-6)


def test_transforms_compose_by_their_names():
    T_a_b = RIG.transform("a:1", "b:2")
    assert T_a_b == MOVE
    both = T_a_b @ RIG.transform("b:2", "a:1")
    np.testing.assert_allclose(both.matrix, np.eye(4), atol=1e-12)
    point = np.array([[0.3, -0.1, 1.2]])
    np.testing.assert_allclose(T_a_b.apply(point)[0], (MOVE.matrix @ [0.3, -0.1, 1.2, 1])[:3])


def test_a_rig_file_holds_everything(tmp_path):
    path = tmp_path / "rig.toml"
    rig = RIG.with_camera("b:2", time_offset_ms=-3.25, time_confidence=0.9)
    rig.save(path)
    loaded = Rig.load(path)
    found = loaded.camera("b:2")
    np.testing.assert_allclose(found.pose.matrix, MOVE.matrix, atol=1e-12)
    assert (found.serial, found.views, found.residual_px) == ("S2", 12, 0.21)
    assert (found.time_offset_ms, found.time_confidence) == (-3.25, 0.9)
    assert math.isnan(found.icp_rms_mm)
    assert loaded.reference.pose.is_identity
    assert loaded.find("b:elsewhere", "S2") is found, "a serial number wins over the address"


def test_nudging_moves_in_the_references_axes_about_the_cameras_own_place():
    moved = RIG.nudged("b:2", move_of((0.01, 0, 0), (0, 0, 2.0))).camera("b:2")
    shift = np.subtract(moved.pose.translation_m, MOVE.translation_m)
    np.testing.assert_allclose(shift, [0.01, 0, 0], atol=1e-12)
    turn = moved.pose.matrix[:3, :3] @ MOVE.matrix[:3, :3].T
    np.testing.assert_allclose(cv2.Rodrigues(turn)[0].ravel(), [0, 0, np.radians(2)], atol=1e-9)
    with pytest.raises(ConfigError, match="a:1 is the reference"):
        RIG.nudged("a:1", MOVE)


GOOD = """version = 1
[[camera]]
address = "a:1"
translation_m = [0, 0, 0]
rotation = [[1,0,0],[0,1,0],[0,0,1]]
[[camera]]
address = "b:2"
translation_m = [0.1, 0, 0]
rotation = [[1,0,0],[0,1,0],[0,0,1]]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 1", "version = 2", "version 2"),
        ("version = 1", "version = ", "TOML"),
        ("[[camera]]", "[[kamera]]", r"no \[\[camera\]\]"),
        ('address = "b:2"', "address = 3", "needs address"),
        ('address = "b:2"', 'address = "a:1"', "a:1 stands in it twice"),
        ("[0, 0, 0]", "[0, 0, 1]", "a:1 is the reference"),
        ("[0.1, 0, 0]", "[0.1, 0]", r"b:2: translation_m = \[0.1, 0\] must be 3"),
        ("[0.1, 0, 0]", "[0.1, 0, nan]", "finite"),
        ("[0.1, 0, 0]", "[120.0, 0, 0]", "in metres"),
        ("[0.1, 0, 0]", "[0.1, 0, 0]\ntranslaton_m = 1", "Did you mean 'translation_m'"),
        ("[0.1, 0, 0]", "[0.1, 0, 0]\nresidual_px = '1'", "residual_px '1' must be a number"),
        ("[[1,0,0]", "[[1.1,0,0]", "no rotation matrix"),
        ("[[1,0,0]", "[[-1,0,0]", "no rotation matrix"),
    ],
)
def test_a_damaged_rig_file_says_where_and_why(tmp_path, old, new, says):
    path = tmp_path / "rig.toml"
    path.write_text(GOOD)
    assert Rig.load(path).camera("b:2").pose.translation_m == (0.1, 0, 0)
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=says) as caught:
        Rig.load(path)
    assert str(path) in str(caught.value)


def test_a_rig_file_or_camera_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such rig file"):
        Rig.load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="does not know b:3"):
        RIG.camera("b:3")


def scene_depth():
    """A slanted wall with a box in front of it, from the camera `NEAR`."""
    u = np.arange(NEAR.width) * np.ones((NEAR.height, 1))
    depth = (1.5 + 0.002 * u).astype(np.float32)
    depth[40:80, 60:100] = 0.8
    depth[:10] = 0
    return depth


def test_depth_lands_where_projection_says_and_near_hides_far():
    depth = scene_depth()
    seen = register_into_view(depth, MOVE, NEAR, OTHER)
    assert seen.shape == (96, 128)
    points = MOVE.apply(deproject(depth, NEAR)[depth > 0])
    pixels = np.rint(project(points, OTHER)).astype(int)
    inside = ((pixels >= 0) & (pixels < [128, 96])).all(1)
    nearest = np.full((96, 128), np.inf)
    u, v = pixels[inside].T
    np.minimum.at(nearest, (v, u), points[inside, 2])
    hit = np.isfinite(nearest)
    assert (seen[hit] > 0).all()
    # The square of a pixel may cover its neighbours' centres, with something nearer.
    assert (seen[hit] <= nearest[hit] + 2e-4).all()
    assert np.mean(np.abs(seen[hit] - nearest[hit]) < 0.006) > 0.93


def test_looking_at_itself_changes_nothing():
    depth = scene_depth()
    same = register_into_view(depth, Extrinsics(), NEAR, NEAR)
    np.testing.assert_allclose(same, depth, atol=1e-4)


def test_a_region_follows_its_place_in_space():
    depth = np.full((120, 160), 1.5, np.float32)
    depth[::7, ::5] = 0
    depth[50, 70:80] = 0.3  # flying pixels do not pull it along
    roi = Roi(rectangle=(60, 40, 40, 30))
    seen = region_into_view(roi, depth, MOVE, NEAR, OTHER)
    corners = deproject(np.full((120, 160), 1.5, np.float32), NEAR)[40:70, 60:100].reshape(-1, 3)
    pixels = project(MOVE.apply(corners), OTHER)
    left, top, width, height = seen.rectangle
    expected = [*pixels.min(0), *np.ptp(pixels, 0)]
    np.testing.assert_allclose([left, top, width - 1, height - 1], expected, atol=1)
    back = region_into_view(seen, np.full((96, 128), 1.5, np.float32), MOVE.inverse(), OTHER, NEAR)
    (x, y), (x2, y2) = back.rectangle[:2], roi.rectangle[:2]
    assert abs(x - x2) < 5
    assert abs(y - y2) < 5


def test_a_region_without_depth_or_out_of_sight_has_no_place():
    roi, flat = Roi(20), np.full((120, 160), 1.5, np.float32)
    assert region_into_view(roi, np.zeros_like(flat), MOVE, NEAR, OTHER) is None
    aside = Extrinsics(translation_m=(5.0, 0.0, 0.0))
    assert region_into_view(roi, flat, aside, NEAR, OTHER) is None
    behind = Extrinsics(translation_m=(0.0, 0.0, -3.0))
    assert region_into_view(roi, flat, behind, NEAR, OTHER) is None
    assert region_into_view(roi, flat, Extrinsics(), NEAR, NEAR).rectangle == (64, 48, 32, 24)
