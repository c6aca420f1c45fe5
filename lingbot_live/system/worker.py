"""A thread with an owner."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable

from lingbot_live.errors import SessionStateError

log = logging.getLogger(__name__)

# Held around imports of large libraries on threads. Two that import each other's parts at the same
# time make Python hand out half-made modules ("partially initialized module") to one of them.
IMPORTS = threading.RLock()
_YIELD_NICE = 5  # lower in priority, but not as low as the process that draws the cloud


class Worker:
    """Runs ``body(stop)`` in a named thread; its owner stops it and learns how it died.

    ``body`` returns soon after ``stop`` is set. An exception that leaves it is kept in `error`
    and handed to ``on_death`` on the worker's own thread. With ``yields``, capture and the window
    get the processor first where there is too little for all (on Linux, where threads can do so).
    """

    def __init__(
        self,
        name: str,
        body: Callable[[threading.Event], None],
        on_death: Callable[[BaseException], None] | None = None,
        *,
        yields: bool = False,
    ) -> None:
        self.name = name
        self.error: BaseException | None = None
        self._body = body
        self._on_death = on_death
        self._yields = yields
        self._stop = threading.Event()
        # A daemon, so that an SDK call that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread, once."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the body to return; does not wait."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end, at most ``timeout_s``; False if it still runs (which is logged)."""
        if self._thread is threading.current_thread():
            raise SessionStateError(f"{self.name}: a worker cannot wait for itself")
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.error("%s did not end within %g s", self.name, timeout_s)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        if self._yields:
            yield_to_others()
        try:
            self._body(self._stop)
        except BaseException as error:
            self.error = error
            log.debug("%s died", self.name, exc_info=error)
            if self._on_death is not None:
                self._on_death(error)


def yield_to_others() -> None:
    """Have this thread come after capture and the window from now on (on Linux)."""
    if sys.platform == "linux":
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), own + _YIELD_NICE)
