"""Threads with an owner."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from lingbot_live.system.worker import Worker


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own there")
def test_a_worker_that_yields_has_a_lower_priority_and_the_others_keep_theirs():
    seen: dict[str, int] = {}

    def note(name: str):
        def body(stop: threading.Event) -> None:
            seen[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

        return body

    before = os.getpriority(os.PRIO_PROCESS, 0)
    workers = [Worker("plain", note("plain")), Worker("yields", note("yields"), yields=True)]
    for worker in workers:
        worker.start()
        assert worker.join(5.0)
        assert worker.error is None
    assert seen["plain"] == before
    assert seen["yields"] == min(before + 5, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
