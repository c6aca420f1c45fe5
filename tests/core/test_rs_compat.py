"""The RealSense-compatible numbers against a slow transcription with plain loops."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingbot_live.frame import Intrinsics
from lingbot_live.quality.realsense_dqt import (
    RsNumbers,
    rs_numbers,
    rs_plane,
    rs_roi,
    rs_temporal_noise_percent,
)

WIDTH, HEIGHT = 64, 48
INTRINSICS = Intrinsics(WIDTH, HEIGHT, 55.5, 56.25, 31.25, 24.5)


def wall(rng, *, distance_m=1.2, tilt=0.3, noise_m=0.01, holes=0.1, scale_m=0.001):
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    x, y = (u - INTRINSICS.cx) / INTRINSICS.fx, (v - INTRINSICS.cy) / INTRINSICS.fy
    z = distance_m / (1 - tilt * x - 0.1 * y)
    z = z + noise_m * rng.standard_normal(z.shape)
    z[rng.random(z.shape) < holes] = 0
    return np.rint(np.maximum(z, 0) / scale_m).astype(np.uint16)


def slow_points(raw, scale_m, roi):
    rows, columns = roi
    points = []
    for v in range(rows.start, rows.stop):
        for u in range(columns.start, columns.stop):
            if raw[v, u]:
                z = float(raw[v, u]) * scale_m
                # float32, as the tool's rays are
                x = float(np.float32((u - INTRINSICS.cx) / INTRINSICS.fx))
                y = float(np.float32((v - INTRINSICS.cy) / INTRINSICS.fy))
                points.append((x * z, y * z, z))
    return points


def slow_plane(points):
    n = len(points)
    c = [math.fsum(p[i] for p in points) / n for i in range(3)]
    s = {}
    for name in ("xx", "xy", "xz", "yy", "yz", "zz"):
        i, j = ("xyz".index(letter) for letter in name)
        s[name] = math.fsum((p[i] - c[i]) * (p[j] - c[j]) for p in points)
    det_x = s["yy"] * s["zz"] - s["yz"] ** 2
    det_y = s["xx"] * s["zz"] - s["xz"] ** 2
    det_z = s["xx"] * s["yy"] - s["xy"] ** 2
    most = max(det_x, det_y, det_z)
    assert most > 0
    if most == det_x:
        a, b = (s["xz"] * s["yz"] - s["xy"] * s["zz"]), (s["xy"] * s["yz"] - s["xz"] * s["yy"])
        normal = (det_x, a, b)
    elif most == det_y:
        a, b = (s["xz"] * s["yz"] - s["xy"] * s["zz"]), (s["xy"] * s["xz"] - s["yz"] * s["xx"])
        normal = (a, det_y, b)
    else:
        a, b = (s["xy"] * s["yz"] - s["xz"] * s["yy"]), (s["xy"] * s["xz"] - s["yz"] * s["xx"])
        normal = (a, b, det_z)
    length = math.sqrt(sum(v * v for v in normal))
    normal = tuple(v / length for v in normal)
    return normal, -sum(normal[i] * c[i] for i in range(3))


def slow_numbers(raw, scale_m, roi, baseline_m, truth_mm):
    points = slow_points(raw, scale_m, roi)
    n, d = slow_plane(points)
    rows, columns = roi
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    fill = 100.0 * len(points) / area
    kept = sorted(points, key=lambda p: p[2])
    cut = len(kept) // 200
    kept = kept[cut : len(kept) - cut]
    e = [1000 * (n[0] * p[0] + n[1] * p[1] + n[2] * p[2] + d) for p in kept]
    rms = math.sqrt(math.fsum(v * v for v in e) / len(e))
    bf = 1000 * baseline_m * INTRINSICS.fx * scale_m
    shifts = []
    for p, mm in zip(kept, e, strict=True):
        foot = [p[i] - mm / 1000 * n[i] for i in range(3)]
        shifts.append((bf / math.dist(p, (0, 0, 0)) - bf / math.dist(foot, (0, 0, 0))) ** 2)
    u, v = WIDTH // 2, HEIGHT // 2
    x = float(np.float32((u - INTRINSICS.cx) / INTRINSICS.fx))
    y = float(np.float32((v - INTRINSICS.cy) / INTRINSICS.fy))
    z = -d / (n[0] * x + n[1] * y + n[2])
    errors = sorted(1000 * z - truth_mm + v for v in e)
    return RsNumbers(
        fill,
        -d * 1000,
        math.degrees(math.acos(abs(n[2]))),
        rms,
        100 * rms / (-d * 1000),
        math.sqrt(math.fsum(shifts) / len(shifts)),
        100 * errors[len(errors) // 2] / truth_mm,
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tilt=st.floats(-0.6, 0.6),
    noise_m=st.floats(0.0005, 0.05),
    holes=st.floats(0, 0.9),
    percent=st.sampled_from([20, 40, 60, 80]),
    scale_m=st.sampled_from([0.001, 0.00025, 0.0001]),
)
def test_equal_to_the_slow_transcription(seed, tilt, noise_m, holes, percent, scale_m):
    rng = np.random.default_rng(seed)
    raw = wall(rng, tilt=tilt, noise_m=noise_m, holes=holes, scale_m=scale_m)
    roi = rs_roi(WIDTH, HEIGHT, percent)
    found = rs_numbers(raw, scale_m, INTRINSICS, roi, 0.05, 1200.0)
    assert found is not None
    slow = slow_numbers(raw, scale_m, roi, 0.05, 1200.0)
    for name in RsNumbers._fields:
        assert getattr(found, name) == pytest.approx(getattr(slow, name), rel=1e-6, abs=1e-6), name


def slow_temporal(stack):
    ratios = []
    used = stack[-39:]
    for v in range(used[0].shape[0]):
        for u in range(used[0].shape[1]):
            values = sorted(float(image[v, u]) for image in used if image[v, u])
            if values:
                ratios.append(statistics.pstdev(values) / values[len(values) // 2])
            else:
                ratios.append(0.0)
    return 100 * sorted(ratios)[len(ratios) // 2]


@pytest.mark.parametrize(("frames", "holes"), [(5, 0.0), (39, 0.2), (50, 0.2), (12, 0.6)])
def test_temporal_noise_equals_the_slow_transcription(frames, holes):
    rng = np.random.default_rng(frames)
    stack = [wall(rng, holes=holes)[10:20, 20:40] for _ in range(frames)]
    for image in stack:
        image[:, :3] = 0  # never valid
    assert rs_temporal_noise_percent(stack) == pytest.approx(slow_temporal(stack), abs=1e-6)


def test_never_valid_pixels_pull_temporal_noise_down():
    rng = np.random.default_rng(0)
    stack = [wall(rng, holes=0) for _ in range(20)]
    for image in stack:
        image[:, : WIDTH * 3 // 5] = 0
    assert rs_temporal_noise_percent(stack) == 0


def test_regions_are_the_tools():
    # 80 % loses a pixel, since the tool computes in single precision.
    assert rs_roi(640, 480) == (slice(144, 336), slice(192, 448))
    assert rs_roi(640, 480, 80) == (slice(47, 432), slice(63, 576))


def test_nothing_without_a_plane():
    raw = np.zeros((HEIGHT, WIDTH), np.uint16)
    assert rs_numbers(raw, 0.001, INTRINSICS, rs_roi(WIDTH, HEIGHT)) is None
    raw[24, 20:40] = 1000  # a line of points spans none
    assert rs_plane(np.array([(0.1 * k, 0.0, 1.0) for k in range(9)])) is None


def test_numbers_that_need_more_are_left_out():
    raw = wall(np.random.default_rng(1))
    found = rs_numbers(raw, 0.001, INTRINSICS, rs_roi(WIDTH, HEIGHT))
    assert found is not None
    assert found.rs_subpixel_rms_px is None
    assert found.rs_z_accuracy_percent is None
