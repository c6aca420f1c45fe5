"""Grasps looked for in a process of their own: the same ones, whatever becomes of the process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest

from lingbot_live.errors import LingbotLiveError
from lingbot_live.frame import Intrinsics
from lingbot_live.geometry import rays
from lingbot_live.perception.grasp_process import GraspProcess, Look
from lingbot_live.perception.grasps import GraspSettings, NoSupportError, find_grasps

K = Intrinsics(320, 240, 260.0, 260.0, 159.5, 119.5)


def table():
    """Depth of a box, 10 by 6 by 8 cm, on a table below a camera that looks down by 50 degrees."""
    pitch = np.radians(50.0)
    up = np.array([0.0, -np.cos(pitch), -np.sin(pitch)])
    across, along = np.array([1.0, 0.0, 0.0]), np.array([0.0, -np.sin(pitch), np.cos(pitch)])
    way = np.dstack([rays(K), np.ones((K.height, K.width), np.float32)]).astype(np.float64)
    below = np.array([0.0, 0.0, 0.6 / np.sin(pitch)])
    low, high = np.array([-0.05, -0.03, 0.0]), np.array([0.05, 0.03, 0.08])
    axes = np.stack([across, along, up])
    with np.errstate(divide="ignore"):
        slabs = (np.stack([low, high])[:, None, None] + axes @ below) / (way @ axes.T)
    enters, leaves = slabs.min(0).max(-1), slabs.max(0).min(-1)
    plane = 0.6 / -(way @ up)
    return np.where(enters < leaves, np.minimum(enters, plane), plane).astype(np.float32)


@pytest.fixture
def process():
    with contextlib.closing(GraspProcess()) as process:
        yield process


def look(depth_m):
    return Look(depth_m, K, GraspSettings(most=3))


def test_it_finds_what_this_process_would(process):
    wanted = find_grasps(table(), K, GraspSettings(most=3))
    found = process.find(look(table()))
    assert len(found.things) == len(wanted.things) == 1
    assert len(found.grasps) == len(wanted.grasps) > 0
    for ours, theirs in zip(found.grasps, wanted.grasps, strict=True):
        np.testing.assert_allclose(ours.T_camera_gripper, theirs.T_camera_gripper, atol=1e-6)


def test_what_is_wrong_with_a_frame_is_said_as_ever(process):
    with pytest.raises(NoSupportError, match="no plane is seen"):
        process.find(look(np.zeros((240, 320), np.float32)))
    assert process.find(look(table())).things


def test_where_it_dies_that_is_said_and_the_next_look_begins_another(process):
    process.find(look(table()))
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(LingbotLiveError, match="grasps: the process that looks for them crashed"):
        process.find(look(table()))
    assert process.find(look(table())).things


def test_closing_ends_it_in_the_middle_of_a_look():
    process, told = GraspProcess(), []
    thread = threading.Thread(target=lambda: told.append(process.find(look(table()))))
    thread.start()
    deadline_s = time.monotonic() + 60
    while process.pid is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
    child = psutil.Process(process.pid)
    process.close()
    thread.join(60)
    assert told == [None]
    assert not child.is_running()
    assert process.find(look(table())) is None
    process.close()
