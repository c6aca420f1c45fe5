"""Waiting for a window: Qt's events go on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtTest import QTest


def wait_for(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Return when the condition holds; fail after ``timeout_s``, long for a busy machine."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        QTest.qWait(10)
