"""Pixels to points and back, with and without distortion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingbot_live.frame import Intrinsics
from lingbot_live.geometry import deproject, normalized, project, rays, scaled

PLAIN = Intrinsics(64, 48, 60.0, 61.0, 31.2, 24.7)
RATIONAL = Intrinsics(
    64, 48, 60.0, 61.0, 31.2, 24.7, (0.5, -0.3, 0.001, -0.0007, 0.02, 0.4, -0.2, 0.01)
)
BROWN = Intrinsics(64, 48, 60.0, 61.0, 31.2, 24.7, (0.1, -0.05, 0.001, 0.002, 0.0))


@pytest.mark.parametrize("intrinsics", [PLAIN, BROWN, RATIONAL])
def test_projecting_a_deprojected_pixel_returns_it(intrinsics):
    depth = np.random.default_rng(1).uniform(0.3, 5, (48, 64)).astype(np.float32)
    points = deproject(depth, intrinsics).reshape(-1, 3)
    u, v = np.meshgrid(np.arange(64), np.arange(48))
    pixels = project(points, intrinsics)
    np.testing.assert_allclose(pixels, np.stack([u, v], -1).reshape(-1, 2), atol=2e-3)


def test_principal_point_looks_straight_ahead():
    centered = Intrinsics(5, 5, 10, 10, 2, 2)
    np.testing.assert_array_equal(rays(centered)[2, 2], [0, 0])
    points = deproject(np.full((5, 5), 2.0, np.float32), centered)
    np.testing.assert_allclose(points[2, 4], [0.4, 0, 2], rtol=1e-6)
    np.testing.assert_allclose(points[4, 2], [0, 0.4, 2], rtol=1e-6)


def test_invalid_depth_gives_the_origin():
    assert not deproject(np.zeros((48, 64), np.float32), PLAIN).any()


@given(st.integers(1, 400), st.integers(1, 400))
def test_scaling_keeps_where_a_direction_lands(width, height):
    small = scaled(PLAIN, width, height)
    point = np.array([[0.1, -0.2, 1.5]])
    before = (project(point, PLAIN)[0] + 0.5) / [64, 48]
    after = (project(point, small)[0] + 0.5) / [width, height]
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_normalized_intrinsics_are_fractions_of_the_size():
    np.testing.assert_allclose(normalized(PLAIN)[0], [60 / 64, 0, 31.2 / 64])
    np.testing.assert_allclose(normalized(PLAIN)[1], [0, 61 / 48, 24.7 / 48])
    np.testing.assert_allclose(normalized(PLAIN)[2], [0, 0, 1])
