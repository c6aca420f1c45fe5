"""Qt objects end on the main thread, also those that only Python's cycle collector finds."""

from __future__ import annotations

import gc
import time
from types import TracebackType

from PySide6.QtCore import QTimer

_PERIOD_MS = 500
_WHOLE_S = 30.0  # between two walks through all objects: 18 ms of the main thread each


class MainThreadGarbage:
    """While entered, the cycle collector runs on the main thread and on no other.

    By itself it runs on whichever thread allocates, and a widget or a plot's item that it finds in
    a cycle there would be destroyed beside the thread that paints it, which Qt does not survive.
    What was imported so far is exempt, so that collecting stays quick.
    """

    def __init__(self) -> None:
        self._timer = QTimer(interval=_PERIOD_MS)
        self._timer.timeout.connect(self._collect)
        self._whole_due_s = 0.0

    def __enter__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        self._whole_due_s = time.monotonic() + _WHOLE_S
        self._timer.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.stop()
        gc.enable()
        gc.unfreeze()

    def _collect(self) -> None:
        """Collect the oldest generation whose turn it is, the oldest of all seldom."""
        counts, thresholds = gc.get_count(), gc.get_threshold()
        now_s = time.monotonic()
        for generation in (2, 1, 0) if now_s > self._whole_due_s else (1, 0):
            if counts[generation] > thresholds[generation]:
                gc.collect(generation)
                if generation == 2:
                    self._whole_due_s = now_s + _WHOLE_S
                return
