"""Work beside the main thread on the newest of many inputs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal

from lingbot_live.errors import LingbotLiveError
from lingbot_live.pipeline.latest import Latest
from lingbot_live.system.worker import Worker
from ui.shell.language import tr

log = logging.getLogger(__name__)
_WAIT_S = 0.1  # how late a stop may be noticed


class Background(QObject):
    """Calls ``work`` with the newest input, on a thread that starts with the first one.

    ``done(object)`` brings each result to the main thread, ``failed(str)`` the reason where there
    is none; inputs that a newer one replaced are never worked on. With ``yields`` everything else
    gets the processor first, and the thread rests for as long as it worked.
    """

    done = Signal(object)
    failed = Signal(str)
    _result = Signal(object)
    _error = Signal(str)

    def __init__(
        self,
        name: str,
        work: Callable[[object], object],
        parent: QObject | None = None,
        *,
        yields: bool = False,
    ) -> None:
        super().__init__(parent)
        self._name = name
        self._work, self._yields = work, yields
        self._slot: Latest[object] = Latest()
        self._worker: Worker | None = None
        self._result.connect(self.done, Qt.ConnectionType.QueuedConnection)
        self._error.connect(self.failed, Qt.ConnectionType.QueuedConnection)

    def submit(self, item: object) -> None:
        """Have ``item`` worked on next; returns at once."""
        self._slot.put(item)
        if self._worker is None:
            self._worker = Worker(self._name, self._run, yields=self._yields)
            self._worker.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; safe more than once, and `submit` starts it again."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.request_stop()
            worker.join(timeout_s)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            item = self._slot.take(_WAIT_S)
            if item is None:
                continue
            begun_s = time.monotonic()
            try:
                result = self._work(item)
            except LingbotLiveError as error:
                self._error.emit(str(error))
            except Exception as error:
                log.exception("%s", self._name)
                self._error.emit(tr("unexpected: {error!r}", error=error))
            else:
                if not stop.is_set():
                    self._result.emit(result)
            if self._yields:
                stop.wait(time.monotonic() - begun_s)
