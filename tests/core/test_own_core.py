"""A core that the refiner's thread has to itself where there are few."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from lingbot_live.config import RefinerConfig
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.pipeline.session import Session
from lingbot_live.system import cores
from lingbot_live.system.children import Child
from lingbot_live.system.cores import OwnCore, stand_aside, take_any_core

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not 2 <= len(cores.usable_cores()) <= 4,
    reason="needs Linux and two to four cores",
)


@pytest.fixture(autouse=True)
def two(monkeypatch):
    """Two cores, whatever there are; all threads have all of them again afterwards."""
    some = set(sorted(cores.usable_cores())[:2])
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(cores, "_USABLE", some)
    monkeypatch.setattr(cores, "_CLAIM", f"\0lingbot-live/test-{os.getpid()}")
    yield some
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), before)


class Bystander:
    """A thread that waits, and tells where it may run."""

    def __init__(self, first=lambda: None) -> None:
        self._stop, ready = threading.Event(), threading.Event()

        def run() -> None:
            first()
            ready.set()
            self._stop.wait(60)

        self._thread = threading.Thread(target=run)
        self._thread.start()
        assert ready.wait(30)

    @property
    def cores(self) -> set[int]:
        return os.sched_getaffinity(self._thread.native_id)

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30)


@pytest.fixture
def bystanders():
    found = [Bystander(), Bystander(take_any_core)]
    yield found
    for one in found:
        one.end()


def test_one_has_it_and_all_others_leave_it_until_it_is_left(two, bystanders):
    other, capture = bystanders
    own = OwnCore()
    try:
        assert os.sched_getaffinity(0) == {max(two)}
        assert other.cores == {min(two)}
        assert capture.cores == two
        with Child("http.server", "0") as child:
            assert os.sched_getaffinity(child.process.pid) == two
        second = OwnCore()
        second.leave()
        assert os.sched_getaffinity(0) == {max(two)}, "the first one's"
    finally:
        own.leave()
        own.leave()
    assert os.sched_getaffinity(0) == other.cores == two
    OwnCore().leave()


def test_a_child_that_stands_aside_leaves_it_too(two):
    with Child("http.server", "0") as child:
        stand_aside(child.process.pid)
        assert os.sched_getaffinity(child.process.pid) == two
        own = OwnCore()
        assert os.sched_getaffinity(child.process.pid) == {min(two)}
        own.leave()
        assert os.sched_getaffinity(child.process.pid) == two


def test_another_process_has_it_and_dies(two):
    code = (
        "import os, sys, time; from lingbot_live.system import cores\n"
        "cores._CLAIM = '\\0' + sys.argv[1]; own = cores.OwnCore()\n"
        "print(len(os.sched_getaffinity(0)), flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, cores._CLAIM[1:]]
    before = os.sched_getaffinity(0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "1\n"
        own = OwnCore()
        assert os.sched_getaffinity(0) == before
        own.leave()
        child.kill()
    own = OwnCore()
    assert os.sched_getaffinity(0) == {max(two)}
    own.leave()


def test_guided_has_one_in_a_session_and_gives_it_back(two):
    seen: dict[type, set[int]] = {}
    with Session.of(["synthetic:stereo"], RefinerConfig("guided")) as session:
        session.add_tap(lambda _, frame: seen.update({type(frame): os.sched_getaffinity(0)}))
        deadline = time.monotonic() + 60
        while len(seen) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert os.sched_getaffinity(0) == {min(two)}
    assert seen == {Frame: two, RefinedFrame: {max(two)}}
    assert os.sched_getaffinity(0) == two
