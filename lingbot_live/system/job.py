"""Work in a process of its own that tells how far it is, so that a window stays free.

Computing and importing hold Python's lock for tens of milliseconds at a time. The parent's side is
`Job`; a module that is run as its child ends with ``serve(work)``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from lingbot_live.errors import LingbotLiveError
from lingbot_live.system.children import Child
from lingbot_live.system.cores import give_way
from lingbot_live.system.malloc import keep_freed
from lingbot_live.system.signals import handled
from lingbot_live.system.worker import Worker

_END_S = 10.0  # for a child to notice that it is to stop
_TELL_S = 0.1  # between two notes of progress

Data = Mapping[str, Any]  # JSON-ready
Progress = Callable[[int, int | None], None]  # done; in all, where that is known
Work = Callable[[Data, Progress, Callable[[], bool]], Data]


class JobState(str, Enum):
    """Where a job stands."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Job:
    """Has a module do a request in a child process; ask it from any thread, nothing waits.

    ``who`` begins what is said of a child that fails, with ``kind`` as the error's class, and
    ``stopped_kind`` of one that was cancelled.
    """

    def __init__(
        self,
        module: str,
        request: Data,
        who: str,
        kind: type[LingbotLiveError],
        stopped_kind: type[LingbotLiveError] | None = None,
    ) -> None:
        self.state = JobState.READY
        self.done = 0
        self.total: int | None = None  # where that is known
        self.result: Data | None = None  # once it is DONE
        self.error: LingbotLiveError | None = None  # once it is FAILED or CANCELLED
        self._module, self._request, self._who, self._kind = module, request, who, kind
        self._stopped_kind = stopped_kind or kind
        self._worker = Worker(module.rpartition(".")[2], self._run)
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._is_cancelled = False
        self._kill: threading.Timer | None = None

    def start(self) -> None:
        """Begin, once."""
        self.state = JobState.RUNNING
        self._worker.start()

    def cancel(self) -> None:
        """Ask it to stop; it is CANCELLED soon after."""
        with self._lock:
            self._is_cancelled = True
            self._stop_child()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False if it still runs."""
        return self._worker.join(timeout_s)

    @property
    def is_over(self) -> bool:
        """Whether it ended, in whatever way."""
        return self.state not in (JobState.READY, JobState.RUNNING)

    # ---- private -------------------------------------------------------------------------------

    def _stop_child(self) -> None:
        """With the lock held: closing its input is what stops the child."""
        if self._child is None or self._kill is not None:
            return
        self._child.stdin.close()
        self._kill = threading.Timer(_END_S, self._child.process.kill)
        self._kill.daemon = True
        self._kill.start()

    def _run(self, stop: threading.Event) -> None:
        try:
            self._run_child()
        except OSError as error:
            self.error = self._kind(f"{self._who} did not start ({error})")
            self.state = JobState.FAILED
        except LingbotLiveError as error:
            self.error = error
            self.state = JobState.CANCELLED if self._is_cancelled else JobState.FAILED
        else:
            self.state = JobState.DONE

    def _run_child(self) -> None:
        with Child(self._module) as child:
            child.stdin.write(json.dumps(self._request).encode() + b"\n")
            child.stdin.flush()
            with self._lock:
                self._child = child
                if self._is_cancelled:
                    self._stop_child()
            try:
                for line in child.stdout:
                    self._hear(json.loads(line))
            finally:
                child.process.wait()
                self._forget_child()
            if self.result is None:
                if self._is_cancelled:
                    raise self._stopped_kind(f"{self._who} was stopped")
                raise self._kind(f"{self._who} {child.last_words()}")

    def _forget_child(self) -> None:
        with self._lock:
            self._child = None
            if self._kill is not None:
                self._kill.cancel()

    def _hear(self, news: dict[str, Any]) -> None:
        if "error" in news:
            raise (self._stopped_kind if self._is_cancelled else self._kind)(news["error"])
        if "result" in news:
            self.result = news["result"]
        else:
            self.done, self.total = news["done"], news["total"]


# ---- in the child --------------------------------------------------------------------------------


def serve(work: Work) -> None:
    """Be a `Job`'s child: do the one request on standard input, tell of it on standard output.

    ``work`` gets the request, is to tell its progress, and to stop with an error of ours once the
    last argument says so: the parent closed our input, or is gone.
    """
    give_way(10)  # to cameras and window
    keep_freed()
    request = json.loads(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_wait_for_end, args=(stop,), name="stdin", daemon=True).start()
    told_s = 0.0

    def on_progress(done: int, total: int | None) -> None:
        nonlocal told_s
        if time.monotonic() - told_s > _TELL_S or done == total:
            told_s = time.monotonic()
            _say({"done": done, "total": total})

    try:
        with handled():  # by a signal, too, nothing is left
            result = work(request, on_progress, stop.is_set)
    except KeyboardInterrupt:
        sys.exit(130)
    except LingbotLiveError as error:
        _say({"error": str(error)})
    else:
        _say({"result": dict(result)})


def _wait_for_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _say(news: Data) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()
