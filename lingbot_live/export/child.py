"""An export in a process of its own, so that a window stays free while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from lingbot_live.cameras import registry
from lingbot_live.errors import ExportCancelledError, ExportError
from lingbot_live.export.job import ExportReport, ExportRequest, run_export
from lingbot_live.export.shot import DepthSource
from lingbot_live.export.source import Span
from lingbot_live.system.job import Data, Job, Progress, serve


class ExportJob(Job):
    """Runs an `ExportRequest` in a child process; stopped, nothing is left of it.

    Example::

        job = ExportJob(ExportRequest("desk.mcap", "ply", Path("clouds")))
        job.start()
        while not job.is_over:
            show(job.done, job.total)
        print(job.report or job.error)
    """

    def __init__(self, request: ExportRequest) -> None:
        who = f"{request.output}: the export"
        module = "lingbot_live.export.child"
        super().__init__(module, _to_data(request), who, ExportError, ExportCancelledError)

    @property
    def report(self) -> ExportReport | None:
        """What came of it, once it is done."""
        if self.result is None:
            return None
        return ExportReport(**{**self.result, "output": Path(self.result["output"])})


def _to_data(request: ExportRequest) -> Data:
    return {
        **asdict(request),
        "address": registry.absolute(request.address),
        "output": str(request.output.expanduser().absolute()),
        "options": dict(request.options),
        "rig": None if request.rig is None else str(request.rig.expanduser().absolute()),
    }


def _to_request(data: Data) -> ExportRequest:
    return ExportRequest(
        **{
            **data,
            "output": Path(data["output"]),
            "span": Span(**data["span"]),
            "source": DepthSource(data["source"]),
            "rig": None if data["rig"] is None else Path(data["rig"]),
        }
    )


def _export(data: Data, on_progress: Progress, should_stop: Callable[[], bool]) -> Data:
    report = run_export(_to_request(data), on_progress, should_stop)
    return {**asdict(report), "output": str(report.output)}


if __name__ == "__main__":
    serve(_export)
