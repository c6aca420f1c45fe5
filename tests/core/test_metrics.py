"""The masked-depth protocol and what a refiner changed, as pure functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingbot_live.errors import ConfigError
from lingbot_live.frame import Calibration, Frame, Intrinsics
from lingbot_live.quality.depth_errors import (
    Change,
    Tolerance,
    change_map,
    change_shares,
    hide,
    mask_blocks,
    mask_sparse,
    rel_error,
)


def valid_mask(height=240, width=320, seed=0):
    return np.random.default_rng(seed).random((height, width)) < 0.9


def metres(*values):
    return np.array([values], np.float32)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    share=st.floats(0, 0.95),
    low=st.integers(1, 80),
    seed=st.integers(0, 9),
)
def test_blocks_cover_the_asked_share_and_hide_only_valid_pixels(height, width, share, low, seed):
    everywhere = np.ones((height, width), bool)
    hidden = mask_blocks(everywhere, np.random.default_rng(seed), share, (low, low + 40))
    assert hidden.mean() >= share
    valid = valid_mask(height, width)
    partly = mask_blocks(valid, np.random.default_rng(seed), share, (low, low + 40))
    np.testing.assert_array_equal(partly, hidden & valid)


def test_blocks_are_rectangles_of_the_asked_size():
    hidden = mask_blocks(np.ones((400, 400), bool), np.random.default_rng(3), 0.001, (40, 50))
    rows, columns = np.nonzero(hidden)
    assert hidden[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
    assert np.ptp(rows) < 50
    assert np.ptp(columns) < 50


def test_sparse_keeps_the_asked_share():
    valid = valid_mask(480, 640)
    hidden = mask_sparse(valid, np.random.default_rng(0), keep=0.005)
    assert not (hidden & ~valid).any()
    kept = (valid & ~hidden).sum() / valid.sum()
    assert kept == pytest.approx(0.005, rel=0.2)


def test_masks_follow_the_seed():
    valid = valid_mask()
    for mask in (mask_blocks, mask_sparse):
        first, again = (mask(valid, np.random.default_rng(5)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert (mask(valid, np.random.default_rng(6)) != first).any()


@pytest.mark.parametrize(
    "call",
    [
        lambda valid, rng: mask_blocks(valid, rng, share=1.0),
        lambda valid, rng: mask_blocks(valid, rng, size_px=(0, 10)),
        lambda valid, rng: mask_blocks(valid, rng, size_px=(20, 10)),
        lambda valid, rng: mask_sparse(valid, rng, keep=1.5),
        lambda valid, rng: rel_error(np.zeros((2, 2)), np.zeros((2, 3)), valid),
        lambda valid, rng: change_map(np.zeros((2, 2)), np.zeros((2, 3))),
    ],
)
def test_senseless_arguments_are_refused(call):
    with pytest.raises(ConfigError):
        call(valid_mask(), np.random.default_rng(0))


def test_hiding_takes_raw_depth_away_and_leaves_the_frame():
    depth = np.array([[1000, 2000, 3000]], np.uint16)
    calibration = Calibration(Intrinsics(3, 1, 1, 1, 1, 0))
    frame = Frame("a", 4, 5, 6, np.zeros((1, 3, 3), np.uint8), depth, 0.001, calibration)
    left = hide(frame, np.array([[False, True, False]]))
    assert left.depth_raw.tolist() == [[1000, 0, 3000]]
    assert frame.depth_raw.tolist() == [[1000, 2000, 3000]]
    assert (left.camera, left.index) == ("a", 4)


def test_rel_error_by_hand():
    reference = metres(1, 2, 4, 0)
    depth = metres(1.1, 0, 4, 7)
    everywhere = np.ones((1, 4), bool)
    assert rel_error(depth, reference, everywhere) == pytest.approx((0.1 + 1 + 0) / 3)
    assert rel_error(depth, reference, np.array([[1, 0, 0, 1]], bool)) == pytest.approx(0.1)
    assert math.isnan(rel_error(depth, reference, ~everywhere))


def test_changes_by_hand():
    raw = metres(0, 0, 1, 1, 1, 0.1, 0.1, 1)
    refined = metres(0, 2, 1, 1.009, 1.02, 0.1015, 0.103, 0)
    expected = ["INVALID", "FILLED", "KEPT", "KEPT", "CHANGED", "KEPT", "CHANGED", "INVALID"]
    changes = change_map(raw, refined)
    assert changes.dtype == np.uint8
    assert [Change(c).name for c in changes[0]] == expected
    loose = change_map(raw, refined, Tolerance(absolute_m=0.0, relative=0.05))
    assert (loose[0, 2:7] == Change.KEPT).all()
    shares = change_shares(changes)
    assert shares[Change.KEPT] == pytest.approx(3 / 8)
    assert shares[Change.INVALID] == pytest.approx(2 / 8)
    assert sum(shares.values()) == pytest.approx(1)
