"""Records refuse what the rest of the app relies on not to happen."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scripted import INTRINSICS

from lingbot_live.errors import CameraError, ConfigError, RefinerError
from lingbot_live.frame import Calibration, Extrinsics, Frame, Intrinsics, RefinedFrame, RefinerInfo


def frame(**changes) -> Frame:
    values = {
        "camera": "test:1",
        "index": 0,
        "timestamp_ns": 1,
        "device_timestamp_us": 2,
        "color": np.zeros((6, 8, 3), np.uint8),
        "depth_raw": np.arange(48, dtype=np.uint16).reshape(6, 8),
        "depth_scale_m": 0.00025,
        "calibration": Calibration(INTRINSICS),
    }
    return Frame(**{**values, **changes})


def test_arrays_are_read_only_and_not_copied():
    color = np.zeros((6, 8, 3), np.uint8)
    made = frame(color=color)
    assert made.color is color
    with pytest.raises(ValueError, match="read-only"):
        made.color[0, 0] = 1
    with pytest.raises(AttributeError):
        made.index = 3  # type: ignore[misc]


def test_depth_m_is_raw_times_scale_with_0_for_no_measurement():
    made = frame()
    assert made.depth_m.dtype == np.float32
    assert made.depth_m[0, 0] == 0
    np.testing.assert_allclose(made.depth_m, made.depth_raw * 0.00025, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"color": np.zeros((6, 8, 4), np.uint8)}, "color must be"),
        ({"color": np.zeros((6, 8, 3), np.float32)}, "float32"),
        ({"depth_raw": np.zeros((6, 8), np.uint8)}, "uint8"),
        ({"depth_raw": np.zeros((5, 8), np.uint16)}, "must agree"),
        ({"calibration": Calibration(Intrinsics(9, 6, 1, 1, 0, 0))}, "must agree"),
        ({"depth_scale_m": 0.0}, "depth scale"),
        ({"depth_scale_m": float("nan")}, "depth scale"),
        ({"reference_m": np.zeros((6, 8))}, "reference_m"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_by_name(changes, words):
    with pytest.raises(CameraError, match=words) as caught:
        frame(**changes)
    assert "test:1" in str(caught.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_refined_depth_must_be_finite(bad):
    depth = np.ones((6, 8), np.float32)
    depth[2, 3] = bad
    with pytest.raises(RefinerError, match="inf or nan"):
        RefinedFrame(frame(), depth, depth > 0, RefinerInfo("r"), 0, time.monotonic_ns())


def test_refined_depth_must_fit_its_frame():
    depth = np.ones((6, 9), np.float32)
    with pytest.raises(RefinerError, match="9x6"):
        RefinedFrame(frame(), depth, depth > 0, RefinerInfo("r"), 0, 1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0, 6, 1, 1, 0, 0), "size"),
        ((8, 6, float("nan"), 1, 0, 0), "finite"),
        ((8, 6, -1, 1, 0, 0), "positive focal"),
        ((8, 6, 1, 1, 0, 0, (1.0, 2.0)), "distortion"),
    ],
)
def test_senseless_intrinsics_are_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        Intrinsics(*values)


def test_intrinsics_and_their_matrix_are_one_truth():
    assert Intrinsics.from_matrix(INTRINSICS.matrix, 8, 6) == INTRINSICS


def test_extrinsics_invert_and_keep_their_matrix():
    angle = 0.3
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = [0.1, -0.2, 0.3]
    transform = Extrinsics.from_matrix(matrix)
    np.testing.assert_allclose(transform.matrix, matrix)
    np.testing.assert_allclose(transform.inverse().matrix @ matrix, np.eye(4), atol=1e-12)
