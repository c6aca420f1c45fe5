"""What fills a hole: completed, a body standing on what lies below, or the plane continued."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import choice_scenes, train_choice
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Calibration, Frame, Intrinsics, Origin
from lingbot_live.quality.depth_errors import hide, mask_blocks, mask_sparse, rel_error
from lingbot_live.refiners.guided import create_guided
from lingbot_live.refiners.guided import holes as grid
from lingbot_live.refiners.guided.choice import HYPOTHESES, SURE, learned
from lingbot_live.refiners.guided.membrane import pyramid
from lingbot_live.refiners.guided.refiner import completed, noise_of, smoothed

ROOT = Path(__file__).parents[2]
BODIES = [  # left, top, right, foot (pixels of 320x240) and colour
    ((100, 70, 150, 170), (180, 40, 30)),
    ((190, 60, 250, 150), (30, 90, 160)),
    ((60, 110, 95, 200), (230, 200, 60)),
]


def room(height=240, width=320, horizon=90):
    """A floor that meets a wall; returns depth in metres and colour, with a little texture."""
    row = np.arange(height, dtype=np.float32)[:, None] * np.ones((1, width), np.float32)
    floor_m = 2.2 / (0.55 + (row - horizon) / 150)
    depth_m = np.where(row < horizon, np.float32(4.0), np.minimum(floor_m, 4.0))
    rng = np.random.default_rng(0)
    color = np.where(row[..., None] < horizon, (205, 205, 200), (120, 110, 100))
    color = color + rng.integers(-3, 4, (height, width, 1))
    return depth_m.astype(np.float32), color.astype(np.uint8)


def with_body(box, paint):
    """Returns depth, colour and mask of the room with an upright body in it."""
    depth_m, color = room()
    left, top, right, foot = box
    mask = np.zeros(depth_m.shape, bool)
    mask[top:foot, left:right] = True
    mask[top : top + 8, [left, right - 1]] = False
    depth_m[mask] = depth_m[foot, left]
    color[mask] = paint
    return depth_m, color, mask


def make_frame(depth_m, color):
    height, width = depth_m.shape
    calibration = Calibration(Intrinsics(width, height, 300, 300, width / 2, height / 2))
    raw = np.rint(depth_m * 1000).astype(np.uint16)
    return Frame("test", 0, 0, 0, color, raw, 0.001, calibration)


def refine(frame, model=""):
    return create_guided(RefinerConfig("guided", model=model)).refine(frame)


def membrane(frame):
    """What the membrane alone makes of a frame, metres."""
    log, known, sparse = completed(frame.color, frame.depth_raw, frame.depth_scale_m)
    assert not sparse
    return smoothed(log, noise_of(log, known))


@pytest.mark.parametrize(("box", "paint"), BODIES)
@pytest.mark.parametrize("grown", [0, 3])
def test_a_missing_body_stands_on_what_lies_below_it(box, paint, grown):
    depth_m, color, mask = with_body(box, paint)
    hidden = cv2.dilate(mask.astype(np.uint8), np.ones((2 * grown + 1, 2 * grown + 1))) > 0
    frame = hide(make_frame(depth_m, color), hidden)
    refined = refine(frame)
    assert (refined.origin[mask] == Origin.STANDING).mean() > 0.8
    before, after = (rel_error(d, depth_m, mask) for d in (membrane(frame), refined.depth_m))
    assert after < 0.4 * before


def test_where_nothing_is_missing_the_completion_stays_to_the_bit():
    depth_m, color = room()
    frame = make_frame(depth_m, color)
    hidden = mask_blocks(frame.depth_raw > 0, np.random.default_rng(1), 0.2, (20, 60))
    frame = hide(frame, hidden)
    refined = refine(frame)
    np.testing.assert_array_equal(refined.depth_m, membrane(frame))
    assert (refined.origin[hidden] == Origin.COMPLETED).all()
    assert (refined.origin[~hidden & (frame.depth_raw > 0)] == Origin.MEASURED).mean() > 0.99


def test_among_sparse_measurements_no_body_is_looked_for():
    depth_m, color, _ = with_body(*BODIES[0])
    frame = make_frame(depth_m, color)
    frame = hide(frame, mask_sparse(frame.depth_raw > 0, np.random.default_rng(0), 0.01))
    assert set(np.unique(refine(frame).origin)) <= {Origin.MEASURED, Origin.COMPLETED}


def test_a_body_does_not_flicker():
    depth_m, color, mask = with_body(*BODIES[0])
    raw, filled = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        noisy = make_frame(depth_m * (1 + 0.004 * rng.standard_normal(depth_m.shape)), color)
        shreds = mask | (rng.random(mask.shape) < 0.02)
        raw.append(noisy.depth_m)
        filled.append(refine(hide(noisy, shreds)).depth_m)
    assert np.std(filled, 0)[mask].mean() < np.std(raw, 0)[mask].mean()


def test_glass_is_found_through_shreds_only_when_asked_for():
    depth_m, color, mask = with_body(*BODIES[0])
    background, _ = room()
    frame = make_frame(background, color)  # the sensor sees through the body
    rng = np.random.default_rng(0)
    small = rng.random((40, 54)) < 0.75
    shreds = cv2.resize(small.astype(np.uint8), (320, 240), interpolation=cv2.INTER_NEAREST) > 0
    frame = hide(frame, mask & shreds)
    plain, glass = (refine(frame, model) for model in ("", "glass"))
    assert rel_error(glass.depth_m, depth_m, mask) < 0.6 * rel_error(plain.depth_m, depth_m, mask)
    measured = frame.depth_raw > 0
    assert (plain.origin[mask & measured] != Origin.STANDING).all()
    assert glass.refiner.name == "guided:glass"


def test_another_model_is_refused_by_name():
    with pytest.raises(ConfigError, match="guided:glas:"):
        create_guided(RefinerConfig.parse("guided:glas"))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (90, 120), (720, 1280)])
def test_any_size_has_its_grid(size):
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    known = cv2.resize((rng.random((6, 6)) < 0.5).astype(np.uint8), size[::-1]) > 0
    log = rng.random(size, np.float32)
    found = grid.find(pyramid(color), pyramid(known.astype(np.float32)))
    if found is not None:
        table = grid.features(grid.guess(found, log, known))
        assert table.shape == (found.count, grid.FEATURES)
        assert np.isfinite(table).all()


def test_what_is_learned_is_small_and_the_same_every_time(tmp_path):
    """Two scenes stand for all: the same code runs over them."""
    made = []
    for name in ("first.json", "second.json"):
        command = [sys.executable, "-m", "bench.train_choice", "--scenes", "2", "-o"]
        subprocess.run([*command, tmp_path / name], check=True, cwd=ROOT, capture_output=True)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    assert len(made[0]) < 8000
    shipped = learned()
    assert shipped.hidden.shape[0] == grid.FEATURES + 1
    assert shipped.output.shape[1] == len(HYPOTHESES)


def test_scenes_never_seen_have_less_error_than_completed():
    """Scenes behind those that the network was trained on."""
    first = train_choice.SCENES
    rows = [
        train_choice.measured(example)
        for number in range(first, first + 4)
        for example in choice_scenes.examples(number)
    ]
    features, errors, pixels = (np.concatenate(part) for part in zip(*rows, strict=True))
    p = learned().probabilities(features)
    chosen = np.where(p.max(1) > SURE, p.argmax(1), 0)
    found = (errors[np.arange(len(p)), chosen] * pixels).sum()
    assert found < 0.9 * (errors[:, 0] * pixels).sum()


def test_scenes_follow_from_their_number():
    one, again = (next(choice_scenes.examples(7)) for _ in range(2))
    np.testing.assert_array_equal(one.color, again.color)
    np.testing.assert_array_equal(one.depth_raw, again.depth_raw)
