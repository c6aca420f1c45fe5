"""``lingbot-live export``: frames of a session, a recording or a folder into other formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.clustered import (
    CpusOption,
    Outcome,
    RayOption,
    do_jobs,
    named,
    sole,
)
from lingbot_live.cli.options import NoFlyingOption, key_value, progress_bar
from lingbot_live.errors import ConfigError
from lingbot_live.system.cluster import Cluster
from lingbot_live.system.outputs import local_path
from lingbot_live.system.words import duration

if TYPE_CHECKING:
    from lingbot_live.cameras.controls import Control
    from lingbot_live.export.job import ExportReport, ExportRequest

NAMES = "ply, pcd, images, npz, tum, mp4, mesh, lerobot, hdf5, rrd"


def export(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...", help="A session, a recording, a folder: camera address."
        ),
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="FORMAT", help=f"{NAMES}.")] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="A new folder; for mp4, mesh and rrd also a file."),
    ] = None,
    frames: Annotated[
        str, typer.Option("--frames", metavar="FIRST:END:STEP", help="Which frames; from 0.")
    ] = ":",
    camera: Annotated[str, typer.Option("--camera", help="Of a session with several.")] = "",
    depth: Annotated[str, typer.Option("--source", help="Depth: raw or refined.")] = "raw",
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of the format."),
    ] = None,
    depth_unit: Annotated[
        str | None,
        typer.Option("--depth-unit", metavar="METRES", help="The same as --set depth_unit_m."),
    ] = None,
    rig: Annotated[
        Path | None,
        typer.Option("--rig", metavar="FILE", help="ply, pcd: one cloud of all its cameras."),
    ] = None,
    no_flying: NoFlyingOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what an earlier export wrote there.")
    ] = False,
    ray: RayOption = None,
    ray_cpus: CpusOption = 1.0,
    list_formats: Annotated[
        bool, typer.Option("--list", help="Show all formats and their options.")
    ] = False,
) -> None:
    """Write frames as point clouds, images, arrays, video or a mesh, for other programs."""
    from lingbot_live.export.job import ExportRequest
    from lingbot_live.export.shot import DepthSource
    from lingbot_live.export.source import Span

    if list_formats:
        print("\n".join(_table()))
        return
    if not sources or to is None or output is None:
        raise ConfigError("export: write `export INPUT --to FORMAT -o DIR`; --list shows formats")
    if depth not in list(DepthSource):
        raise ConfigError(f"--source {depth}: write raw or refined")
    chosen = dict(key_value(text) for text in options or ())
    if depth_unit is not None:
        chosen["depth_unit_m"] = depth_unit
    request = ExportRequest(
        sources[0], to, Path(output), Span.parse(frames), camera, DepthSource(depth), chosen, force,
        no_flying, rig,
    )  # fmt: skip
    if ray is not None:
        jobs = list(_each(request, sources, output))
        do_jobs(jobs, Cluster(ray, ray_cpus), "exporting")
        return
    sole(sources, "export")
    try:
        outcome = ExportJob(request, output).do()
    except KeyboardInterrupt:
        typer.echo(f"{output}: stopped; nothing was written", err=True)
        raise typer.Exit(130) from None
    for remark in outcome.remarks:
        typer.echo(remark, err=True)
    print(outcome.words)
    if not outcome.is_whole:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class ExportJob:
    """An export in a worker of a cluster."""

    request: ExportRequest
    output: str  # here or in a store

    @property
    def outputs(self) -> Sequence[str]:
        """The folder; in a store the note that is put into it last."""
        from lingbot_live.export.folder import NOTE
        from lingbot_live.system.remote import is_remote

        return [f"{self.output}/{NOTE}" if is_remote(self.output) else self.output]

    @property
    def replaces(self) -> bool:
        """Whether it was forced."""
        return self.request.force

    def do(self) -> Outcome:
        """Do it; raises as `lingbot_live.export.job.run_export`."""
        from lingbot_live.export.job import run_export
        from lingbot_live.system.remote import Delivery, local_address

        address = local_address(self.request.address)
        with Delivery() as delivery, progress_bar(self._words) as on_progress:
            request = replace(self.request, address=address, output=delivery.place(self.output))
            report = run_export(request, on_progress)
        return _told(report, self.output)

    @property
    def _words(self) -> str:
        return f"exporting to {self.request.format}"


def _each(request: ExportRequest, sources: list[str], output: str) -> Iterator[ExportJob]:
    """Yield the job of each input, into a folder of its name; workers stand elsewhere."""
    from lingbot_live.system.remote import absolute, beside

    folder = absolute(output)
    rig = None if request.rig is None else local_path(request.rig).absolute()
    for source, name in named(sources):
        yield ExportJob(replace(request, address=source, rig=rig), beside(f"{folder}/_", name))


def _told(report: ExportReport, output: str) -> Outcome:
    left_out = f", {report.left_out} left out" if report.left_out else ""
    size = f"{report.bytes / 1e6:.1f} MB in {duration(report.seconds, 1)}"
    words = f"{output}: {report.frames} frames{left_out}, {size}"
    return Outcome(words, tuple(report.remarks), not report.is_damaged)


def _table() -> Iterator[str]:
    from lingbot_live.export.formats import FORMATS

    for kind in FORMATS.values():
        yield f"{kind.name:8}{kind.words}"
        for option in kind.options:
            yield f"        {_option_line(option)}"
        if kind.unavailable:
            yield f"        not available: {kind.unavailable}"


def _option_line(option: Control) -> str:
    value = ("off", "on")[option.value] if isinstance(option.value, bool) else option.value
    return f"{option.name}={value}  {option.help} ({option.span})"
