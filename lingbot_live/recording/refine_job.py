"""A session refined again by a process of its own, so that a window stays free meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import RecordingError
from lingbot_live.recording.offline import refine_file
from lingbot_live.system.job import Data, Job, Progress, serve


class RefineJob(Job):
    """Refines ``source`` into ``out``; stopped, the same job goes on from there."""

    def __init__(self, source: Path, out: Path, config: RefinerConfig) -> None:
        request = {
            "source": str(source.absolute()),
            "out": str(out.absolute()),
            "config": asdict(config),
        }
        who = f"{out}: refining"
        super().__init__("lingbot_live.recording.refine_job", request, who, RecordingError)

    @property
    def failed(self) -> int:
        """How many frames could not be refined, once it is done."""
        return 0 if self.result is None else int(self.result["failed"])


def _refine(data: Data, on_progress: Progress, should_stop: Callable[[], bool]) -> Data:
    refiner = registry.create_refiner(RefinerConfig(**data["config"]))

    def tell(done: int, total: int) -> None:
        on_progress(done, total)
        if should_stop() and done < total:
            raise RecordingError("stopped; what is refined is kept")

    try:
        source, out = Path(data["source"]), Path(data["out"])
        return {"failed": refine_file(source, out, refiner, on_progress=tell)}
    finally:
        refiner.close()


if __name__ == "__main__":
    serve(_refine)
