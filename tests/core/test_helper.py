"""A second thread that does parts of its owner's work."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from lingbot_live.system.helper import ALONE, Helper


def name() -> str:
    return threading.current_thread().name


def test_two_things_are_done_side_by_side():
    helper, meeting = Helper(cores=2), threading.Barrier(2, timeout=30)
    try:
        meetings = helper.both(meeting.wait, meeting.wait)  # neither ends before the other began
    finally:
        helper.close()
    assert sorted(meetings) == [0, 1]


@pytest.mark.parametrize("helper", [ALONE, Helper(cores=1)])
def test_on_one_core_its_owner_does_all(helper):
    assert helper.both(name, name) == (name(), name())


def test_what_nobody_has_begun_its_owner_does():
    helper, free = Helper(cores=2), threading.Event()
    try:
        busy = helper.begin(free.wait)
        assert helper.begin(name).result() == name()
        free.set()
        assert busy.result()
    finally:
        free.set()
        helper.close()


def test_what_is_raised_beside_reaches_the_owner():
    helper, begun = Helper(cores=2), threading.Event()

    def fails() -> None:
        begun.set()
        raise ValueError("beside")

    try:
        work = helper.begin(fails)
        assert begun.wait(30)
        with pytest.raises(ValueError, match="beside"):
            work.result()
    finally:
        helper.close()


def test_the_thread_ends_with_its_owner():
    before = set(threading.enumerate())
    helper = Helper(cores=2)
    helper.both(name, name)
    del helper
    gc.collect()
    until_s = time.monotonic() + 30
    while set(threading.enumerate()) - before and time.monotonic() < until_s:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before
