"""``lingbot-live devices`` and ``lingbot-live snapshot``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.damage import end_with_damage
from lingbot_live.cli.options import (
    CompileOption,
    DepthSizeOption,
    DeviceOption,
    FpsOption,
    KeepRawOption,
    LevelOption,
    NoFlyingOption,
    NoMaskOption,
    PrecisionOption,
    ProviderOption,
    RefinerOption,
    SeedOption,
    SetOption,
    SizeOption,
    TokensOption,
    camera_config,
    refiner_config,
)
from lingbot_live.system.outputs import check_apart

if TYPE_CHECKING:
    from lingbot_live.cameras.base import CameraInfo, StreamProfile


def devices(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    profiles: Annotated[
        bool, typer.Option("--profiles", help="Also sizes and rates; opens cameras for a moment.")
    ] = False,
) -> None:
    """List the cameras that can be opened now, and why a make has none."""
    import json

    from lingbot_live.cameras import registry

    found, unavailable = registry.discover()
    if profiles:
        found = [_with_profiles(info) for info in found]
    if as_json:
        rows = [
            {
                "address": info.address,
                "name": info.name,
                "serial": info.serial,
                "simulated": info.is_simulated,
                "details": info.details,
                **({"profiles": [asdict(p) for p in info.profiles]} if profiles else {}),
            }
            for info in found
        ]
        reasons = {scheme: str(error) for scheme, error in unavailable.items()}
        print(json.dumps({"cameras": rows, "unavailable": reasons}, indent=2))
        return
    width = max((len(info.address) for info in found), default=0)
    for info in found:
        print(f"{info.address:<{width}}  {info.name}  {info.serial}".rstrip())
        for line in _profile_lines(info.profiles) if profiles else ():
            print(f"{'':<{width}}  {line}")
    for scheme, error in unavailable.items():
        print(f"{scheme}: {error}")
    if not found:
        print("No camera found. Try: lingbot-live run synthetic:stereo")


def _with_profiles(info: CameraInfo) -> CameraInfo:
    from lingbot_live.cameras import registry
    from lingbot_live.errors import CameraError

    try:
        return replace(info, profiles=registry.driver(info.driver).profiles(info))
    except CameraError as error:  # such as busy: the others are listed nevertheless
        typer.echo(f"lingbot-live: {error}", err=True)
        return info


def _profile_lines(profiles: Sequence[StreamProfile]) -> list[str]:
    """Return one line for each stream and size, with its rates and formats."""
    found: dict[tuple[str, int, int], tuple[set[float], set[str]]] = {}
    for p in profiles:
        rates, formats = found.setdefault((p.stream, p.width, p.height), (set(), set()))
        rates.add(p.fps)
        formats.add(p.format)
    return [
        f"{stream} {width}x{height} at {', '.join(f'{r:g}' for r in sorted(rates))} fps"
        f" {' '.join(sorted(formats))}".rstrip()
        for (stream, width, height), (rates, formats) in sorted(found.items())
    ]


def snapshot(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A camera or a recording.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to make.")],
    refiner: RefinerOption = None,
    tokens: TokensOption = None,
    level: LevelOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    provider: ProviderOption = None,
    compiled: CompileOption = False,
    keep_raw: KeepRawOption = False,
    no_mask: NoMaskOption = False,
    no_flying: NoFlyingOption = False,
    frame: Annotated[int, typer.Option(min=0, help="Which frame, from 0.")] = 0,
    fps: FpsOption = None,
    size: SizeOption = None,
    depth_size: DepthSizeOption = None,
    seed: SeedOption = 0,
    controls: SetOption = None,
) -> None:
    """Refine one frame and write its pictures, depth, point cloud and calibration."""
    from lingbot_live.cameras import registry
    from lingbot_live.cameras.base import first_frame
    from lingbot_live.export.snapshot import check_new, write_snapshot

    config = camera_config(
        fps, size, seed, controls, loop=False, realtime=False, depth_size=depth_size
    )
    refining = refiner_config(
        refiner, tokens=tokens, level=level, precision=precision, device=device,
        provider=provider, compiled=compiled,
        keep_raw=keep_raw, no_mask=no_mask, no_flying=no_flying,
    )  # fmt: skip
    check_apart(output, registry.files_of([address]))
    check_new(output)
    camera = registry.create_camera(address, config)
    engine = registry.create_refiner(refining)
    try:
        with camera:
            captured = first_frame(camera)
            while captured.index < frame:
                captured = first_frame(camera)
        folder = write_snapshot(output, engine.refine(captured), camera.info)
    finally:
        engine.close()
    print(folder)
    end_with_damage([address], camera.missed)
