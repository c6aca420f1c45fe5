"""Metres to colours."""

from __future__ import annotations

import numpy as np
import pytest

from lingbot_live.colormap import (
    INVALID_RGB,
    NAMES,
    DepthRange,
    auto_range,
    colorize,
    colorize_rgb32,
    point_colors,
    table,
)
from lingbot_live.errors import ConfigError


def depth(*values):
    return np.array([values], np.float32)


def luminance(rgb):
    """Relative luminance of sRGB (IEC 61966-2-1)."""
    c = rgb / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("name", NAMES)
def test_ends_of_the_range_take_the_ends_of_the_scale(name):
    colors = colorize(depth(1.0, 3.0), DepthRange(1.0, 3.0), name)
    assert (colors[0, 0] == table(name)[1]).all()
    assert (colors[0, 1] == table(name)[-1]).all()


@pytest.mark.parametrize("name", NAMES)
def test_depth_beyond_the_range_takes_the_colour_of_its_end(name):
    colors = colorize(depth(0.01, 0.99, 3.01, 1e6, 3e38), DepthRange(1.0, 3.0), name)
    assert (colors[0, :2] == table(name)[1]).all()
    assert (colors[0, 2:] == table(name)[-1]).all()


@pytest.mark.parametrize("name", NAMES)
def test_invalid_depth_has_a_colour_that_no_depth_has(name):
    assert tuple(colorize(depth(0.0), DepthRange(), name)[0, 0]) == INVALID_RGB
    distance = np.abs(table(name)[1:].astype(int) - INVALID_RGB).max(axis=1)
    assert distance.min() >= 12


@pytest.mark.parametrize(
    "scale", [DepthRange(), DepthRange(0, 0.5), DepthRange(1, 1.01), DepthRange(5, 90)]
)
def test_colour_is_within_one_step_of_the_exact_one(scale):
    depths = np.random.default_rng(0).uniform(0.01, scale.far_m * 1.2, (50, 70)).astype(np.float32)
    share = (depths.astype(float) - scale.near_m) / (scale.far_m - scale.near_m)
    exact = 1 + np.clip(share, 0, 1) * 1023
    below, above = np.floor(exact).astype(int), np.ceil(exact).astype(int)
    shown = colorize(depths, scale, "viridis").astype(int)
    colors = table("viridis").astype(int)
    lowest = np.minimum(colors[below], colors[above])
    highest = np.maximum(colors[below], colors[above])
    assert ((shown >= lowest - 1) & (shown <= highest + 1)).all()


@pytest.mark.parametrize("name", ["viridis", "inferno", "grey"])
def test_farther_is_never_darker(name):
    assert (np.diff(luminance(table(name)[1:])) > -2e-3).all()
    coarse = luminance(table(name)[1::32])
    assert (np.diff(coarse) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_rgb32_and_rgb_are_the_same_picture(name):
    depths = np.linspace(0, 6, 60 * 80, dtype=np.float32).reshape(60, 80)
    packed = colorize_rgb32(depths, DepthRange(), name)
    assert packed.dtype == np.uint32
    assert (packed >> 24 == 0xFF).all()
    rgb = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], -1)
    assert (rgb == colorize(depths, DepthRange(), name)).all()


def test_transparent_leaves_out_invalid_pixels_and_nothing_else():
    depths = depth(0.0, 0.5, 0.0, 9.0)
    opaque = colorize_rgb32(depths, DepthRange())
    clear = colorize_rgb32(depths, DepthRange(), transparent=True)
    assert (clear == np.where(depths > 0, opaque, 0)).all()


def test_a_cut_out_of_a_larger_map_is_coloured_alike():
    whole = np.linspace(0.2, 5, 40 * 60, dtype=np.float32).reshape(40, 60)
    cut = whole[3:30:2, 5:50:3]
    assert (colorize(cut, DepthRange()) == colorize(whole, DepthRange())[3:30:2, 5:50:3]).all()


def test_auto_range_ignores_invalid_pixels_and_outliers():
    depths = np.random.default_rng(0).uniform(1.0, 2.0, (480, 640)).astype(np.float32)
    depths[:100] = 0
    depths[200, 300] = 60.0
    found = auto_range(depths)
    assert found.near_m == pytest.approx(1.02, abs=0.01)
    assert found.far_m == pytest.approx(1.98, abs=0.01)


def test_auto_range_of_nothing_and_of_one_plane_can_be_shown():
    assert auto_range(np.zeros((4, 4), np.float32)) == DepthRange()
    plane = auto_range(np.full((4, 4), 2.0, np.float32))
    assert plane.near_m < plane.far_m


def test_an_unknown_scale_names_the_known_ones():
    with pytest.raises(ConfigError, match="viridis"):
        table("jet")


@pytest.mark.parametrize(("near", "far"), [(2, 1), (1, 1), (-1, 1), (0, float("inf"))])
def test_an_impossible_range_is_refused(near, far):
    with pytest.raises(ConfigError, match="near < far"):
        DepthRange(near, far)


def test_points_have_colours_of_their_own():
    colors = point_colors(np.arange(360))
    assert len(np.unique(colors, axis=0)) == 360
    assert (colors.max(1) == 255).all(), "bright on any picture"
    steps = np.abs(np.diff(colors.astype(int), axis=0)).sum(1)
    assert steps.min() > 150, "neighbours differ"
    assert (point_colors(np.array([360, 727])) == colors[[0, 7]]).all()
