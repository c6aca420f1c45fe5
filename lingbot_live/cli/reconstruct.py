"""``lingbot-live reconstruct``: the surface of a still scene out of a moving camera's frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.options import (
    NoFlyingOption,
    RefinerOption,
    SteadyOption,
    TokensOption,
    progress_bar,
    refiner_config,
)
from lingbot_live.errors import ConfigError

if TYPE_CHECKING:
    from lingbot_live.export.scene import SceneReport, SceneRequest
    from lingbot_live.perception.reconstruction import Depth


def reconstruct(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A session, a recording, a folder, a camera.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="FILE.ply or FILE.glb to make.")],
    depth: Annotated[
        str, typer.Option("--depth", help="raw, refined (default), or both: two files.")
    ] = "refined",
    trajectory: Annotated[
        Path | None, typer.Option("--trajectory", help="FILE.txt for the camera's way (TUM).")
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
    device: Annotated[
        str, typer.Option("--device", help="Where depth is fused: cpu, cuda or cuda:1.")
    ] = "cpu",
    force: Annotated[
        bool, typer.Option("--force", help="Replace what an earlier run wrote there.")
    ] = False,
) -> None:
    """Follow the camera through a still scene and fuse its depth into one coloured mesh."""
    from lingbot_live.export.scene import SceneRequest
    from lingbot_live.export.source import Span
    from lingbot_live.perception.reconstruction import Fusing

    config = refiner_config(refiner, tokens=tokens, steady=steady, no_flying=no_flying)
    fusing = Fusing(_depths(depth), voxel_m=voxel_mm / 1000, far_m=far_m, device=device)
    request = SceneRequest(
        source, output, fusing, config, Span.parse(frames), camera, trajectory, force
    )
    report = _run(request)
    for remark in report.remarks:
        typer.echo(remark, err=True)
    for kind, path in request.meshes.items():
        print(f"{path}: {report.triangles[kind]} triangles of {kind.value} depth")
    left_out = f", {report.left_out} left out" if report.left_out else ""
    print(f"{report.frames} frames{left_out} in {report.seconds:.1f} s")
    if report.is_damaged:
        raise typer.Exit(1)


def _run(request: SceneRequest) -> SceneReport:
    from lingbot_live.export.scene import reconstruct as run

    try:
        with progress_bar("reconstructing") as on_progress:
            return run(request, on_progress)
    except KeyboardInterrupt:
        typer.echo(f"{request.output}: stopped; nothing was written", err=True)
        raise typer.Exit(130) from None


def _depths(text: str) -> tuple[Depth, ...]:
    from lingbot_live.perception.reconstruction import Depth

    if text == "both":
        return tuple(Depth)
    if text not in [depth.value for depth in Depth]:
        raise ConfigError(f"--depth {text}: write raw, refined or both")
    return (Depth(text),)
