"""Plugging in and out, through a driver that is really installed and asked in a real child."""

from __future__ import annotations

import json
import os
import queue
import textwrap
import time

import pytest

from lingbot_live.cameras import discovery
from lingbot_live.cameras.base import CameraInfo, StreamProfile
from lingbot_live.cameras.discovery import ChildLook, DeviceWatcher, Listing
from lingbot_live.system import usb

DRIVER = """
    import json, os, time
    from pathlib import Path
    from lingbot_live.camera import CameraInfo, Driver, StreamProfile
    from lingbot_live.errors import CameraError

    HERE = Path(__file__).parent

    class PlugDriver(Driver):
        scheme, title = "plugged", "Scripted"

        def discover(self):
            (HERE / "pid").write_text(str(os.getpid()))
            print("an SDK says hello")
            told = json.loads((HERE / "attached.json").read_text())
            if told == "hold":
                time.sleep(60)
            if told == "crash":
                os._exit(3)
            if told == "error":
                raise CameraError("plugged: the bus is confused")
            profiles = (StreamProfile("color", 640, 480, 30.0),)
            return [CameraInfo("plugged", s, "Cam", s, profiles=profiles) for s in told]

        def find(self, target): raise NotImplementedError
        def create(self, info, config): raise NotImplementedError
"""


class Desk:
    """A USB bus in a folder, the driver beside it, and the changes that the watcher told of."""

    def __init__(self, folder):
        self.bus = folder / "bus"
        self.bus.mkdir()
        self.site = folder / "site"
        info = self.site / "plugged-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "[lingbot_live.drivers]\nplugged = plugged_driver:PlugDriver\n"
        )
        (self.site / "plugged_driver.py").write_text(textwrap.dedent(DRIVER))
        self.changes = queue.Queue()
        self.attach()

    def attach(self, *serials, told=None):
        """Let these cameras and no others be on the bus and with the driver."""
        part = self.site / "attached.part"
        part.write_text(json.dumps(told or serials))
        part.replace(self.site / "attached.json")
        for port in self.bus.iterdir():
            if port.name not in serials:
                port.rmdir()
        for serial in serials:
            (self.bus / serial).mkdir(exist_ok=True)

    def listing(self):
        return usb.listing(self.bus)

    def next_change(self):
        change = self.changes.get(timeout=60)
        mine = [[i.serial for i in part if i.driver == "plugged"] for part in (
            change.appeared, change.vanished, change.listing.cameras)]  # fmt: skip
        return mine, change


@pytest.fixture
def desk(tmp_path, monkeypatch):
    desk = Desk(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(desk.site))
    return desk


@pytest.fixture
def watch(desk):
    """Start a watcher of the desk; it is stopped with the test."""
    running = []

    def watch(**options):
        options.setdefault("bus", desk.listing)
        running.append(DeviceWatcher(desk.changes.put, **options))
        running[-1].start()
        return running[-1]

    yield watch
    for watcher in running:
        assert watcher.stop(20)


def test_cameras_come_and_go(desk, watch):
    watch()
    mine, first = desk.next_change()
    assert mine == [[], [], []]
    assert "synthetic:stereo" in [info.address for info in first.listing.cameras]
    desk.attach("A1", "B2")
    mine, change = desk.next_change()
    assert mine == [["A1", "B2"], [], ["A1", "B2"]]
    assert change.appeared[0].profiles == (StreamProfile("color", 640, 480, 30.0),)
    desk.attach("B2")
    assert desk.next_change()[0] == [[], ["A1"], ["B2"]]
    desk.attach("B2", "A1")
    assert desk.next_change()[0] == [["A1"], [], ["B2", "A1"]]
    assert int((desk.site / "pid").read_text()) != os.getpid(), "SDKs run in a child"
    assert desk.changes.empty()


def test_without_a_list_of_the_bus_the_drivers_are_polled(desk, watch):
    watch(bus=lambda: None)
    desk.next_change()
    desk.attach("A1")
    assert desk.next_change()[0] == [["A1"], [], ["A1"]]
    desk.attach()
    assert desk.next_change()[0] == [[], ["A1"], []]


def test_a_camera_in_use_that_its_sdk_no_longer_lists_stays(desk, watch):
    desk.attach("A1")
    watch()
    assert desk.next_change()[0] == [["A1"], [], ["A1"]]
    (desk.bus / "mouse").mkdir()
    desk.attach("A1", "mouse", told=["C3"])  # the SDK leaves out A1, which is still on the bus
    assert desk.next_change()[0] == [["C3"], [], ["C3", "A1"]]


@pytest.mark.parametrize("fault", ["crash", "hold", "error"])
def test_a_driver_that_fails_is_survived_and_takes_no_camera_away(desk, watch, fault):
    desk.attach("A1")
    look = ChildLook(limit_s=20 if fault != "hold" else 4)
    watcher = watch(look=look, bus=lambda: None)
    assert desk.next_change()[0] == [["A1"], [], ["A1"]]
    desk.attach(told=fault)
    if fault == "error":
        mine, change = desk.next_change()
        assert mine == [[], [], ["A1"]]
        assert change.listing.unavailable["plugged"] == "plugged: the bus is confused"
    else:
        with pytest.raises(queue.Empty):
            desk.changes.get(timeout=4)
    desk.attach("A1", "B2")
    watcher.refresh()
    mine, change = desk.next_change()
    assert mine == [["B2"], [], ["A1", "B2"]]
    assert "plugged" not in change.listing.unavailable


def test_stop_does_not_wait_for_a_driver_that_holds(desk, watch):
    watcher = watch()
    desk.next_change()
    desk.attach("A1", told="hold")
    pid = (desk.site / "pid").read_text()
    (desk.site / "pid").unlink()
    while not (desk.site / "pid").exists():
        time.sleep(0.02)
    assert pid == (desk.site / "pid").read_text(), "one child for all looks"
    assert watcher.stop(5)


def test_a_callback_that_raises_ends_watching_but_leaves_nothing(desk, watch, caplog):
    def burst(change):
        raise RuntimeError("window is gone")

    watcher = DeviceWatcher(burst, bus=desk.listing)
    watcher.start()
    assert watcher._worker.join(60)
    assert "window is gone" in caplog.text
    assert watcher.stop()


def test_look_in_this_process_names_a_driver_with_a_bug(monkeypatch):
    class Buggy:
        def discover(self):
            raise KeyError("oops")

    monkeypatch.setattr(discovery.registry, "driver_names", lambda: ["buggy"])
    monkeypatch.setattr(discovery.registry, "driver", lambda scheme: Buggy())
    assert discovery.look() == Listing((), {"buggy": "buggy: KeyError: 'oops'"})


def test_what_the_child_says_survives_the_way():
    info = CameraInfo("a", "b", "c", "d", details={"usb": "3.2"}, is_simulated=True,
                      profiles=(StreamProfile("depth", 1, 2, 3.0, "z16"),))  # fmt: skip
    listing = Listing((info,), {"x": "why"})
    assert discovery._read(discovery._write(listing)) == listing
