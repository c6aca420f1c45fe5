"""Quality numbers against closed forms and slow versions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from slanted_plane import STEREO, plane_z

from lingbot_live.errors import ConfigError
from lingbot_live.frame import Frame, RefinedFrame, RefinerInfo
from lingbot_live.quality.depth_errors import DELTAS, error_by_distance, reference_errors
from lingbot_live.quality.measures import (
    edge_fattening_px,
    fill_share,
    flying_share,
    range_histogram,
)
from lingbot_live.quality.meter import MeterSettings, QualityMeter, change_numbers, image_numbers
from lingbot_live.quality.metric import METRICS
from lingbot_live.quality.temporal import LEAST_FRAMES, Stillness, TemporalWindow, noise_of_sums
from lingbot_live.refiners.scale_check import moved_regions, scale_ratio
from lingbot_live.roi import Roi


def frame_of(raw_m, *, color=None, calibration=STEREO, reference_m=None, index=0, at_s=0.0):
    shape = raw_m.shape
    color = np.full((*shape, 3), 120, np.uint8) if color is None else color
    raw = np.rint(raw_m * 1000).astype(np.uint16)
    ns = round(at_s * 1e9)
    return Frame(
        "t", index, ns, ns // 1000, color, raw, 0.001, calibration, reference_m=reference_m
    )


# ---- region, fill, histogram, scale ----------------------------------------------------------


def test_fill_is_the_share_of_valid_pixels():
    z = np.ones((100, 200), np.float32)
    z[:25] = 0
    assert fill_share(z) == 0.75
    rows, columns = Roi().slices((100, 200))
    assert (rows, columns) == (slice(30, 70), slice(60, 140))


@pytest.mark.parametrize("text", ["", "x", "0%", "120%", "1,2,3", "1,2,0,5", "a,b,c,d"])
def test_bad_regions_are_refused(text):
    with pytest.raises(ConfigError):
        Roi.parse(text)


def test_a_region_must_lie_inside():
    assert str(Roi.parse("10,20,30,40")) == "10,20,30,40"
    assert Roi.parse("10,20,30,40").slices((480, 640)) == (slice(20, 60), slice(10, 40))
    with pytest.raises(ConfigError, match="640x480"):
        Roi.parse("620,20,30,40").slices((480, 640))


def test_the_histogram_counts_pixels_by_range():
    z = np.array([[0, 0.5, 1.5, 1.6]], np.float32)
    np.testing.assert_allclose(range_histogram(z, np.array([0.0, 1.0, 2.0])), [0.25, 0.5])


def test_scale_disagreement_is_seen_and_said():
    raw = plane_z().astype(np.float32)
    assert scale_ratio(raw, raw * 1.05) == pytest.approx(1.05, rel=1e-5)
    assert math.isnan(scale_ratio(raw, np.zeros_like(raw)))
    meter = QualityMeter()
    frame = frame_of(raw)
    for factor, warned in ((1.0, False), (1.02, False), (1.04, True), (0.96, True)):
        meter.reset()
        depth = frame.depth_m * np.float32(factor)
        meter.add(RefinedFrame(frame, depth, depth > 0, RefinerInfo("x"), 0, 5_000_000))
        assert bool(meter.snapshot().warnings) is warned


def a_hand_in_a_room(hand_m, refined_m):
    """Raw and refined depth of a hand before a wall that both agree on, with a sensor's noise."""
    rng = np.random.default_rng(0)
    raw = 3 + 0.05 * rng.standard_normal((480, 640)).astype(np.float32)
    raw[rng.random(raw.shape) < 0.01] = 9.0  # outliers, which a refiner may well mend
    refined = np.full_like(raw, 3.0)
    raw[100:200, 400:520] = hand_m
    refined[100:200, 400:520] = refined_m
    return raw, refined


def test_an_object_that_jumps_is_told_with_its_place_though_the_room_agrees():
    raw, refined = a_hand_in_a_room(0.6, 1.8)
    assert scale_ratio(raw, refined) == pytest.approx(1, abs=0.01)
    (region,) = moved_regions(raw, refined)
    assert region.share == pytest.approx(100 * 120 / (480 * 640), rel=0.05)
    assert (region.u, region.v) == (pytest.approx(459.5, abs=3), pytest.approx(149.5, abs=3))
    assert (region.raw_m, region.refined_m) == pytest.approx((0.6, 1.8), rel=0.001)
    meter, frame = QualityMeter(), frame_of(raw)
    meter.add(RefinedFrame(frame, refined, refined > 0, RefinerInfo("x"), 0, 5_000_000))
    (warning,) = meter.snapshot().warnings
    assert "3.9% of the picture" in warning
    assert "from 0.60 to 1.80 m" in warning


def test_what_a_refiner_smooths_is_no_warning():
    assert moved_regions(*a_hand_in_a_room(0.6, 0.62)) == []
    raw, refined = a_hand_in_a_room(0.0, 1.8)  # filled, not moved
    assert moved_regions(raw, refined) == []


def test_the_largest_region_comes_first():
    raw, refined = a_hand_in_a_room(0.6, 1.8)
    refined[300:460, 40:240] = 1.5
    far, near = moved_regions(raw, refined)
    assert (far.refined_m, near.refined_m) == pytest.approx((1.5, 1.8))
    assert far.share > near.share


def test_changes_add_up():
    raw = np.full((480, 640), 2.0, np.float32)
    raw[:, :64] = 0
    frame = frame_of(raw)
    refined = frame.depth_m.copy()
    refined[:240, :64] = 2.0  # filled 5 %
    refined[:, 320:] += 0.1  # changed 50 %
    refined[:48, 100:300] = 0  # removed
    result = RefinedFrame(frame, refined, refined > 0, RefinerInfo("x"), 0, 7_000_000)
    n = change_numbers(result)
    assert n["filled_share"] == pytest.approx(0.05)
    assert n["changed_share"] == pytest.approx(0.5)
    assert n["removed_share"] == pytest.approx(48 * 200 / (480 * 640))
    assert n["kept_share"] == pytest.approx(256 / 640 - 48 * 200 / (480 * 640))
    assert n["changed_median_mm"] == pytest.approx(100, rel=0.001)
    assert n["refine_ms"] == 7


# ---- edges -----------------------------------------------------------------------------------


def two_walls(edge=320, near=1.0, far=2.0):
    z = np.full((480, 640), far, np.float32)
    z[:, :edge] = near
    return z


@pytest.mark.parametrize("width_px", [-3, -1, 0, 1, 2, 4])
def test_fattening_is_the_shift_of_the_outline(width_px):
    assert edge_fattening_px(two_walls(320 + width_px), two_walls()) == pytest.approx(
        width_px, rel=0.01
    )


def test_fattening_of_a_box_and_of_a_slanted_edge():
    truth, measured = (np.full((480, 640), 2.0, np.float32) for _ in range(2))
    truth[150:300, 200:400] = 1.0
    measured[148:302, 198:402] = 1.0
    assert edge_fattening_px(measured, truth) == pytest.approx(2.0, rel=0.03)
    v, u = np.mgrid[:480, :640]
    slanted, shifted = (np.where(u + v < n, 1.0, 2.0).astype(np.float32) for n in (560, 562))
    assert edge_fattening_px(shifted, slanted) == pytest.approx(2 / math.sqrt(2), rel=0.02)


def test_no_edge_no_fattening():
    flat = np.full((480, 640), 2.0, np.float32)
    assert math.isnan(edge_fattening_px(flat, flat))
    assert math.isnan(flying_share(flat))


def test_flying_pixels_are_counted():
    z = two_walls()
    assert flying_share(z) == 0
    z[:, 320] = 1.5
    assert flying_share(z) == pytest.approx(1 / 3)
    noise = 2 * (1 + 0.03 * np.random.default_rng(0).standard_normal((480, 640)))
    noise[:, 320:] += 2
    assert flying_share(noise.astype(np.float32)) < 0.2
    slope = (1.0 + 0.05 * np.arange(640))[None] * np.ones((480, 1))
    assert not flying_share(slope.astype(np.float32)) > 0


# ---- time ------------------------------------------------------------------------------------


def still_stack(frames, sigma_m=0.005, seed=0):
    rng = np.random.default_rng(seed)
    return (2.0 + sigma_m * rng.standard_normal((frames, 120, 160))).astype(np.float32)


@pytest.mark.parametrize("frames", [10, 15, 40])
def test_temporal_noise_is_sigma_whatever_the_length(frames):
    window = TemporalWindow()
    for image in still_stack(frames):
        window.add(image)
    n = window.numbers((slice(20, 100), slice(20, 140)))
    assert n["temporal_noise_mm"] == pytest.approx(5, rel=0.01)
    assert n["temporal_noise_percent"] == pytest.approx(0.25, rel=0.01)
    assert n["flicker_mm"] == pytest.approx(5, rel=0.01)
    assert n["steady_share"] == 1
    assert n["still_frames"] == frames


def noise_of(stack):
    wide, valid = stack.astype(np.float64), stack > 0
    return noise_of_sums(valid.sum(0), wide.sum(0), (wide * wide).sum(0), len(wide))


def test_only_pixels_valid_in_four_fifths_count():
    stack = still_stack(20)
    stack[:5, :, :80] = 0  # valid in 75 %
    stack[:4, :, 80:120] = 0  # valid in 80 %
    noise, mean, steady = noise_of(stack)
    assert not steady[:, :80].any()
    assert steady[:, 80:].all()
    # A slow version of one pixel.
    values = stack[4:, 7, 90].astype(np.float64)
    bias = (1 - 2 / (9 * 15)) ** 1.5
    assert noise[7, 90] == pytest.approx(values.std(ddof=1) / bias, rel=1e-4)
    assert mean[7, 90] == pytest.approx(values.mean(), rel=1e-6)
    window = TemporalWindow()
    for image in stack:
        window.add(image)
    assert window.numbers((slice(0, 120), slice(0, 160)))["steady_share"] == 0.5


def test_the_window_equals_the_whole_computation_after_it_slid():
    stack = still_stack(70)
    stack[np.random.default_rng(5).random(stack.shape) < 0.1] = 0
    window = TemporalWindow(30)
    for image in stack:
        window.add(image)
    noise, _, steady = noise_of(stack[-30:])
    whole = (slice(0, 120), slice(0, 160))
    expected = 1000 * np.median(noise[steady])
    assert window.numbers(whole)["temporal_noise_mm"] == pytest.approx(expected, rel=1e-5)


def test_flicker_of_edges_stands_apart():
    rng = np.random.default_rng(0)
    window = TemporalWindow()
    for _ in range(30):
        z = two_walls()[:120, 240:400].copy()
        z += 0.002 * rng.standard_normal(z.shape)
        z[:, 78:83] += 0.03 * rng.standard_normal((120, 5))
        window.add(z.astype(np.float32))
    n = window.numbers((slice(0, 120), slice(0, 60)))
    assert n["flicker_mm"] == pytest.approx(2, rel=0.03)
    assert n["flicker_edge_mm"] > 10


def test_too_few_frames_give_no_noise():
    window = TemporalWindow()
    for image in still_stack(LEAST_FRAMES - 1):
        window.add(image)
    assert math.isnan(window.numbers((slice(0, 9), slice(0, 9)))["temporal_noise_mm"])


def test_stillness_ignores_noise_and_sees_motion():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    picture = np.repeat(np.repeat(picture[::24, ::24], 24, 0), 24, 1)[:480, :640]
    still = Stillness()
    for _ in range(5):
        noisy = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
        assert not still.moved(noisy)
    assert still.moved(np.roll(picture, 12, 1))
    assert not still.moved(np.roll(picture, 12, 1))


# ---- against a reference ---------------------------------------------------------------------


def test_reference_errors_equal_a_slow_version():
    rng = np.random.default_rng(4)
    g = rng.uniform(0.5, 4, (30, 40)).astype(np.float32)
    d = (g * rng.uniform(0.7, 1.4, g.shape)).astype(np.float32)
    d[rng.random(g.shape) < 0.2] = 0
    g[rng.random(g.shape) < 0.1] = 0
    pairs = [(float(a), float(b)) for a, b in zip(d.ravel(), g.ravel(), strict=True) if b > 0]
    seen = [(a, b) for a, b in pairs if a > 0]
    n = reference_errors(d, g)
    assert n["coverage_share"] == pytest.approx(len(seen) / len(pairs))
    for suffix, some in (("", seen), ("_all", pairs)):
        error = [abs(a - b) for a, b in some]
        assert n[f"mae{suffix}_m"] == pytest.approx(sum(error) / len(some), rel=1e-5)
        rmse = math.sqrt(sum(e * e for e in error) / len(some))
        assert n[f"rmse{suffix}_m"] == pytest.approx(rmse, rel=1e-5)
        rel = sum(e / b for e, (_, b) in zip(error, some, strict=True)) / len(some)
        assert n[f"absrel{suffix}"] == pytest.approx(rel, rel=1e-5)
        for t in DELTAS:
            share = sum(a > 0 and max(a / b, b / a) < t for a, b in some) / len(some)
            assert n[f"delta_{round(100 * t)}{suffix}"] == pytest.approx(share, abs=1e-9)


def test_a_hole_counts_as_depth_zero_over_all_pixels():
    g = np.full((10, 10), 2.0, np.float32)
    d = g.copy()
    d[:5] = 0
    n = reference_errors(d, g)
    assert (n["rmse_m"], n["absrel"], n["delta_103"]) == (0, 0, 1)
    assert n["rmse_all_m"] == pytest.approx(2 * math.sqrt(0.5))
    assert (n["absrel_all"], n["delta_125_all"], n["coverage_share"]) == (0.5, 0.5, 0.5)


def test_error_by_distance_finds_the_quadratic_law():
    rng = np.random.default_rng(6)
    g = rng.uniform(0.5, 4.5, (480, 640)).astype(np.float32)
    d = (g + 0.004 * g**2 * rng.standard_normal(g.shape)).astype(np.float32)
    d[g > 4] = 0
    edges = np.arange(0.5, 4.6, 0.5)
    median, share, pixels = error_by_distance(d, g, edges)
    centre = (edges[1:] + edges[:-1]) / 2
    known = slice(1, 7)  # a normal error's median magnitude is 0.6745 sigma
    np.testing.assert_allclose(median[known], 0.6745 * 0.004 * centre[known] ** 2, rtol=0.06)
    assert share[-1] == 0
    assert math.isnan(median[-1])
    assert pixels.sum() == (g < 4.5).sum()


# ---- meter -----------------------------------------------------------------------------------


def refined_frames(count, period_s=1 / 30):
    rng = np.random.default_rng(8)
    truth = plane_z().astype(np.float32)
    for k in range(count):
        raw = truth + 0.006 * rng.standard_normal(truth.shape)
        raw[:, :128] = 0
        frame = frame_of(raw, reference_m=truth.copy(), index=k, at_s=k * period_s)
        depth = (truth + 0.003 * rng.standard_normal(truth.shape)).astype(np.float32)
        yield RefinedFrame(frame, depth, depth > 0, RefinerInfo("x"), 0, 1_000_000)


def test_the_meter_samples_and_averages():
    meter = QualityMeter()
    sampled = [meter.add(result) for result in refined_frames(90)]
    assert sum(sampled) in (11, 12)  # 3 s at 4 Hz
    seen = meter.snapshot()
    assert seen.frames == sum(sampled)
    assert seen.cost_ms > 0
    assert seen.refined is not None
    assert seen.change is not None
    assert seen.raw["fill_share"] == pytest.approx(0.8, abs=0.01)
    assert seen.refined["fill_share"] == 1
    assert seen.change["filled_share"] == pytest.approx(0.2, abs=0.01)
    assert seen.raw["temporal_noise_mm"] == pytest.approx(6, rel=0.02)
    assert seen.refined["temporal_noise_mm"] == pytest.approx(3, rel=0.02)
    assert seen.refined["rmse_m"] == pytest.approx(0.003, rel=0.02)
    assert seen.raw["plane_inlier_share"] > 0.99
    assert seen.raw.keys() | seen.change.keys() <= METRICS.keys()


def test_subsampling_agrees_with_every_pixel():
    result = next(iter(refined_frames(1)))
    coarse = image_numbers(result.depth_m, result.frame, MeterSettings())
    fine = image_numbers(
        result.depth_m, result.frame, MeterSettings(stride=1, edge_parts=1, most_points=10**6)
    )
    for key in ("fill_share", "rmse_m", "absrel", "plane_distance_mm", "subpixel_rms_px"):
        assert coarse[key] == pytest.approx(fine[key], rel=0.02), key


def test_motion_begins_a_new_stretch():
    meter = QualityMeter(MeterSettings(period_s=0))
    frames = list(refined_frames(12))
    for result in frames:
        meter.add(result)
    assert meter.snapshot().raw["still_frames"] == 12
    other = np.full((480, 640, 3), 40, np.uint8)
    meter.add(dataclasses.replace(frames[-1].frame, color=other))
    seen = meter.snapshot()
    assert seen.raw["still_frames"] == 1
    assert math.isnan(seen.raw["temporal_noise_mm"])


def test_a_meter_without_frames_has_no_numbers():
    seen = QualityMeter().snapshot()
    assert (seen.refined, seen.change, seen.frames) == (None, None, 0)
    assert METRICS["flicker_mm"].shown(seen.raw["flicker_mm"]) == "n/a"
