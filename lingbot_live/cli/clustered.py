"""Commands whose work is spread over a Ray cluster: how it is asked for, and how it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.options import progress_bar
from lingbot_live.errors import ConfigError
from lingbot_live.system.signals import stoppable

if TYPE_CHECKING:
    from lingbot_live.config import RefinerConfig
    from lingbot_live.export.job import ExportRequest
    from lingbot_live.recording.ranges import FrameRange

RayOption = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Spread it over a Ray cluster: local, auto, IP."),
]
CpusOption = Annotated[
    float, typer.Option("--ray-cpus", min=0.1, help="Of --ray: processors for a worker.")
]
GpusOption = Annotated[
    float, typer.Option("--ray-gpus", min=0.0, help="Of --ray: share of a GPU for a worker.")
]


@dataclass(frozen=True, slots=True)
class RefinerMaker:
    """Makes the refiner of a worker, in the worker."""

    config: RefinerConfig
    threads: int

    def __call__(self) -> Callable[[FrameRange], int]:
        """Return what refines a range, holding the refiner."""
        import cv2

        from lingbot_live.cameras import registry
        from lingbot_live.recording.ranges import refine_range

        cv2.setNumThreads(self.threads)
        refiner = registry.create_refiner(self.config)
        return lambda work: refine_range(work, refiner)


def refine_sessions(
    sources: list[str],
    output: str,
    config: RefinerConfig,
    exact: bool,
    address: str,
    cpus: float,
    gpus: float,
) -> None:
    """Refine sessions into a folder, in ranges of frames; the same command goes on if stopped."""
    from lingbot_live.recording.ranges import join_ranges, split
    from lingbot_live.system import remote
    from lingbot_live.system.cluster import Share, spread

    sessions = [split(source, out, config, exact) for source, out in _outputs(sources, output)]
    left: dict[str, Counter[bool]] = {}
    todo: list[FrameRange] = []
    for ranges in sessions:
        if remote.exists(ranges[0].out):
            _tidy(ranges)
            typer.echo(f"{ranges[0].out}: it is there already", err=True)
            continue
        missing = [work for work in ranges if not remote.exists(work.part)]
        left[ranges[0].out] = Counter({True: len(missing)})
        todo += missing
    by_out = {ranges[0].out: ranges for ranges in sessions if ranges[0].out in left}
    for out in [out for out, count in left.items() if not count[True]]:
        print(join_ranges(by_out[out]))
    total = sum(r.end - r.first for ranges in by_out.values() for r in ranges)
    done = total - sum(work.end - work.first for work in todo)

    if not todo:
        return
    with progress_bar(f"refining with {config} on Ray") as on_progress, stoppable() as stop:

        def note(work: FrameRange, frames: int) -> None:
            nonlocal done
            done += work.end - work.first
            on_progress(done, total)
            left[work.out][True] -= 1
            if not left[work.out][True]:
                print(join_ranges(by_out[work.out]), flush=True)

        try:
            maker = RefinerMaker(config, max(1, int(cpus)))
            spread(todo, maker, address, Share(cpus, gpus), note, stop)
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command goes on from here", err=True)
            raise typer.Exit(130) from None


@dataclass(frozen=True, slots=True)
class Exporter:
    """Makes what exports sessions in a worker."""

    threads: int

    def __call__(self) -> Callable[[ExportRequest], str]:
        """Return what does an export, unless its output is there, and gives what came of it."""
        import cv2

        from lingbot_live.export.job import run_export

        cv2.setNumThreads(self.threads)

        def do(request: ExportRequest) -> str:
            if request.output.exists() and not request.force:
                return f"{request.output}: it is there already"
            report = run_export(request)
            left_out = f", {report.left_out} left out" if report.left_out else ""
            return f"{report.output}: {report.frames} frames{left_out}"

        return do


def export_sessions(requests: list[ExportRequest], address: str, cpus: float) -> None:
    """Do many exports, each whole or not at all; the same command goes on if stopped."""
    from lingbot_live.system.cluster import Share, spread

    done = 0
    with progress_bar("exporting on Ray") as on_progress, stoppable() as stop:

        def note(request: ExportRequest, words: str) -> None:
            nonlocal done
            done += 1
            on_progress(done, len(requests))
            print(words, flush=True)

        try:
            spread(requests, Exporter(max(1, int(cpus))), address, Share(cpus), note, stop)
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command goes on from here", err=True)
            raise typer.Exit(130) from None


def _outputs(sources: list[str], output: str) -> Iterator[tuple[str, str]]:
    """Yield each session with the file that it becomes, made absolute: workers stand elsewhere."""
    from lingbot_live.system import remote
    from lingbot_live.system.outputs import check_apart, local_path

    if not remote.is_remote(output):
        folder = local_path(output).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        output = str(folder)
    taken: set[str] = set()
    for source in sources:
        if not remote.is_remote(source):
            source = str(local_path(source).absolute())
        name = PurePosixPath(source.replace("\\", "/")).name
        if name in taken:
            raise ConfigError(f"refine: two sessions are called {name}; refine them apart")
        taken.add(name)
        out = f"{output.rstrip('/')}/{name}"
        if not remote.is_remote(source) and not remote.is_remote(out):
            check_apart(local_path(out), [local_path(source)])
        yield source, out


def _tidy(ranges: list[FrameRange]) -> None:
    """Delete what a driver that was killed after joining left behind."""
    from lingbot_live.system import remote

    for work in ranges:
        if remote.exists(work.part):
            remote.remove(work.part)
