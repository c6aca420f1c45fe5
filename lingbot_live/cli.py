"""The command line: the composition root, and the one place that may start the window."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live import __version__, cli_bench, cli_compare, cli_models, cli_session
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
for _command in (cli_session.record, cli_session.info, cli_session.repair, cli_session.refine):
    app.command()(_command)
app.command()(cli_bench.bench)
app.command()(cli_compare.measure)
app.command()(cli_compare.compare)
app.command("eval")(cli_compare.evaluate)

Address = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ADDRESS]...", help="Cameras, such as synthetic:stereo or a file."),
]
RefinerOption = Annotated[
    str | None, typer.Option("--refiner", help="auto (default), none, guided, NAME[:MODEL].")
]
FpsOption = Annotated[float | None, typer.Option("--fps", help="Frames per second asked for.")]
SizeOption = Annotated[str | None, typer.Option("--size", help="Colour size, such as 1280x720.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of simulated cameras.")]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and log more.")] = False,
) -> None:
    import logging

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
    fps: FpsOption = None,
    size: SizeOption = None,
    seed: SeedOption = 0,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after N frames each.")] = None,
    duration: Annotated[float | None, typer.Option(min=0.0, help="Stop after S seconds.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Without a window.")] = False,
    loop: Annotated[
        bool | None, typer.Option("--loop/--no-loop", help="Begin recordings again at their end.")
    ] = None,
    screenshot: Annotated[
        Path | None, typer.Option(help="Write a picture of the window when it ends.")
    ] = None,
    stats: Annotated[Path | None, typer.Option(help="Write counts and latencies as JSON.")] = None,
    snapshot_to: Annotated[
        Path | None, typer.Option("--snapshot", help="Write a snapshot folder when it ends.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget the window's remembered settings.")
    ] = False,
) -> None:
    """Open the window (or, with --headless, the bare pipeline) on one or more cameras."""
    _check_writable(screenshot, stats)
    looping = loop if loop is not None else (not headless or duration is not None)
    camera = _camera_config(fps, size, seed, loop=looping)
    if headless:
        if screenshot is not None:
            raise ConfigError("--screenshot needs a window; leave out --headless")
        _run_headless(addresses or [], refiner, camera, frames, duration, stats)
        return
    from ui.app import WindowOptions, run_window

    options = WindowOptions(
        addresses=tuple(addresses or []),
        refiner=None if refiner is None else _refiner_config(refiner),
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
    import json

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
    camera = registry.create_camera(address, config)
    engine = registry.create_refiner(_refiner_config(refiner))
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
    refiner: str | None,
    camera: CameraConfig,
    frames: int | None,
    duration_s: float | None,
    stats: Path | None,
) -> None:
    from lingbot_live import registry
    from lingbot_live.session import Session

    session = Session.of(
        addresses or [registry.default_address()], _refiner_config(refiner), camera
    )
    session.start(max_frames=frames)
    try:
        _wait(session, duration_s)
    finally:
        session.stop()
        result = session.stats()
        _write_json(stats, result)


def _wait(session: Session, duration_s: float | None) -> None:
    from contextlib import suppress

    with suppress(KeyboardInterrupt):  # how a run without a duration ends
        session.wait(duration_s)


def _camera_config(
    fps: float | None, size: str | None, seed: int, *, loop: bool, realtime: bool = True
) -> CameraConfig:
    from lingbot_live.config import CameraConfig

    width, height = cli_compare.parse_size(size)
    return CameraConfig(width, height, fps, loop=loop, realtime=realtime, seed=seed)


def _refiner_config(text: str | None) -> RefinerConfig:
    from lingbot_live import registry
    from lingbot_live.config import RefinerConfig

    config = RefinerConfig.parse(text or "auto")
    registry.check_refiner_name(config.name)
    return config


def _check_writable(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and not path.expanduser().absolute().parent.is_dir():
            raise ConfigError(f"{path}: its folder does not exist; make it first")


def _write_json(path: Path | None, data: object) -> None:
    """Write to a file, or to standard output without one."""
    import json

    text = json.dumps(data, indent=2)
    if path is None:
        print(text)
    else:
        path.expanduser().write_text(text + "\n", encoding="utf-8")


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
