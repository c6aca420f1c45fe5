"""An export in a process of its own, so that a window stays free while it runs.

Importing and running Open3D holds Python's lock for tens of milliseconds at a time.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import psutil

from lingbot_live.cameras import registry
from lingbot_live.errors import ExportCancelledError, ExportError, LingbotLiveError
from lingbot_live.export.job import ExportReport, ExportRequest, run_export
from lingbot_live.export.shot import DepthSource
from lingbot_live.export.source import Span
from lingbot_live.system.children import Child
from lingbot_live.system.signals import handled
from lingbot_live.system.worker import Worker

_END_S = 10.0  # for a child to notice that it is to stop
_TELL_S = 0.1  # between two notes of progress


class ExportState(str, Enum):
    """Where a job stands."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class ExportJob:
    """Runs an `ExportRequest` in a child process; ask it from any thread, nothing waits.

    Example::

        job = ExportJob(ExportRequest("desk.mcap", "ply", Path("clouds")))
        job.start()
        while job.state is ExportState.RUNNING:
            show(job.done, job.total)
        print(job.report or job.error)
    """

    def __init__(self, request: ExportRequest) -> None:
        self.request = request
        self.state = ExportState.READY
        self.done = 0  # frames
        self.total: int | None = None  # frames in all, where that is known
        self.report: ExportReport | None = None  # once it is DONE
        self.error: LingbotLiveError | None = None  # once it is FAILED or CANCELLED
        self._worker = Worker("export", self._run)
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._is_cancelled = False
        self._kill: threading.Timer | None = None

    def start(self) -> None:
        """Begin, once."""
        self.state = ExportState.RUNNING
        self._worker.start()

    def cancel(self) -> None:
        """Ask it to stop; it is CANCELLED soon after, and nothing is left of it."""
        with self._lock:
            self._is_cancelled = True
            self._stop_child()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False if it still runs."""
        return self._worker.join(timeout_s)

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
            self.error = ExportError(f"{self.request.output}: the export did not start ({error})")
            self.state = ExportState.FAILED
        except LingbotLiveError as error:
            self.error = error
            self.state = ExportState.CANCELLED if self._is_cancelled else ExportState.FAILED
        else:
            self.state = ExportState.DONE

    def _run_child(self) -> None:
        with Child("lingbot_live.export.child") as child:
            child.stdin.write(json.dumps(_to_data(self.request)).encode() + b"\n")
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
            if self.report is None and self._is_cancelled:
                raise ExportCancelledError(f"{self.request.output}: stopped; nothing was written")
            if self.report is None:
                raise ExportError(f"{self.request.output}: the export {child.last_words()}")

    def _forget_child(self) -> None:
        with self._lock:
            self._child = None
            if self._kill is not None:
                self._kill.cancel()

    def _hear(self, news: dict[str, Any]) -> None:
        if "error" in news:
            kind = ExportCancelledError if news["is_cancelled"] else ExportError
            raise kind(news["error"])
        if "report" in news:
            self.report = _to_report(news["report"])
        else:
            self.done, self.total = news["done"], news["total"]


def _to_data(request: ExportRequest) -> dict[str, Any]:
    return {
        **asdict(request),
        "address": registry.absolute(request.address),
        "output": str(request.output.expanduser().absolute()),
        "options": dict(request.options),
    }


def _to_request(data: dict[str, Any]) -> ExportRequest:
    return ExportRequest(
        **{
            **data,
            "output": Path(data["output"]),
            "span": Span(**data["span"]),
            "source": DepthSource(data["source"]),
        }
    )


def _to_report(data: dict[str, Any]) -> ExportReport:
    return ExportReport(**{**data, "output": Path(data["output"])})


# ---- in the child --------------------------------------------------------------------------------


def _give_way() -> None:
    """Leave the processor to cameras and window where there is not enough of it."""
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        psutil.Process().nice(10)


def _main() -> None:
    _give_way()
    request = _to_request(json.loads(sys.stdin.readline()))
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
            report = run_export(request, on_progress, stop.is_set)
    except KeyboardInterrupt:
        sys.exit(130)
    except LingbotLiveError as error:
        _say({"error": str(error), "is_cancelled": isinstance(error, ExportCancelledError)})
    else:
        _say({"report": {**asdict(report), "output": str(report.output)}})


def _wait_for_end(stop: threading.Event) -> None:
    """The parent closes our input to stop us, or by being gone."""
    sys.stdin.read()
    stop.set()


def _say(news: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
