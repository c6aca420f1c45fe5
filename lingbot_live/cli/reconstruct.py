"""``lingbot-live reconstruct``: the surface of a still scene out of a moving camera's frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.clustered import (
    CpusOption,
    GpusOption,
    InputsArgument,
    Outcome,
    RayOption,
    do_jobs,
    inside,
    named,
    sole,
)
from lingbot_live.cli.options import (
    NoFlyingOption,
    RefinerOption,
    SteadyOption,
    TokensOption,
    progress_bar,
    refiner_config,
)
from lingbot_live.errors import ConfigError
from lingbot_live.system.cluster import Cluster

if TYPE_CHECKING:
    from lingbot_live.export.scene import SceneRequest
    from lingbot_live.perception.reconstruction import Depth


def reconstruct(
    sources: InputsArgument,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            help="FILE.ply or FILE.glb to make. With --ray DIR/FILE is DIR/INPUT/FILE.",
        ),
    ],
    depth: Annotated[
        str, typer.Option("--depth", help="raw, refined (default), or both: two files.")
    ] = "refined",
    trajectory: Annotated[
        str | None, typer.Option("--trajectory", help="FILE.txt for the camera's way (TUM).")
    ] = None,
    refiner: RefinerOption = None,
    steady: SteadyOption = False,
    no_flying: NoFlyingOption = False,
    tokens: TokensOption = None,
    frames: Annotated[
        str, typer.Option("--frames", metavar="FIRST:END:STEP", help="Which frames; from 0.")
    ] = ":",
    camera: Annotated[str, typer.Option("--camera", help="Of a session with several.")] = "",
    voxel_mm: Annotated[
        float, typer.Option("--voxel-mm", min=1, max=100, help="Size of the smallest detail.")
    ] = 10.0,
    far_m: Annotated[
        float, typer.Option("--far-m", min=0.1, max=13, help="Depth beyond is left out.")
    ] = 4.0,
    least_trust: Annotated[
        float,
        typer.Option("--least-trust", min=0, max=1, help="Refined depth trusted less is left out."),
    ] = 0.7,
    device: Annotated[
        str, typer.Option("--device", help="Where depth is fused: cpu, cuda or cuda:1.")
    ] = "cpu",
    force: Annotated[
        bool, typer.Option("--force", help="Replace what an earlier run wrote there.")
    ] = False,
    ray: RayOption = None,
    ray_cpus: CpusOption = 1.0,
    ray_gpus: GpusOption = 0.0,
) -> None:
    """Follow the camera through a still scene and fuse its depth into one coloured mesh."""
    from lingbot_live.export.scene import SceneRequest
    from lingbot_live.export.source import Span
    from lingbot_live.perception.reconstruction import Fusing

    config = refiner_config(refiner, tokens=tokens, steady=steady, no_flying=no_flying)
    fusing = Fusing(_depths(depth), voxel_mm / 1000, far_m, device, least_trust)
    request = SceneRequest(
        sources[0], Path(output), fusing, config, Span.parse(frames), camera, force=force
    )
    job = SceneJob(request, output, trajectory)
    if ray is not None:
        do_jobs(list(_each(job, sources)), Cluster(ray, ray_cpus, ray_gpus), "reconstructing")
        return
    sole(sources, "reconstruct")
    try:
        outcome = job.do()
    except KeyboardInterrupt:
        typer.echo(f"{output}: stopped; nothing was written", err=True)
        raise typer.Exit(130) from None
    for remark in outcome.remarks:
        typer.echo(remark, err=True)
    print(outcome.words)
    if not outcome.is_whole:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class SceneJob:
    """A reconstruction, here or in a worker of a cluster."""

    request: SceneRequest
    output: str  # here or in a store, as the camera's way
    trajectory: str | None

    @property
    def meshes(self) -> dict[Depth, str]:
        """The file of each depth."""
        from lingbot_live.system.remote import beside

        local = replace(self.request, output=Path(self.output)).meshes
        return {depth: beside(self.output, path.name) for depth, path in local.items()}

    @property
    def outputs(self) -> Sequence[str]:
        """The meshes, and the camera's way."""
        return [*self.meshes.values(), *([self.trajectory] if self.trajectory else [])]

    @property
    def replaces(self) -> bool:
        """Whether it was forced."""
        return self.request.force

    def do(self) -> Outcome:
        """Do it; raises as `lingbot_live.export.scene.reconstruct`."""
        from lingbot_live.export.scene import reconstruct as run
        from lingbot_live.system.remote import Delivery, local_address

        address = local_address(self.request.address)
        with Delivery() as delivery, progress_bar("reconstructing") as on_progress:
            place = delivery.place(self.output, [*self.meshes.values()])
            way = None if self.trajectory is None else delivery.place(self.trajectory)
            request = replace(self.request, address=address, output=place, trajectory=way)
            report = run(request, on_progress)
        lines = [
            f"{path}: {report.triangles[kind]} triangles of {kind.value} depth"
            for kind, path in self.meshes.items()
        ]
        left_out = f", {report.left_out} left out" if report.left_out else ""
        lines.append(f"{report.frames} frames{left_out} in {report.seconds:.1f} s")
        return Outcome("\n".join(lines), tuple(report.remarks), not report.is_damaged)


def _each(job: SceneJob, sources: list[str]) -> Iterator[SceneJob]:
    """Yield the job of each input, with its files in a folder of the input's name."""
    for source, name in named(sources):
        way = None if job.trajectory is None else inside(job.trajectory, name)
        request = replace(job.request, address=source)
        yield SceneJob(request, inside(job.output, name), way)


def _depths(text: str) -> tuple[Depth, ...]:
    from lingbot_live.perception.reconstruction import Depth

    if text == "both":
        return tuple(Depth)
    if text not in [depth.value for depth in Depth]:
        raise ConfigError(f"--depth {text}: write raw, refined or both")
    return (Depth(text),)
