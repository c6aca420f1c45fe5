"""The numbers under the cursor."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lingbot_live.frame import Calibration, Frame, Intrinsics, RefinedFrame, RefinerInfo
from ui.shell import readout


@pytest.fixture
def pair():
    raw = np.zeros((4, 6), np.uint16)
    raw[1, 2] = 1482
    reference = np.zeros((4, 6), np.float32)
    reference[1, 2] = 1.4803
    refined = np.full((4, 6), 2.5, np.float32)
    refined[1, 2], refined[0, 0] = 1.479, 0
    frame = Frame(
        camera="synthetic:stereo",
        index=0,
        timestamp_ns=0,
        device_timestamp_us=0,
        color=np.zeros((4, 6, 3), np.uint8),
        depth_raw=raw,
        depth_scale_m=0.001,
        calibration=Calibration(Intrinsics(6, 4, 5.0, 5.0, 2.5, 1.5)),
        reference_m=reference,
    )
    return frame, RefinedFrame(frame, refined, refined > 0, RefinerInfo("guided"), 0, 1)


def plain(text):
    return " ".join(text.replace("\u2007", " ").split())


def test_all_four_numbers_at_a_pixel(pair):
    found = readout.reading(*pair, 2, 1)
    assert found.raw_text == "1.482 m"
    assert found.difference_mm == pytest.approx(-3, abs=1e-3)
    assert plain(found.refined_text) == "1.479 m −3 mm error −1 mm truth 1.480 m"


def test_a_filled_pixel_says_so(pair):
    found = readout.reading(*pair, 3, 3)
    assert found.raw_text == "no reading"
    assert plain(found.refined_text) == "2.500 m filled"


def test_nothing_at_all(pair):
    found = readout.reading(*pair, 0, 0)
    assert (found.raw_text, found.refined_text) == ("no reading", "no reading")


def test_without_a_refined_frame(pair):
    assert readout.reading(pair[0], None, 2, 1).raw_text == "1.482 m"


@pytest.mark.parametrize("pixel", [(-1, 0), (6, 0), (0, 4), (0, -1)])
def test_outside_the_image(pair, pixel):
    assert readout.reading(*pair, *pixel) == readout.Reading(None)


@pytest.mark.parametrize("metres", [0.001, 0.9, 1.482, 9.9994, 9.9996, 12.345, 65.5])
def test_metres_keep_their_width(metres):
    assert len(readout.metres(metres)) == len("1.482 m")


def test_millimetres_keep_their_width_and_sign():
    texts = [readout.millimetres(step) for step in (-3, 0, 0.3, 12, -1234)]
    assert [plain(text) for text in texts] == ["−3 mm", "±0 mm", "±0 mm", "+12 mm", "−1234 mm"]
    assert len({len(text) for text in texts}) == 1


def test_the_module_needs_no_qt():
    code = "import sys, ui.shell.readout; sys.exit(any('PySide6' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
