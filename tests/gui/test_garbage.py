"""Where Python's cycle collector runs while the window is open."""

from __future__ import annotations

import gc
import threading
import time

from gui_wait import pass_time

from ui.shell.garbage import MainThreadGarbage


class Cycle:
    ended_on: list[str] = []  # noqa: RUF012 - shared on purpose

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Cycle.ended_on.append(threading.current_thread().name)


def allocate(stop: threading.Event) -> None:
    while not stop.is_set():
        [[] for _ in range(10_000)]
        time.sleep(0.001)


def test_cycles_end_on_the_main_thread_while_others_allocate(qapp):
    Cycle.ended_on = []
    stop = threading.Event()
    other = threading.Thread(target=allocate, args=(stop,))
    with MainThreadGarbage():
        assert not gc.isenabled()
        other.start()
        for _ in range(20):
            Cycle()
            pass_time(10)
        deadline = time.monotonic() + 10
        while not Cycle.ended_on and time.monotonic() < deadline:
            keep = [[] for _ in range(2_000)]
            pass_time(20)
            del keep
        stop.set()
        other.join(5)
    assert gc.isenabled()
    assert set(Cycle.ended_on) == {threading.main_thread().name}
