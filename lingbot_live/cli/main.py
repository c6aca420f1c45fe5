"""The command line: the composition root, and the one place that may start the window."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live import __version__
from lingbot_live.cli import (
    attention,
    bench,
    calibrate,
    compare,
    devices,
    doctor,
    export,
    grasps,
    hand_eye,
    index,
    models,
    pack,
    reconstruct,
    record,
    refine,
    session,
    track,
)
from lingbot_live.cli.lazy import command_names, only
from lingbot_live.cli.options import (
    BindOption,
    CompileOption,
    DepthSizeOption,
    DeviceOption,
    DurationOption,
    EveryFrameOption,
    ExtrasOption,
    FpsOption,
    FramesOption,
    HeadlessOption,
    KeepRawOption,
    LevelOption,
    LoopOption,
    NoFlyingOption,
    NoMaskOption,
    PrecisionOption,
    ProviderOption,
    PublishOption,
    RefinerOption,
    RendererOption,
    ResetOption,
    RigOption,
    ScreenshotOption,
    SeedOption,
    SetOption,
    SizeOption,
    SnapshotOption,
    SpeedOption,
    StartOption,
    StatsOption,
    SteadyOption,
    TokenOption,
    TokensOption,
    camera_config,
    check_renderer,
    refiner_config,
)
from lingbot_live.cli.plain import write_plainly
from lingbot_live.cli.publishing import places, publishing
from lingbot_live.errors import ConfigError, LingbotLiveError
from lingbot_live.system.outputs import check_apart, check_replaceable, understood

if TYPE_CHECKING:
    from lingbot_live.config import CameraConfig, RefinerConfig
    from lingbot_live.publish.place import Place

app = typer.Typer(
    name="lingbot-live",
    help="Stream RGB-D cameras, refine their depth live, record and compare.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_ANYWHERE = ("--debug", "--allow-outside", "--any")

Address = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ADDRESS]...", help="Cameras, such as synthetic:stereo or a file."),
]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and log more.")] = False,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Image lists may name files anywhere.")
    ] = False,
    any_weights: Annotated[
        bool, typer.Option("--any", help="Weights need not have the published checksum.")
    ] = False,
) -> None:
    import logging
    import os

    if any_weights:
        os.environ["LINGBOT_LIVE_ANY_WEIGHTS"] = "1"  # for children, too
    if allow_outside:
        os.environ["LINGBOT_LIVE_ALLOW_OUTSIDE"] = "1"  # children read folders as well
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
    provider: ProviderOption = None,
    compiled: CompileOption = False,
    keep_raw: KeepRawOption = False,
    no_mask: NoMaskOption = False,
    steady: SteadyOption = False,
    no_flying: NoFlyingOption = False,
    fps: FpsOption = None,
    size: SizeOption = None,
    depth_size: DepthSizeOption = None,
    seed: SeedOption = 0,
    controls: SetOption = None,
    extras: ExtrasOption = False,
    frames: FramesOption = None,
    duration: DurationOption = None,
    headless: HeadlessOption = False,
    loop: LoopOption = None,
    speed: SpeedOption = 1.0,
    start: StartOption = 0.0,
    every_frame: EveryFrameOption = False,
    renderer: RendererOption = "auto",
    screenshot: ScreenshotOption = None,
    stats: StatsOption = None,
    snapshot_to: SnapshotOption = None,
    reset: ResetOption = False,
    rig: RigOption = None,
    publish: PublishOption = None,
    bind: BindOption = None,
    token: TokenOption = None,
) -> None:
    """Open the window (or, with --headless, the bare pipeline) on one or more cameras."""
    _check_writable(addresses or [], screenshot, stats)
    check_renderer(renderer)
    if snapshot_to is not None:
        from lingbot_live.cameras import registry
        from lingbot_live.export.snapshot import check_new

        check_apart(snapshot_to, registry.files_of(addresses or []))
        check_new(snapshot_to)
    looping = loop if loop is not None else (not headless or duration is not None)
    camera = camera_config(
        fps, size, seed, controls,
        loop=looping, realtime=not every_frame, depth_size=depth_size, extras=extras,
    )  # fmt: skip
    camera = replace(camera, speed=speed, start_s=start)
    refining = refiner_config(
        refiner, tokens=tokens, level=level, precision=precision, device=device,
        provider=provider, compiled=compiled,
        keep_raw=keep_raw, no_mask=no_mask, steady=steady, no_flying=no_flying,
    )  # fmt: skip
    if rig is not None:
        _check_rig(rig, headless)
    targets = places(publish, bind, token)
    if headless:
        if screenshot is not None:
            raise ConfigError("--screenshot needs a window; leave out --headless")
        _run_headless(addresses or [], refining, camera, frames, duration, stats, targets)
        return
    from ui.app import WindowOptions, run_window

    options = WindowOptions(
        tuple(addresses or []), refining, refiner is not None, camera,
        frames=frames, duration_s=duration, screenshot=screenshot, snapshot=snapshot_to,
        stats=stats, reset=reset, rig=rig, publish=tuple(targets), renderer=renderer,
    )  # fmt: skip
    raise typer.Exit(run_window(options))


app.command()(devices.devices)
app.command()(devices.snapshot)
app.command()(refine.refine)
app.command()(track.track)
app.command()(record.record)
app.command()(reconstruct.reconstruct)
app.command()(attention.attention)
app.command()(grasps.grasps)
app.command("hand-eye")(hand_eye.hand_eye)
app.command()(session.info)
app.command()(session.repair)
app.command()(pack.pack)
app.command()(index.index)
app.command()(export.export)
app.command()(compare.measure)
app.command()(compare.compare)
app.command()(calibrate.calibrate)
app.command("eval")(compare.evaluate)
app.add_typer(models.app, name="models")
app.command()(doctor.doctor)
app.command()(bench.bench)


def _check_rig(path: Path, headless: bool) -> None:
    """Tell a wrong rig before cameras open."""
    from lingbot_live.calibration.rig import Rig

    if headless:
        raise ConfigError("--rig needs a window; leave out --headless")
    Rig.load(path)


def _run_headless(
    addresses: list[str],
    refiner: RefinerConfig,
    camera: CameraConfig,
    frames: int | None,
    duration_s: float | None,
    stats: Path | None,
    targets: list[Place],
) -> None:
    from lingbot_live.cameras import registry
    from lingbot_live.cli.typed import typed_commands
    from lingbot_live.cli.watching import patience_s, watch
    from lingbot_live.pipeline.session import Session
    from lingbot_live.system.signals import stoppable

    named = registry.with_members(addresses or [registry.default_address()])
    session = Session.of(named, refiner, camera)
    failures = None
    with stoppable() as stop, publishing(session, targets, refiner) as published:
        try:
            session.start(max_frames=frames)
            with typed_commands(session):
                failures = watch(session, duration_s, stop, published.say)
        finally:
            session.stop(patience_s(stop))
            if failures is not None or stats is not None:  # on a screen an error stands alone
                _write_json(stats, session.stats().as_dict())
    published.tell()
    failures.end(*published.problems())


def _check_writable(addresses: list[str], *paths: Path | None) -> None:
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"{path}: its folder does not exist; make it first")
        if path is not None:
            from lingbot_live.cameras import registry

            check_replaceable(path, registry.files_of(addresses))


def _write_json(path: Path | None, data: object) -> None:
    """Write to a file, or to standard output without one."""
    import json

    text = json.dumps(data, indent=2)
    if path is None:
        print(text)
    else:
        from lingbot_live.system.writing import write_text

        write_text(path, text + "\n")


def _guarded(call: Callable[[], None]) -> int:
    """Run ``call``; an expected error becomes one line and exit status 2, an interruption 130."""
    from lingbot_live.system import signals

    try:
        with signals.handled():
            return _status_of(call)
    except BrokenPipeError:  # who read our output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (LingbotLiveError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"lingbot-live: {' '.join(_words(error).split())}", file=sys.stderr)
        return 2
    except Exception as error:  # a file made to trip us must not show a traceback either
        if "--debug" in sys.argv:
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        print(f"lingbot-live: unexpected error ({text}); --debug shows where", file=sys.stderr)
        return 2


def _status_of(call: Callable[[], None]) -> int:
    from lingbot_live.system import signals
    from lingbot_live.system.writing import writing

    status: object = 0
    try:
        call()
    except SystemExit as ended:
        status = ended.code
    with writing(Path("standard output"), kept="the rest is lost"):
        sys.stdout.flush()
    if signals.has_raised():
        return 130
    return status if isinstance(status, int) else int(status is not None)


def _words(error: Exception) -> str:
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    where = "a file cannot be read or written" if error.filename is None else error.filename
    return f"{where}: {error.strerror}; check the disk"


def _say_all() -> None:
    """Let a console that lacks a letter show its code instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Entry point of the command ``lingbot-live``."""
    from lingbot_live.system.signals import end_with

    end_with(obey(sys.argv[1:]))


def obey(arguments: list[str]) -> int:
    """Do what a command line asks for, ``run`` where it names no command; return its status."""
    from lingbot_live.system.inputs import MOST_PIXELS

    _say_all()
    # OpenCV asks for it once, when it is imported: no head of any kind of picture is believed more.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
    arguments = [understood(word) for word in arguments]
    words = [word for word in arguments if not word.startswith("-")]
    asks_help = any(word in ("-h", "--help", "--version") for word in arguments)
    wanted = words[0] if words and words[0] in command_names(app) else None
    if wanted is None and not asks_help:
        arguments = ["run", *arguments]
        wanted = "run"
    # These belong to no command and may stand anywhere.
    leading = [word for word in arguments if word in _ANYWHERE]
    arguments = [*leading, *(word for word in arguments if word not in _ANYWHERE)]
    write_plainly()
    return _guarded(lambda: only(app, wanted)(args=arguments, prog_name="lingbot-live"))


if __name__ == "__main__":
    main()
