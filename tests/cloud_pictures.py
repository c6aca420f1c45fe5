"""Small scenes for the point cloud, and its pictures of them."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from pathlib import Path

import numpy as np

from lingbot_live.frame import Calibration, Frame, Intrinsics, RefinedFrame, RefinerInfo
from ui.cloud.link import CloudProcess
from ui.cloud.points import Cloud
from ui.cloud.scene import ViewSettings

RED, GREEN, BLUE, YELLOW = (220, 0, 0), (0, 220, 0), (0, 0, 220), (220, 220, 0)
BACKGROUND = (10, 20, 30)
INTRINSICS = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)


def until(condition, timeout_s=60.0):
    """Wait for work that happens in another process."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def is_alive(pid):
    """Whether a process runs, other than as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def quadrants():
    """Red top left, green top right, blue bottom left, yellow bottom right."""
    color = np.empty((120, 160, 3), np.uint8)
    color[:60, :80], color[:60, 80:] = RED, GREEN
    color[60:, :80], color[60:, 80:] = BLUE, YELLOW
    return color


def refined_frame(raw_m=1.0, refined_m=1.0, color=None, camera="plane", intrinsics=INTRINSICS):
    shape = (intrinsics.height, intrinsics.width)
    color = quadrants() if color is None else color
    raw = np.broadcast_to(np.asarray(raw_m) * 1000, shape).astype(np.uint16)
    depth = np.broadcast_to(np.float32(refined_m), shape).astype(np.float32)
    frame = Frame(camera, 0, 0, 0, color, raw, 0.001, Calibration(intrinsics))
    return RefinedFrame(frame, depth, depth > 0, RefinerInfo("none"), 0, 0)


def points_of(depth_m, color=None, intrinsics=INTRINSICS):
    cloud = Cloud()
    cloud.add(np.float32(depth_m), quadrants() if color is None else color, intrinsics)
    return cloud.points_m


def view(**changes):
    known = {"width": 320, "height": 240, "point_size_px": 6, "background_rgb": BACKGROUND}
    return ViewSettings(**{**known, **changes})


@contextlib.contextmanager
def running(max_fps=60.0):
    before = set(threading.enumerate())
    process = CloudProcess(view(), max_fps)
    process.start()
    yield process
    pid = process.pid
    process.close()
    process.close()
    assert pid is None or not is_alive(pid)
    assert set(threading.enumerate()) == before


HOMES = itertools.count(1)


def show(process, frame, **changes):
    """Return the picture of this frame with these settings, from a new home view."""
    wanted = view(home=next(HOMES), **changes)
    process.submit(frame)
    process.set_view(wanted)
    until(lambda: process.status.view == wanted)
    return process.latest_image()
