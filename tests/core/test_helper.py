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
    try:  # neither ends before the other began
        assert sorted(helper.each(lambda part: (meeting.wait(), part)[1], [5, 7])) == [5, 7]
    finally:
        helper.close()


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("parts", [[], [3], [4, 1, 3, 2, 5]])
def test_parts_come_back_in_their_order(cores, parts):
    helper = Helper(cores)
    try:
        assert helper.each(lambda part: -part, parts) == [-part for part in parts]
    finally:
        helper.close()


def test_on_one_core_its_owner_does_all():
    assert ALONE.each(lambda part: name(), [1, 2]) == 2 * [name()]


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
    helper.each(lambda part: name(), [1, 2])
    del helper
    gc.collect()
    until_s = time.monotonic() + 30
    while set(threading.enumerate()) - before and time.monotonic() < until_s:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before
