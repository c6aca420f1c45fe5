"""Planes fitted to what cameras measure, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slanted_plane import STEREO, WHOLE, K, plane_z, ray_grid

from lingbot_live.frame import Calibration
from lingbot_live.quality.plane import PLANE_KEYS, fit_plane, plane_quality
from lingbot_live.roi import Roi


def test_a_tilted_noisy_plane_gives_its_sigma():
    sigma_m, tilt = 0.004, 20.0
    rng = np.random.default_rng(0)
    # Noise perpendicular to the plane: along the ray it is longer by 1 / cos.
    z = plane_z(tilt_deg=tilt)
    x, _ = ray_grid()
    a = math.radians(tilt)
    z += sigma_m * rng.standard_normal(z.shape) / (math.sin(a) * x + math.cos(a))
    n = plane_quality(z.astype(np.float32), STEREO, WHOLE, most_points=400_000)
    assert n["plane_rms_mm"] == pytest.approx(1000 * sigma_m, rel=0.01)
    assert n["plane_rms_percent"] == pytest.approx(100 * sigma_m / 1.5, rel=0.01)
    assert n["plane_distance_mm"] == pytest.approx(1500, rel=0.001)
    assert n["plane_tilt_deg"] == pytest.approx(tilt, abs=0.05)
    assert n["plane_inlier_share"] > 0.999


def test_another_surface_in_the_region_does_not_bend_the_plane():
    rng = np.random.default_rng(1)
    z = plane_z(tilt_deg=10) + 0.003 * rng.standard_normal((480, 640))
    z[:, :220] = 0.9 + 0.003 * rng.standard_normal((480, 220))
    n = plane_quality(z.astype(np.float32), STEREO, WHOLE, most_points=100_000)
    assert n["plane_distance_mm"] == pytest.approx(1500, rel=0.01)
    assert n["plane_tilt_deg"] == pytest.approx(10, abs=0.2)
    assert n["plane_inlier_share"] == pytest.approx(1 - 220 / 640, abs=0.02)


def test_disparity_noise_is_the_subpixel_rms_at_any_distance():
    rng = np.random.default_rng(2)
    for distance_m in (0.6, 2.5):
        bf = 0.05 * K.fx
        z = bf / (bf / plane_z(distance_m, 15) + 0.08 * rng.standard_normal((480, 640)))
        n = plane_quality(z.astype(np.float32), STEREO, WHOLE, most_points=400_000)
        assert n["subpixel_rms_px"] == pytest.approx(0.08, rel=0.01)


def test_no_baseline_no_subpixel():
    n = plane_quality(plane_z().astype(np.float32), Calibration(K), Roi())
    assert math.isnan(n["subpixel_rms_px"])


@pytest.mark.parametrize("tilt", [0.0, 25.0])
def test_z_accuracy_is_the_offset(tilt):
    rng = np.random.default_rng(3)
    centre_m = plane_z(tilt_deg=tilt)[240, 320]
    z = plane_z(tilt_deg=tilt) + 0.012 + 0.002 * rng.standard_normal((480, 640))
    n = plane_quality(z.astype(np.float32), STEREO, Roi(), distance_m=centre_m)
    assert n["z_error_mm"] == pytest.approx(12, rel=0.02, abs=0.1)
    assert n["z_error_percent"] == pytest.approx(1.2 / centre_m, rel=0.02, abs=0.01)


def test_a_room_is_no_plane():
    z = np.where(np.arange(640) % 100 < 50, 1.0, 3.0) * np.ones((480, 1))
    z *= np.random.default_rng(0).uniform(0.7, 1.3, z.shape)
    assert all(math.isnan(v) for v in plane_quality(z.astype(np.float32), STEREO, WHOLE).values())
    empty = plane_quality(np.zeros((480, 640), np.float32), STEREO, Roi())
    assert set(empty) == set(PLANE_KEYS)


def noisy_plane(seed, *, region, sigma_m, distance_m=1.0, tilt_deg=0.0, most=12_000):
    """(N, 3) points of a tilted plane, noise along the rays, and the plane's true normal."""
    a, rng = math.radians(tilt_deg), np.random.default_rng(seed)
    x, y = (axis[Roi(percent=region).slices((480, 640))].ravel() for axis in ray_grid())
    some = rng.permutation(x.size)[:most]
    x, y = x[some], y[some]
    z = distance_m / (math.sin(a) * x + math.cos(a)) + sigma_m * rng.standard_normal(x.size)
    return np.column_stack([x * z, y * z, z]), np.array([math.sin(a), 0.0, math.cos(a)])


@pytest.mark.parametrize("seed", range(4))
def test_a_plane_without_outliers_is_a_least_squares_plane(seed):
    points, normal = noisy_plane(seed, region=100, sigma_m=0.003, distance_m=1.5, tilt_deg=20)
    fit = fit_plane(points)
    assert math.degrees(math.acos(min(1.0, fit.normal @ normal))) < 0.02
    rms = np.sqrt(np.mean((points @ fit.normal + fit.offset_m) ** 2))
    assert rms == pytest.approx(np.sqrt(np.mean((points @ normal - 1.5) ** 2)), rel=0.01)


@pytest.mark.parametrize("tilt", [0.0, 30.0, 50.0])
def test_noise_along_the_rays_does_not_bias_a_small_region(tilt):
    planes = [noisy_plane(n, region=10, sigma_m=0.004, tilt_deg=tilt) for n in range(100)]
    fits = [fit_plane(points) for points, _ in planes]
    # The mean of 100 is good to 0.007 mm straight ahead and to 0.08 mm at an angle.
    off_mm = 1000 * (-np.mean([fit.offset_m for fit in fits]) - 1)
    assert abs(off_mm) < (0.1 if tilt == 0 else 0.25)
    turned = [math.degrees(math.atan2(fit.normal[0], fit.normal[2])) - tilt for fit in fits]
    assert abs(np.mean(turned)) < 0.03


def test_the_rays_begin_where_the_camera_stands():
    camera_m = np.array([0.4, -0.2, -0.7])
    planes = [noisy_plane(n, region=10, sigma_m=0.004, tilt_deg=40) for n in range(60)]
    here = [fit_plane(points) for points, _ in planes]
    there = [fit_plane(points + camera_m, camera_m) for points, _ in planes]
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b.normal, a.normal, atol=1e-6)
        assert b.offset_m == pytest.approx(a.offset_m - a.normal @ camera_m, abs=1e-6)


def test_points_on_a_line_are_no_plane():
    assert fit_plane(np.array([[k, k, k] for k in range(1, 50)], float)) is None
