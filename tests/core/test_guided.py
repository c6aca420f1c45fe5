"""The guided refiner on scenes whose truth is known, and against inpainting on real ones."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingbot_live.config import RefinerConfig
from lingbot_live.frame import Calibration, Frame, Intrinsics
from lingbot_live.quality.depth_errors import hide, mask_blocks, mask_sparse, rel_error
from lingbot_live.refiners.guided import create_guided, measured, membrane
from lingbot_live.refiners.guided.refiner import refine_depth
from lingbot_live.refiners.guided.windows import Band, in_bands
from lingbot_live.system.helper import ALONE, Helper

SATURATED = 64_880  # raw values from here on, the last percent of 16 bits, are no measurements


def make_frame(depth_raw, color=None, scale_m=0.001):
    height, width = depth_raw.shape
    if color is None:
        color = np.full((height, width, 3), 128, np.uint8)
    calibration = Calibration(Intrinsics(width, height, 600, 600, width / 2, height / 2))
    raw = np.ascontiguousarray(depth_raw, np.uint16)
    return Frame("test", 0, 0, 0, color, raw, scale_m, calibration)


def refine(frame, **config):
    return create_guided(RefinerConfig("guided", **config)).refine(frame)


def plane(height=240, width=320):
    """A slanted plane, metres: its inverse depth is linear in the image."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return 1 / (0.5 + 0.3 * x / width + 0.2 * y / height)


def raw(depth_m):
    return np.rint(depth_m * 1000).astype(np.uint16)


def two_sides(height=240, width=320, edge=160):
    """A near and a far wall with their colours; returns true depth in metres and colour."""
    depth_m = np.full((height, width), 1.0, np.float32)
    depth_m[:, edge:] = 2.5
    color = np.full((height, width, 3), 60, np.uint8)
    color[:, edge:] = (200, 190, 180)
    return depth_m, color


def test_says_what_it_is():
    info = create_guided(RefinerConfig("guided")).info
    assert (info.name, info.device) == ("guided", "CPU")
    assert "tiny learned choice" in info.note


def test_a_hole_in_a_plane_is_filled_with_the_plane():
    truth = plane()
    hole = np.zeros(truth.shape, bool)
    hole[80:160, 100:220] = True
    refined = refine(make_frame(np.where(hole, 0, raw(truth))))
    assert rel_error(refined.depth_m, truth, hole) < 0.005
    assert refined.mask.all()


def test_a_plane_is_continued_to_the_border():
    truth = plane()
    hole = np.zeros(truth.shape, bool)
    hole[:, :70] = True
    flat = float(np.abs(truth[:, 70:71] / truth - 1)[hole.nonzero()[0], hole.nonzero()[1]].mean())
    refined = refine(make_frame(np.where(hole, 0, raw(truth))))
    assert rel_error(refined.depth_m, truth, hole) < flat / 2


def test_a_hole_is_filled_along_the_colour_edge():
    truth, color = two_sides()
    hole = np.zeros(truth.shape, bool)
    hole[60:180, 130:190] = True
    refined = refine(make_frame(np.where(hole, 0, raw(truth)), color))
    side_error = np.abs(refined.depth_m - truth) / truth
    assert (side_error[hole] > 0.1).mean() < 0.03
    far_side = refined.depth_m[70:170] > 1.6
    edges = far_side.argmax(1)
    assert np.abs(edges - 160).max() <= 2


def test_flying_pixels_land_on_a_side():
    truth, color = two_sides()
    flying = raw(truth)
    flying[:, 159], flying[:, 160] = 1400, 2000
    refined = refine(make_frame(flying, color)).depth_m
    off_near, off_far = np.abs(refined - 1.0), np.abs(refined / 2.5 - 1)
    assert (np.minimum(off_near, off_far) > 0.03).mean() < 0.0005


def test_a_steep_plane_is_no_flying_pixel():
    y = np.arange(240, dtype=np.float32)[:, None]
    steep = 1 / np.maximum((y - 20) * 0.004, 0.1) * np.ones((1, 320), np.float32)
    refined = refine(make_frame(raw(steep))).depth_m
    # Lines 50 and up recede by less than 4 % a pixel.
    np.testing.assert_allclose(refined[50:], steep[50:], rtol=0.01)


def test_outliers_do_not_reach_the_result():
    truth = plane()
    rng = np.random.default_rng(3)
    dirty = raw(truth)
    outliers = rng.random(truth.shape) < 0.01
    dirty[outliers] = rng.integers(100, 60_000, outliers.sum())
    dirty[20:60, 20:60] = 65_535
    refined = refine(make_frame(dirty)).depth_m
    assert (np.abs(refined / truth - 1) > 0.03).mean() < 0.001


def test_beyond_the_range_is_far_but_no_depth_of_its_own():
    truth = plane()
    sky = raw(truth)
    sky[:60] = 65_100
    refined = refine(make_frame(sky)).depth_m
    np.testing.assert_allclose(refined[70:], truth[70:], rtol=0.01)
    assert (refined[:50] > truth.max()).all()
    assert refined.max() <= 1.6 * truth.max()


def test_thin_objects_survive():
    truth, color = np.full((240, 320), 2.0, np.float32), np.full((240, 320, 3), 90, np.uint8)
    truth[30:200, 150:153] = 1.0
    color[30:200, 150:153] = 220
    refined = refine(make_frame(raw(truth), color)).depth_m
    assert (np.abs(refined[40:190, 150:153] - 1.0) < 0.02).mean() > 0.95


@pytest.mark.parametrize("scale_m", [0.001, 0.00025])
def test_scale_is_metric_and_clean_pixels_stay(scale_m):
    truth = plane()
    measured = np.rint(truth / scale_m).astype(np.uint16)
    refined = refine(make_frame(measured, scale_m=scale_m)).depth_m
    np.testing.assert_allclose(refined, truth, rtol=0.003)
    assert np.median(refined / truth) == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("noise", [0.002, 0.005, 0.02])
def test_a_still_scene_shimmers_less_than_its_raw_depth(noise):
    truth, color = two_sides()
    results, measured = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        noisy = raw(truth * (1 + noise * rng.standard_normal(truth.shape)))
        noisy[rng.random(truth.shape) < 0.02] = 0
        noisy[100:140, 200:260] = 0
        measured.append(noisy / 1000)
        results.append(refine(make_frame(noisy, color)).depth_m)
    always = (np.array(measured) > 0).all(0)
    raw_m, refined_m = np.std(measured, 0)[always], np.std(results, 0)[always]
    assert refined_m.mean() < 0.8 * raw_m.mean()
    assert np.percentile(refined_m, 99) < np.percentile(raw_m, 99)
    filled = np.std(results, 0)[105:135, 205:255]
    assert filled.mean() < raw_m.mean()
    assert rel_error(np.mean(results, 0, dtype=np.float32), truth, always) < noise


def test_nothing_measured_gives_nothing():
    refined = refine(make_frame(np.zeros((48, 64), np.uint16)))
    assert not refined.depth_m.any()
    assert not refined.mask.any()


def test_one_measurement_fills_its_surroundings():
    depth = np.zeros((240, 320), np.uint16)
    depth[120, 40] = 1500
    refined = refine(make_frame(depth))
    np.testing.assert_allclose(refined.depth_m[refined.mask], 1.5, rtol=0.01)
    assert refined.mask[120, 40]
    assert not refined.mask[:, 300].any(), "nobody can vouch for a place that far away"
    assert not refined.depth_m[~refined.mask].any()
    unmasked = refine(make_frame(depth), apply_mask=False)
    assert (unmasked.depth_m > 0).all()


def test_a_sparse_measurement_rules_its_own_cell():
    truth, far_off = plane(), {(48, 80): 24, (144, 208): 65_450}
    depth = np.zeros(truth.shape, np.uint16)
    depth[::16, ::16] = raw(truth)[::16, ::16]
    for place, value in far_off.items():
        depth[place] = value
    refined = refine(make_frame(depth)).depth_m
    for (row, column), value in far_off.items():
        inside = refined[row - 3 : row + 4, column - 3 : column + 4]
        np.testing.assert_allclose(inside, value / 1000, rtol=0.02)
        truth[row - 12 : row + 13, column - 12 : column + 13] = 0  # its cell and the seams
    elsewhere = truth > 0
    error = np.abs(refined[elsewhere] / truth[elsewhere] - 1)
    assert error.max() < 0.08, "as much as the measurements of neighbouring cells differ"
    assert error.mean() < 0.01


def test_keep_raw_returns_every_measurement():
    rng = np.random.default_rng(0)
    depth = raw(plane() * (1 + 0.02 * rng.standard_normal((240, 320))))
    depth[rng.random(depth.shape) < 0.2] = 0
    frame = make_frame(depth)
    refined = refine(frame, keep_raw=True).depth_m
    np.testing.assert_array_equal(refined[depth > 0], frame.depth_m[depth > 0])
    assert (refined > 0).all()


def test_equal_frames_give_equal_results():
    rng = np.random.default_rng(0)
    frame = make_frame(raw(plane()) * (rng.random((240, 320)) < 0.5))
    refiner = create_guided(RefinerConfig("guided"))
    first = refiner.refine(frame).depth_m
    refiner.refine(make_frame(np.full((240, 320), 900)))
    np.testing.assert_array_equal(refiner.refine(frame).depth_m, first)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    highest=st.sampled_from([1, 3000, 65_535]),
    seed=st.integers(0, 99),
)
def test_any_size_and_content_gives_finite_depth(height, width, share, highest, seed):
    rng = np.random.default_rng(seed)
    depth = rng.integers(0, highest, (height, width), endpoint=True)
    depth[rng.random(depth.shape) >= share] = 0
    color = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    refined = refine(make_frame(depth, color))
    assert np.isfinite(refined.depth_m).all()
    np.testing.assert_array_equal(refined.depth_m > 0, refined.mask)
    measured = (depth > 0) & (depth < SATURATED)
    assert refined.mask.any() == measured.any()


@pytest.mark.parametrize("size", [(720, 1280), (479, 641)])
def test_other_camera_sizes(size):
    truth = plane(*size)
    hole = mask_blocks(np.ones(size, bool), np.random.default_rng(0), 0.3)
    refined = refine(make_frame(np.where(hole, 0, raw(truth))))
    assert refined.mask.all()
    assert rel_error(refined.depth_m, truth, hole) < 0.02


def example(testdata: Path, name: str) -> Frame:
    folder = testdata / "data" / "lingbot_examples" / name
    color = cv2.imread(str(next(folder.glob("rgb.*"))))
    depth = cv2.imread(str(folder / "raw_depth.png"), cv2.IMREAD_UNCHANGED)
    return make_frame(depth, cv2.cvtColor(color, cv2.COLOR_BGR2RGB))


def telea(frame: Frame):
    holes = (frame.depth_raw == 0).astype(np.uint8)
    return cv2.inpaint(frame.depth_raw, holes, 3, cv2.INPAINT_TELEA) * np.float32(0.001)


def sound(depth_raw):
    """Without the 24 mm patch of the last scene, which alone could decide a mean of ratios."""
    return (depth_raw > 100) & (depth_raw < SATURATED)


def hidden_errors(testdata: Path, valid_pixels, mask, seeds):
    """REL of the refiner and of inpainting, both (scenes, seeds)."""
    errors = np.zeros((2, 4, len(seeds)))
    for number in range(4):
        frame = example(testdata, str(number))
        valid = valid_pixels(frame.depth_raw)
        frame = hide(frame, ~valid)
        for index, seed in enumerate(seeds):
            hidden = mask(valid, np.random.default_rng(seed))
            left = hide(frame, hidden)
            errors[:, number, index] = [
                rel_error(depth_m, frame.depth_m, hidden)
                for depth_m in (refine(left).depth_m, telea(left))
            ]
    return errors


@pytest.mark.testdata
@pytest.mark.parametrize(
    ("mask", "bar"),
    [
        (lambda valid, rng: mask_sparse(valid, rng), 0.80),
        (lambda valid, rng: mask_blocks(valid, rng), 0.70),
        (lambda valid, rng: mask_blocks(valid, rng, 0.5, (80, 160)), 0.70),
    ],
    ids=["sparse", "blocks", "large blocks"],
)
def test_better_than_inpainting_on_hidden_depth(testdata, mask, bar):
    ours, theirs = hidden_errors(testdata, sound, mask, range(2))
    assert ours.mean() < bar * theirs.mean()
    assert (ours.mean(1) < theirs.mean(1)).all(), "no scene may carry the others"


@pytest.mark.testdata
@pytest.mark.parametrize(
    ("mask", "bar"), [(mask_sparse, 0.85), (mask_blocks, 0.85)], ids=["sparse", "blocks"]
)
def test_better_than_inpainting_whatever_was_measured(testdata, mask, bar):
    # Impossible depths count here, in the input and in the error, in every draw for itself.
    ours, theirs = hidden_errors(testdata, lambda depth_raw: depth_raw > 0, mask, range(20, 24))
    assert ((ours / theirs).mean(0) < bar).all()
    assert (ours.mean(0) < bar * theirs.mean(0)).all()


@pytest.mark.testdata
@pytest.mark.parametrize("number", range(4))
def test_real_scenes_come_out_whole_and_metric(testdata, number):
    frame = example(testdata, str(number))
    refined = refine(frame)
    assert (refined.depth_m > 0).mean() > 0.99
    measured = (frame.depth_raw > 0) & (frame.depth_raw < SATURATED)
    ratio = refined.depth_m[measured] / frame.depth_m[measured]
    assert np.median(ratio) == pytest.approx(1, abs=0.005)
    assert (np.abs(ratio - 1) < 0.01).mean() > 0.94
    assert refined.depth_m.max() < 50, "the outliers at 65 m are no depth"


@pytest.mark.parametrize("shape", [(8, 11), (1, 5), (15, 20)])
def test_few_pixels_are_solved_to_where_sweeps_lead(shape):
    rng = np.random.default_rng(0)
    links = (
        rng.uniform(0.05, 1, shape).astype(np.float32),
        rng.uniform(0.05, 1, shape).astype(np.float32),
    )
    start, fixed = rng.uniform(-1, 1, shape).astype(np.float32), rng.random(shape) < 0.2
    fixed[0, 0] = True
    swept = membrane._relax(start, fixed, links, 3000)
    assert membrane._solve(start, fixed, links) == pytest.approx(swept, abs=1e-4)
    assert (membrane._solve(start, fixed, links)[fixed] == start[fixed]).all()


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_the_number_of_threads_changes_no_bit(threads):
    rng = np.random.default_rng(0)
    truth, color = two_sides(300, 402)
    depth = raw(truth + rng.normal(0, 0.004, truth.shape)) * (rng.random(truth.shape) > 0.3)
    depth[100:180, 120:260] = 0
    frame, before, found = make_frame(depth, color), cv2.getNumThreads(), []
    try:
        for number in (1, threads):
            cv2.setNumThreads(number)
            found.append(refine(frame))
            assert cv2.getNumThreads() == number
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(found[0].depth_m, found[1].depth_m)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2), (60, 64), (430, 320)])
def test_a_second_thread_changes_no_bit(size):
    rng = np.random.default_rng(1)
    depth = rng.integers(500, 4000, size).astype(np.uint16)
    depth = cv2.GaussianBlur(depth, (0, 0), 3) * (rng.random(size) > 0.2).astype(np.uint16)
    depth[: size[0] // 5] += np.uint16(900)
    color = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    helper = Helper(cores=2)
    try:
        parts = [refine_depth(color, depth, 0.001, True, other) for other in (ALONE, helper)]
    finally:
        helper.close()
    for alone, beside in zip(*parts, strict=True):
        np.testing.assert_array_equal(alone, beside)


def test_what_is_no_measurement_is_found_in_bands_as_in_the_whole(monkeypatch):
    """Islands, company and flying pixels across a cut, which is at half the height."""
    rng = np.random.default_rng(2)
    depth = (1500 + 9 * rng.standard_normal((440, 90))).astype(np.uint16)
    depth[rng.random(depth.shape) < 0.3] = 0
    depth[221:250, 20:60], depth[219:221, 20:60] = 3000, 2100  # the latter fly
    depth[210:232, 5:8], depth[190:260, 70], depth[217:260, 77] = 900, 5000, 1750

    def trusted():
        among = measured.candidates(depth)
        return measured.reliable(depth, among, lambda: measured.islands(among))[0]

    found, cut = trusted(), []

    def whole(work, rows, reach_px, helper):
        cut.append(len(in_bands(lambda band: None, rows, reach_px, helper)))
        return [work(Band(slice(0, rows), slice(0, rows)))]

    monkeypatch.setattr(measured, "in_bands", whole)
    np.testing.assert_array_equal(found, trusted())
    assert cut == [2, 2]
    assert found[depth == 1750].all()
    assert 0.003 < 1 - found[depth > 0].mean() < 0.5


def test_closing_ends_the_second_thread():
    refiner = create_guided(RefinerConfig("guided"))
    frame = make_frame(raw(plane()))
    before = set(threading.enumerate())
    depth_m = refiner.refine(frame).depth_m
    refiner.close()
    refiner.close()
    assert set(threading.enumerate()) <= before
    np.testing.assert_array_equal(refiner.refine(frame).depth_m, depth_m)
