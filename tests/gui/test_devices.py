"""The list of cameras follows what is plugged in, and a vanished camera says what is done."""

from __future__ import annotations

import threading
import time

import pytest
from gui_wait import wait_for
from scripted import ScriptedCamera

from lingbot_live.cameras.base import CameraInfo, CameraState
from lingbot_live.cameras.discovery import DeviceWatcher, Listing
from lingbot_live.config import SessionConfig
from lingbot_live.errors import CameraDisconnectedError, CameraNotFoundError
from lingbot_live.pipeline.session import Session
from lingbot_live.refiners.base import PassthroughRefiner


class Desk:
    """What is plugged in, told to a watcher."""

    def __init__(self):
        self.plugged = {"1-1": CameraInfo("realsense", "A1", "D435", "A1")}
        self.threads = set()

    def __call__(self):
        self.threads.add(threading.get_ident())
        return Listing(tuple(self.plugged.values()), {"kinect": "kinect: not installed"})

    def close(self):
        pass

    def watch(self, on_change):
        return DeviceWatcher(on_change, self, lambda: frozenset(self.plugged))


@pytest.fixture
def desk(window):
    desk = Desk()
    window.devices._watch = desk.watch
    window.actions_["find"].trigger()
    yield desk
    window.devices.stop()


def listed(window):
    box = window.bar.camera_box
    return [box.itemData(i) for i in range(box.count())]


def test_cameras_come_and_go_within_two_seconds(window, desk):
    window.bar.set_address("synthetic:tof")
    wait_for(lambda: listed(window) == ["realsense:A1"])
    assert "kinect: not installed" in window.bar.camera_box.toolTip()
    assert window.desk.news.text == ""
    desk.plugged["1-2"] = CameraInfo("orbbec", "B2", "Gemini 335", "B2")
    begun = time.monotonic()
    wait_for(lambda: listed(window) == ["realsense:A1", "orbbec:B2"])
    assert time.monotonic() - begun < 2
    assert window.desk.news.text == "Gemini 335 is there"
    del desk.plugged["1-1"]
    begun = time.monotonic()
    wait_for(lambda: listed(window) == ["orbbec:B2"])
    assert time.monotonic() - begun < 2
    assert window.desk.news.text.endswith("D435 was unplugged")
    assert window.bar.address == "synthetic:tof"
    assert threading.get_ident() not in desk.threads


def test_a_camera_that_vanished_counts_its_tries(window, monkeypatch):
    gone, absent = CameraDisconnectedError("scripted:it was unplugged"), CameraNotFoundError("none")
    camera = ScriptedCamera([1, 2, gone, *range(3, 10_000)], period_s=0.01)
    quick = SessionConfig(reconnect_first_s=0.5, reconnect_most_s=0.5)

    def session_of(*_, on_update, **__):
        return Session([("cam", lambda: camera)], PassthroughRefiner, quick, on_update)

    monkeypatch.setattr(Session, "of", session_of)
    opened = []
    camera._cam_open = lambda: opened.append(1) or fail(opened, absent)
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: "2 tries so far" in window.panels[0].notice.text)
    assert window.stage.session.feeds[0].state is CameraState.RECONNECTING
    wait_for(lambda: window.panels[0].notice.text == "")
    wait_for(lambda: window.stage.session.feeds[0].stats.captured > 5)
    assert window.stage.session.feeds[0].stats.reconnects == 1


def fail(opened, error):
    if 1 < len(opened) < 5:
        raise error
