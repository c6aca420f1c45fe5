"""The window with everything that refined depth is for: a scene, points followed, grasps, at once.

A walk through the simulated room is played at the speed of a camera and refined by `guided`; from
outside, keys ask for the scene and for grasps, and clicks for points. Absolute figures need a quiet
machine. The walk is rendered on the first run, which takes minutes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from bench.bench_window import watched
from bench.walk import TrueWalk
from bench.x_display import XDisplay
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import encode_frame
from lingbot_live.recording.parts import Parts
from lingbot_live.recording.state import RecorderOptions

Row = tuple[str, float, str, float]

_FRAMES, _FPS = 180, 30
_POINTS = ((180, 200), (240, 240), (300, 300), (200, 320), (330, 220))  # in the colour picture
_SETTLED_S = 1.0


def run() -> list[Row]:
    """Return the window's bars, and what the scene came to."""
    with tempfile.TemporaryDirectory() as place, XDisplay() as display:
        walk = Path(place) / "walk.mcap"
        record(walk)
        seen = watched([str(walk)], display, Path(place), everything)
    keys = float(np.percentile(seen.keys_ms, 95))
    return [
        ("all at once: main thread late, 99 %, ms", seen.ui["p99_stall_ms"], "bar", 16),
        ("all at once: main thread late, longest, ms", seen.ui["max_stall_ms"], "bar", 100),
        (f"all at once: key to change, 95 % of {len(seen.keys_ms)}, ms", keys, "bar", 150),
        ("all at once: refined, fps", seen.feed["fps_refined"], "of the walk's", _FPS),
        ("all at once: followed and fused, fps", seen.ui["scene"]["fps"], "bar", 8),
    ]


def record(path: Path) -> None:
    """Write the beginning of the walk as a session, as a camera would have been recorded."""
    parts = Parts(path, RecorderOptions(), {}, 0)
    for number, frame in zip(range(_FRAMES), TrueWalk(step=1).frames(), strict=False):
        at_ns = number * 1_000_000_000 // _FPS
        moment = Moment(at_ns, at_ns)
        if number == 0:
            parts.describe("walk", "walk", moment, None, frame.calibration)
        parts.write("walk", moment, at_ns, number, encode_frame(frame, "walk", 0, 95))
    parts.close()


def everything(display: XDisplay) -> None:
    """Ask for a scene, for grasps, and for some points to be followed."""
    display.focus()
    for keys in (("y",), ("h",), ("v", "Shift_L")):
        display.press(*keys)
        time.sleep(_SETTLED_S)
    for place in _POINTS:
        display.click(*place)
        time.sleep(_SETTLED_S / 5)
