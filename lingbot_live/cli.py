"""The command line: the composition root, and the one place that may start the window."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live import __version__, cli_bench, cli_models, cli_refine, cli_session
from lingbot_live.cli_options import (
    DeviceOption,
    KeepRawOption,
    LevelOption,
    NoMaskOption,
    PrecisionOption,
    RefinerOption,
    TokensOption,
    refiner_config,
)
from lingbot_live.errors import ConfigError, LingbotLiveError

if TYPE_CHECKING:
    from lingbot_live.config import CameraConfig, RefinerConfig
    from lingbot_live.session import Session

app = typer.Typer(
    name="lingbot-live",
    help="Stream RGB-D cameras, refine their depth live, record and compare.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(cli_models.app, name="models")
app.command()(cli_refine.refine)
app.command()(cli_bench.bench)
for _command in (cli_session.record, cli_session.info, cli_session.repair):
    app.command()(_command)

Address = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ADDRESS]...", help="Cameras, such as synthetic:stereo or a file."),
]
FpsOption = Annotated[float | None, typer.Option("--fps", help="Frames per second asked for.")]
SizeOption = Annotated[str | None, typer.Option("--size", help="Colour size, such as 1280x720.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of simulated cameras.")]
FramesOption = Annotated[int | None, typer.Option(min=1, help="Stop after N frames each.")]
DurationOption = Annotated[float | None, typer.Option(min=0.0, help="Stop after S seconds.")]
LoopOption = Annotated[
    bool | None, typer.Option("--loop/--no-loop", help="Begin recordings again at their end.")
]
ScreenshotOption = Annotated[
    Path | None, typer.Option(help="Write a picture of the window when it ends.")
]
StatsOption = Annotated[Path | None, typer.Option(help="Write counts and latencies as JSON.")]
SnapshotOption = Annotated[
    Path | None, typer.Option("--snapshot", help="Write a snapshot folder when it ends.")
]
ResetOption = Annotated[
    bool, typer.Option("--reset", help="Forget the window's remembered settings.")
]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and log more.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    if version:
        print(f"lingbot-live {__version__}")
        raise typer.Exit


@app.command()
def run(
    addresses: Address = None,
    refiner: RefinerOption = None,
    tokens: TokensOption = None,
    level: LevelOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    keep_raw: KeepRawOption = False,
    no_mask: NoMaskOption = False,
    fps: FpsOption = None,
    size: SizeOption = None,
    seed: SeedOption = 0,
    frames: FramesOption = None,
    duration: DurationOption = None,
    headless: Annotated[bool, typer.Option("--headless", help="Without a window.")] = False,
    loop: LoopOption = None,
    screenshot: ScreenshotOption = None,
    stats: StatsOption = None,
    snapshot_to: SnapshotOption = None,
    reset: ResetOption = False,
) -> None:
    """Open the window (or, with --headless, the bare pipeline) on one or more cameras."""
    _check_writable(screenshot, stats)
    looping = loop if loop is not None else (not headless or duration is not None)
    camera = _camera_config(fps, size, seed, loop=looping)
    refining = refiner_config(
        refiner, tokens=tokens, level=level, precision=precision, device=device,
        keep_raw=keep_raw, no_mask=no_mask,
    )  # fmt: skip
    if headless:
        if screenshot is not None:
            raise ConfigError("--screenshot needs a window; leave out --headless")
        _run_headless(addresses or [], refining, camera, frames, duration, stats)
        return
    from ui.app import WindowOptions, run_window

    options = WindowOptions(
        addresses=tuple(addresses or []),
        refiner=_chosen(refiner, refining),
        camera=camera,
        frames=frames,
        duration_s=duration,
        screenshot=screenshot,
        snapshot=snapshot_to,
        stats=stats,
        reset=reset,
    )
    raise typer.Exit(run_window(options))


@app.command()
def devices(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the cameras that can be opened now, and why a make has none."""
    from lingbot_live import registry

    found, unavailable = registry.discover()
    if as_json:
        rows = [
            {
                "address": info.address,
                "name": info.name,
                "serial": info.serial,
                "simulated": info.is_simulated,
                "details": info.details,
            }
            for info in found
        ]
        reasons = {scheme: str(error) for scheme, error in unavailable.items()}
        print(json.dumps({"cameras": rows, "unavailable": reasons}, indent=2))
        return
    width = max((len(info.address) for info in found), default=0)
    for info in found:
        print(f"{info.address:<{width}}  {info.name}  {info.serial}".rstrip())
    for scheme, error in unavailable.items():
        print(f"{scheme}: {error}")
    if not found:
        print("No camera found. Try: lingbot-live run synthetic:stereo")


@app.command()
def snapshot(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A camera or a recording.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to make.")],
    refiner: RefinerOption = None,
    tokens: TokensOption = None,
    level: LevelOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    keep_raw: KeepRawOption = False,
    no_mask: NoMaskOption = False,
    frame: Annotated[int, typer.Option(min=0, help="Which frame, from 0.")] = 0,
    fps: FpsOption = None,
    size: SizeOption = None,
    seed: SeedOption = 0,
) -> None:
    """Refine one frame and write its pictures, depth, point cloud and calibration."""
    from lingbot_live import registry
    from lingbot_live.camera import first_frame
    from lingbot_live.export.snapshot import write_snapshot

    config = _camera_config(fps, size, seed, loop=False, realtime=False)
    refining = refiner_config(
        refiner, tokens=tokens, level=level, precision=precision, device=device,
        keep_raw=keep_raw, no_mask=no_mask,
    )  # fmt: skip
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


def _run_headless(
    addresses: list[str],
    refining: RefinerConfig,
    camera: CameraConfig,
    frames: int | None,
    duration_s: float | None,
    stats: Path | None,
) -> None:
    from lingbot_live import registry
    from lingbot_live.session import Session

    session = Session.of(addresses or [registry.default_address()], refining, camera)
    session.start(max_frames=frames)
    try:
        _wait(session, duration_s)
    finally:
        session.stop()
        result = session.stats()
        _write_json(stats, result)
    if stats is None:
        print(json.dumps(result, indent=2))


def _wait(session: Session, duration_s: float | None) -> None:
    try:
        session.wait(duration_s)
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("stopped by Ctrl-C")


def _camera_config(
    fps: float | None, size: str | None, seed: int, *, loop: bool, realtime: bool = True
) -> CameraConfig:
    from lingbot_live.config import CameraConfig

    width = height = None
    if size is not None:
        parts = size.lower().split("x")
        if len(parts) != 2 or not all(part.isdigit() for part in parts):
            raise ConfigError(f"--size {size}: write WIDTHxHEIGHT, such as 640x480")
        width, height = int(parts[0]), int(parts[1])
    return CameraConfig(width, height, fps, loop=loop, realtime=realtime, seed=seed)


def _chosen(refiner: str | None, refining: RefinerConfig) -> RefinerConfig | None:
    """Return what was asked for; None leaves the choice to what the window remembers."""
    from lingbot_live.config import RefinerConfig

    return None if refiner is None and refining == RefinerConfig() else refining


def _check_writable(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and not path.expanduser().absolute().parent.is_dir():
            raise ConfigError(f"{path}: its folder does not exist; make it first")


def _write_json(path: Path | None, data: object) -> None:
    if path is not None:
        path.expanduser().write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _guarded(call: Callable[[], None]) -> int:
    """Run ``call``; an expected error becomes one line and exit status 2."""
    try:
        call()
    except (LingbotLiveError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"lingbot-live: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def main() -> None:
    """Entry point of the command ``lingbot-live``; ``run`` may be left out."""
    names = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    }
    names |= {group.name for group in app.registered_groups if group.name}
    arguments = sys.argv[1:]
    words = [word for word in arguments if not word.startswith("-")]
    asks_help = any(word in ("-h", "--help", "--version") for word in arguments)
    if not (words and words[0] in names) and not asks_help:
        leading = [word for word in arguments if word == "--debug"]
        arguments = [*leading, "run", *(word for word in arguments if word != "--debug")]
    sys.exit(_guarded(lambda: app(args=arguments, prog_name="lingbot-live")))


if __name__ == "__main__":
    main()
