"""The window as people have it: on a display, from outside, and beside other programs.

Needs a quiet machine for its absolute figures; the refined rates are a ratio within one run. Each
line tells a figure beside its bar, or beside the same figure without a window. How much is refined,
and how soon it stands on the screen, is told of a window that nobody touches; keys come in another,
six a second, each of which has everything painted anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.x_display import Box, XDisplay
from drivers.synthetic.driver import SyntheticCamera
from lingbot_live.cameras.registry import create_camera
from lingbot_live.config import CameraConfig

Row = tuple[str, float, str, float]

SIZES = ("640x480", "1280x720")
RUN_S, WARM_S = 40.0, 8.0  # of each window, and of that until it is measured from outside
KEYS_S = 24.0  # of a window that has keys pressed
HEADLESS_S = 16.0
BUSY = 2  # programs beside it that want a core each
_KEYS = ("bracketleft", "bracketright")  # shorten and lengthen the range of the colours
_RENDER_S = 300.0  # that it may take, once
_KEY_PAUSE_S, _KEY_MOST_S = 0.15, 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A run of the window, told by itself and watched from outside."""

    feed: dict[str, Any]
    ui: dict[str, Any]
    keys_ms: list[float]
    main_ms: float  # processor time of the main thread per shown frame

    def latency_ms(self, percent: str) -> float:
        """Return how long after its capture a refined frame stood on the screen."""
        stage = self.feed["latency_ms"].get("until_shown", {})
        return float(stage.get(percent, float("nan")))


def run() -> list[Row]:
    """Return what was found: 640x480 and 720p alone, and 640x480 beside busy programs."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place, XDisplay() as display:
        for size in SIZES:
            _render(size)
            bare = _headless(size, Path(place))
            rows += _rows_alone(size, *_windows(size, display, Path(place)), bare)
        with _busy():
            rows += _rows_busy(*_windows(SIZES[0], display, Path(place)))
    return rows


def _rows_alone(size: str, seen: Seen, keyed: Seen, bare: float) -> list[Row]:
    keys = f"key to visible change, {len(keyed.keys_ms)} keys, 95 %, {size}"
    small = size == SIZES[0]
    return [
        (f"refined in the window, fps, {size}", seen.feed["fps_refined"], "headless, fps", bare),
        (f"main thread late, 99 %, {size}", _late(seen, keyed, "p99"), "bar", 16),
        (f"main thread late, longest, {size}", _late(seen, keyed, "max"), "bar", 100),
        (keys, _percentile(keyed.keys_ms, 95), "bar", 150),
        (f"capture to screen, median, {size}", seen.latency_ms("p50"), "bar", 45 if small else 0),
        (f"capture to screen, 95 %, {size}", seen.latency_ms("p95"), "bar", 75 if small else 0),
        (f"main thread a shown frame, {size}", seen.main_ms, "bar, processor time", 6),
    ]


def _rows_busy(seen: Seen, keyed: Seen) -> list[Row]:
    beside = f"beside {BUSY} busy programs"
    return [
        (f"main thread late, 99 %, {beside}", _late(seen, keyed, "p99"), "bar", 50),
        (f"main thread late, longest, {beside}", _late(seen, keyed, "max"), "bar", 250),
        (f"key to change, 95 %, {beside}", _percentile(keyed.keys_ms, 95), "bar", 300),
        (f"refined, fps, {beside}", seen.feed["fps_refined"], "of the camera's 30", 30),
        (f"capture to screen, median, {beside}", seen.latency_ms("p50"), "", 0),
    ]


def _late(seen: Seen, keyed: Seen, which: str) -> float:
    """Return the worse of both."""
    return float(max(each.ui[f"{which}_stall_ms"] for each in (seen, keyed)))


def _render(size: str) -> None:
    """Have the simulated camera's poses on disk: a real camera needs no processor to draw them."""
    width, height = map(int, size.split("x"))
    with create_camera("synthetic:stereo", CameraConfig(width=width, height=height)) as camera:
        if isinstance(camera, SyntheticCamera):
            camera.wait_until_rendered(_RENDER_S)


def _headless(size: str, place: Path) -> float:
    """Return the refined frames a second without a window."""
    stats = place / "headless.json"
    asked = ["synthetic:stereo", "--size", size]
    subprocess.run([*_command(asked, stats, HEADLESS_S), "--headless"], check=True)
    return float(_feed(json.loads(stats.read_text()))["fps_refined"])


def _windows(size: str, display: XDisplay, place: Path) -> tuple[Seen, Seen]:
    """Return one that nobody touches, and one in which keys are pressed."""
    asked = ["synthetic:stereo", "--size", size]
    untouched = watched(asked, display, place, has_keys=False)
    return untouched, watched(asked, display, place, run_s=KEYS_S)


def watched(
    asked: list[str],
    display: XDisplay,
    place: Path,
    begin: Callable[[XDisplay], None] = lambda display: None,
    run_s: float = RUN_S,
    *,
    has_keys: bool = True,
) -> Seen:
    """Run the window on what is asked for; once it streams, ``begin`` does something in it."""
    stats = place / "window.json"
    environment = {
        **os.environ,
        "DISPLAY": display.name,
        "QT_QPA_PLATFORM": "xcb",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "LINGBOT_LIVE_CONFIG": str(place / "config"),
        "XDG_RUNTIME_DIR": str(place),
    }
    child = subprocess.Popen([*_command(asked, stats, run_s), "--reset"], env=environment)
    end_s = time.monotonic() + run_s - 2
    try:
        time.sleep(WARM_S)
        begin(display)
        began_s, spent_s = time.monotonic(), _main_thread_s(child.pid)
        keys_ms = _keys_ms(display, end_s) if has_keys else []
        time.sleep(max(0.0, end_s - time.monotonic()))
        passed_s, spent_s = time.monotonic() - began_s, _main_thread_s(child.pid) - spent_s
        child.wait(120)
    finally:
        child.kill()
        child.wait()
    told = json.loads(stats.read_text())
    feed = _feed(told)
    return Seen(feed, told["ui"], keys_ms, 1000 * spent_s / (passed_s * feed["fps_shown"]))


def _command(asked: list[str], stats: Path, seconds: float) -> list[str]:
    options = ["--refiner", "guided", "--duration", str(seconds), "--stats", str(stats)]
    return [sys.executable, "-m", "lingbot_live", "run", *asked, *options]


def _feed(told: dict[str, Any]) -> dict[str, Any]:
    feed: dict[str, Any] = next(iter(told["feeds"].values()))
    return feed


def _keys_ms(display: XDisplay, until_s: float) -> list[float]:
    """Return how long the window took to show that each of several keys was pressed."""
    box = _place_of_answer(display)
    found: list[float] = []
    while time.monotonic() < until_s:
        before = display.look(box)
        began_s = time.monotonic()
        display.press(_KEYS[len(found) % 2])
        display.wait_for_change(box, before, _KEY_MOST_S)
        found.append((time.monotonic() - began_s) * 1000)
        time.sleep(_KEY_PAUSE_S)
    return found


def _place_of_answer(display: XDisplay) -> Box:
    """Find what a key changes in those rows where nothing moves by itself: the range's scale."""
    display.focus()
    before, still = display.still(1.0)
    quiet = still.all(axis=1)[:, None]
    display.press(_KEYS[1])
    until_s = time.monotonic() + _KEY_MOST_S
    while not ((display.look() != before) & quiet).any():
        if time.monotonic() > until_s:
            raise SystemExit("bench window: no key reached the window")
        time.sleep(0.02)
    time.sleep(0.5)
    rows, columns = np.nonzero((display.look() != before) & quiet)
    display.press(_KEYS[0])
    time.sleep(0.5)
    left, top = int(columns.min()), int(rows.min())
    return left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1


def _main_thread_s(pid: int) -> float:
    times = {thread.id: thread for thread in psutil.Process(pid).threads()}[pid]
    return float(times.user_time + times.system_time)


def _percentile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    """Have programs beside that never rest, and end with this one, however it ends."""
    code = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    loops = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
