"""Colored ICP on a scene whose truth is known."""

from __future__ import annotations

import math
import threading

import numpy as np
import psutil
import pytest
from rig_scene import TRUE, shot

from lingbot_live.calibration.icp import refine_in_child, refine_rig
from lingbot_live.calibration.rig import Rig, RigCamera, move_of
from lingbot_live.errors import CalibrationError

START = move_of((0.02, -0.015, 0.02), (1.0, -1.0, 0.8)) @ TRUE


def away(found, true):
    shift = np.linalg.norm(np.subtract(found.translation_m, true.translation_m))
    return 1000 * shift, (found.inverse() @ true).angle_deg


def rig_at(pose):
    return Rig((RigCamera("left"), RigCamera("right", pose)))


@pytest.fixture(scope="module")
def shots():
    return {"left": shot(move_of(), 1), "right": shot(TRUE, 2)}


@pytest.fixture(scope="module")
def refined(shots):
    return refine_rig(rig_at(START), shots)


def test_icp_mends_a_start_that_is_centimetres_off(refined):
    before_mm, before_deg = away(START, TRUE)
    assert before_mm > 25
    found = refined.camera("right")
    mm, degrees = away(found.pose, TRUE)
    assert mm < before_mm / 8
    assert degrees < before_deg / 8
    assert 0.5 < found.icp_rms_mm < 12


def test_the_child_does_the_same_and_tells_errors(shots, refined):
    there = refine_in_child(rig_at(START), shots).camera("right")
    np.testing.assert_allclose(there.pose.matrix, refined.camera("right").pose.matrix, atol=2e-3)
    assert not [c for c in psutil.Process().children() if c.name() != "Xvfb"]  # tests of windows
    apart = rig_at(move_of((0, 30.0, 0)))
    with pytest.raises(CalibrationError, match="right: less than 10% of its points"):
        refine_in_child(apart, shots)


def test_a_third_camera_joins_those_already_placed(shots):
    beside = move_of((0.1, 0, 0)) @ TRUE
    rig = Rig((*rig_at(TRUE).cameras, RigCamera("third", move_of((0.015, 0, 0)) @ beside)))
    refined = refine_rig(rig, {**shots, "third": shot(beside, 3)})
    assert away(refined.camera("third").pose, beside)[0] < 6
    assert not math.isnan(refined.camera("third").icp_rms_mm)


def test_cancelling_ends_the_child(shots):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CalibrationError, match="cancelled"):
        refine_in_child(rig_at(START), shots, cancel)
    assert not [c for c in psutil.Process().children() if c.name() != "Xvfb"]  # tests of windows
