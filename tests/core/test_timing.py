"""Time offsets from motion, against offsets that are known."""

from __future__ import annotations

import numpy as np
import pytest

from lingbot_live.calibration.timing import TRUSTED, MotionSeries, time_offset
from lingbot_live.errors import CalibrationError
from lingbot_live.frame import Calibration, Frame, Intrinsics

K = Intrinsics(160, 120, 130.0, 130.0, 79.5, 59.5)


def motion(seed=0):
    """Return where a hand is at a time: a smooth wander of up to some 3 Hz."""
    rng = np.random.default_rng(seed)
    waves = [(rng.uniform(0.3, 3), rng.uniform(0, 6.3), rng.uniform(0.3, 1)) for _ in range(12)]
    return lambda t: sum(a / f * np.sin(2 * np.pi * f * t + p) for f, p, a in waves)


def watched(
    place, offset_s=0.0, fps=30.0, phase_s=0.0, span_s=6.5, seed=0, view=1.0, arrives_s=None
):
    """Film a disc that follows ``place``, in front of a pattern, with noise."""
    rng = np.random.default_rng(seed)
    series = MotionSeries()
    v, u = np.mgrid[: K.height, : K.width]
    ground = 90 + 40 * np.sin(u / 5) * np.cos(v / 7)
    for n in range(int(span_s * fps)):
        t = phase_s + n / fps + rng.normal(0, 0.0005)
        x = 80 + 10 * view * place(t)
        gray = np.where((u - x) ** 2 + (v - 60) ** 2 < 400, 220, ground)
        color = (gray[..., None] + rng.normal(0, 2, (*gray.shape, 3))).clip(0, 255)
        stamp = round((t + offset_s) * 1e9) + 10**12
        epoch_us = 0
        if arrives_s is not None:  # played later; its own stamps are absolute
            epoch_us = 1_700_000_000_000_000 + round((t + offset_s) * 1e6)
            stamp = round((t + arrives_s) * 1e9) + 10**12
        raw = np.ones(gray.shape, np.uint16)
        series.add(
            Frame("c", n, stamp, epoch_us, color.astype(np.uint8), raw, 0.001, Calibration(K))
        )
    return series


@pytest.mark.parametrize(
    ("offset_ms", "fps", "phase_s"), [(0.0, 30, 0.013), (37.5, 30, 0.02), (-120.0, 15, 0.0)]
)
def test_the_offset_is_found_within_5_ms(offset_ms, fps, phase_s):
    place = motion()
    reference = watched(place, seed=1)
    other = watched(place, offset_ms / 1000, fps, phase_s, seed=2, view=0.7)
    found = time_offset(reference, other)
    assert found.offset_ms == pytest.approx(offset_ms, abs=5.0)
    assert found.confidence > TRUSTED
    back = time_offset(other, reference)
    assert back.offset_ms == pytest.approx(-found.offset_ms, abs=3.0)


def test_different_or_no_motion_is_not_trusted():
    other = time_offset(watched(motion(1)), watched(motion(2), seed=3))
    still = time_offset(watched(lambda t: 0.0, seed=4), watched(lambda t: 0.0, seed=5))
    clear = time_offset(watched(motion(1)), watched(motion(1), 0.05, seed=3))
    assert max(other.confidence, still.confidence) < TRUSTED < clear.confidence


def test_a_short_look_is_refused():
    with pytest.raises(CalibrationError, match=r"seen for 1\.9 s together; at least 4 s"):
        time_offset(watched(motion(), span_s=2.0), watched(motion(), span_s=2.0))
    with pytest.raises(CalibrationError, match=r"0\.0 s together"):
        time_offset(MotionSeries(), watched(motion(), span_s=2.0))


def test_recordings_with_absolute_stamps_may_be_played_at_any_time():
    place = motion(7)
    reference = watched(place, seed=1, arrives_s=0.0)
    other = watched(place, 0.0375, seed=2, arrives_s=0.4)
    assert reference.is_absolute
    assert time_offset(reference, other).offset_ms == pytest.approx(37.5, abs=5.0)
    by_arrival = watched(place, seed=1)
    assert not by_arrival.is_absolute
    assert time_offset(by_arrival, other).offset_ms == pytest.approx(400, abs=5.0)
