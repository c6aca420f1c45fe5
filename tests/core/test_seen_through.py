"""A glass on a table, of which a sensor measured what is behind it, in shreds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lingbot_live.frame import Intrinsics
from lingbot_live.geometry import rays
from lingbot_live.perception.grasps import find_grasps
from lingbot_live.perception.seen_through import Sight

K = Intrinsics(640, 480, 520.0, 520.0, 319.5, 239.5)
HEIGHT_M, PITCH = 0.6, np.radians(45)
UP = np.array([0.0, -np.cos(PITCH), -np.sin(PITCH)])
AHEAD = np.array([0.0, -np.sin(PITCH), np.cos(PITCH)])
FOOT_M = 0.05 * np.array([1.0, 0, 0]) + 0.62 * AHEAD - HEIGHT_M * UP
RADIUS_M, TALL_M = 0.034, 0.1


def silhouette():
    """The pixels of an upright glass, and its outline in pixels (K, 2)."""
    turn = np.linspace(0, 2 * np.pi, 60)[:, None]
    ring = RADIUS_M * (np.cos(turn) * np.array([1.0, 0, 0]) + np.sin(turn) * AHEAD)
    points = np.concatenate([FOOT_M + ring, FOOT_M + TALL_M * UP + ring])
    pixels = points[:, :2] / points[:, 2:] * (K.fx, K.fy) + (K.cx, K.cy)
    outline = cv2.convexHull(np.rint(pixels).astype(np.int32))
    mask = np.zeros((K.height, K.width), np.uint8)
    cv2.fillConvexPoly(mask, outline, 1)
    return mask > 0, outline


def table(*, shreds=0.4, outlined=True, mask=None):
    """Depth of a table, and what a camera sees of it where a glass stands."""
    rng = np.random.default_rng(2)
    way = np.dstack([rays(K), np.ones((K.height, K.width), np.float32)])
    depth_m = (HEIGHT_M / -(way @ UP)).astype(np.float32)
    depth_m += 0.001 * rng.standard_normal(depth_m.shape, np.float32)
    glass, outline = silhouette()
    mask = glass if mask is None else mask
    blobs = cv2.GaussianBlur(rng.standard_normal(mask.shape), (0, 0), 5)
    lost = mask & (blobs >= np.quantile(blobs[mask], shreds))
    color = (120 + 4 * rng.standard_normal((K.height, K.width, 1))).repeat(3, 2).astype(np.uint8)
    if outlined:
        cv2.polylines(color, [outline], True, (210, 215, 215), 2, cv2.LINE_AA)
    return depth_m, Sight(color, np.where(lost, np.float32(0), depth_m))


def test_a_glass_is_found_where_it_stands_and_can_be_held():
    depth_m, sight = table()
    assert find_grasps(depth_m, K).things == (), "filled, it is the table"
    found = find_grasps(depth_m, K, sight=sight)
    (glass,) = found.things
    assert glass.is_guess
    np.testing.assert_allclose(glass.size_m, (2 * RADIUS_M, 2 * RADIUS_M, TALL_M), atol=0.012)
    middle = FOOT_M + TALL_M / 2 * UP
    assert np.linalg.norm(glass.T_camera_thing[:3, 3] - middle) < 0.015
    truth = silhouette()[0]
    both = (found.labels == glass.label) & truth
    assert both.sum() > 0.9 * max(truth.sum(), glass.pixels)
    assert found.grasps
    assert all(abs(grasp.width_m - 2 * RADIUS_M) < 0.015 for grasp in found.grasps)


def lying():
    """A puddle: broader than tall."""
    mask = np.zeros((K.height, K.width), np.uint8)
    cv2.ellipse(mask, (320, 200), (60, 25), 0, 0, 360, 1, -1)
    return mask > 0


@pytest.mark.parametrize(
    "wrong",
    [{"outlined": False}, {"shreds": 0.0}, {"shreds": 0.9}, {"mask": lying()}],
    ids=["no outline in colour", "a shadow", "a surface", "a puddle"],
)
def test_other_holes_are_no_glass(wrong):
    depth_m, sight = table(**wrong)
    assert find_grasps(depth_m, K, sight=sight).things == ()


def test_what_lies_off_the_plane_was_not_seen_through():
    depth_m, sight = table()
    raised = np.where(silhouette()[0], sight.measured_m * np.float32(0.97), sight.measured_m)
    assert find_grasps(depth_m, K, sight=Sight(sight.color, raised)).things == ()


def test_only_in_the_region():
    depth_m, sight = table()
    for columns, count in ((np.s_[:, :300], 0), (np.s_[:, 300:], 1)):
        region = np.zeros(depth_m.shape, bool)
        region[columns] = True
        assert len(find_grasps(depth_m, K, region=region, sight=sight).things) == count


def test_a_camera_held_askew_sees_it_as_well():
    """Turned by a right angle about its axis, as some are mounted."""
    depth_m, sight = table()
    turned = [np.ascontiguousarray(np.rot90(a)) for a in (depth_m, sight.color, sight.measured_m)]
    k = Intrinsics(K.height, K.width, K.fy, K.fx, K.cy, K.width - 1 - K.cx)
    up = np.array([-1.0, 0.0, 0.0])
    found = find_grasps(turned[0], k, up=up, sight=Sight(*turned[1:]))
    assert [thing.is_guess for thing in found.things] == [True]
    np.testing.assert_allclose(found.things[0].size_m[2], TALL_M, atol=0.012)
