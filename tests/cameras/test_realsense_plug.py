"""RealSense cameras that come and go, through the real SDK."""

from __future__ import annotations

import queue

import pytest

from lingbot_live.cameras import discovery, registry
from lingbot_live.cameras.discovery import DeviceWatcher

rs = pytest.importorskip("pyrealsense2")
from fixtures_realsense import VirtualCamera  # noqa: E402 - needs the SDK


class LookHere:
    """The devices of a context in this process, where virtual ones can be added."""

    def __call__(self):
        return discovery.look()

    def close(self):
        pass


@pytest.fixture
def context(monkeypatch):
    driver = registry.driver("realsense")
    context = rs.context()
    before, driver.context = driver.context, context
    yield context
    driver.context = before


def test_a_device_that_the_sdk_loads_and_unloads_is_noticed(tmp_path, context):
    file = str(VirtualCamera(serial="PLUG1").record(tmp_path / "plug.db3", 5))
    changes = queue.Queue()

    def mine(cameras):
        return [info.serial for info in cameras if info.driver == "realsense"]

    watcher = DeviceWatcher(changes.put, look=LookHere(), bus=lambda: None)
    watcher.start()
    try:
        assert mine(changes.get(timeout=30).listing.cameras) == []
        held = context.load_device(file)  # without its handle the device leaves
        change = changes.get(timeout=30)
        assert mine(change.appeared) == ["PLUG1"]
        assert change.appeared[0].name == "Intel RealSense D435"
        context.unload_device(file)
        del held
        change = changes.get(timeout=30)
        assert mine(change.vanished) == ["PLUG1"]
        assert mine(change.listing.cameras) == []
    finally:
        assert watcher.stop()
