"""``lingbot-live record``: cameras into a session file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.options import (
    BindOption,
    CompileOption,
    DepthSizeOption,
    DeviceOption,
    ExtrasOption,
    FpsOption,
    NoFlyingOption,
    PrecisionOption,
    ProviderOption,
    PublishOption,
    SeedOption,
    SetOption,
    SizeOption,
    SteadyOption,
    TokenOption,
    TokensOption,
    camera_config,
    refiner_config,
)
from lingbot_live.cli.plain import terminal
from lingbot_live.cli.publishing import places, publishing
from lingbot_live.system.outputs import check_apart, local_path
from lingbot_live.system.signals import stoppable

if TYPE_CHECKING:
    import threading

    from lingbot_live.cli.watching import Failures, RecordingLook
    from lingbot_live.config import RefinerConfig
    from lingbot_live.pipeline.session import Session
    from lingbot_live.recording.recorder import Recorder
    from lingbot_live.recording.state import RecorderOptions

_TICK_S = 0.2
_SLOW_S = 2.0  # of a disk, until that is said


def record(
    addresses: Annotated[
        list[str], typer.Argument(metavar="ADDRESS...", help="Cameras, such as synthetic:stereo.")
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", help="File; {date}, {time}, {camera} are filled in.")
    ] = "{date}_{time}_{camera}.mcap",
    refiner: Annotated[str, typer.Option("--refiner", help="As for run.")] = "auto",
    raw_only: Annotated[bool, typer.Option("--raw-only", help="No refined depth.")] = False,
    duration: Annotated[float | None, typer.Option(min=0.0, help="Stop after S seconds.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after N frames each.")] = None,
    split: Annotated[
        str | None, typer.Option(help="New file after a size or time: 4G, 500M, 10min, 30s.")
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Colour and refined depth without any loss.")
    ] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of colour's JPEG.")] = 95,
    color: Annotated[
        str, typer.Option("--color", help="jpeg, or as video: h264, h265, av1 (much smaller).")
    ] = "jpeg",
    pre_trigger: Annotated[
        float, typer.Option(min=0.0, help="Wait for Enter, and begin S seconds before it.")
    ] = 0.0,
    fps: FpsOption = None,
    size: SizeOption = None,
    depth_size: DepthSizeOption = None,
    seed: SeedOption = 0,
    controls: SetOption = None,
    extras: ExtrasOption = False,
    tokens: TokensOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    provider: ProviderOption = None,
    compiled: CompileOption = False,
    steady: SteadyOption = False,
    no_flying: NoFlyingOption = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="With refined depth how sure each pixel is.")
    ] = False,
    publish: PublishOption = None,
    bind: BindOption = None,
    token: TokenOption = None,
) -> None:
    """Record cameras into a session file, until Ctrl-C."""
    from lingbot_live.cameras.registry import files_of, with_members
    from lingbot_live.cli.watching import RecordingLook, patience_s, watch
    from lingbot_live.pipeline.inference import RefinerState
    from lingbot_live.pipeline.session import Session
    from lingbot_live.recording.format import expand_name
    from lingbot_live.recording.recorder import Recorder

    config = refiner_config(
        "none" if raw_only else refiner, tokens=tokens, precision=precision, device=device,
        provider=provider, compiled=compiled,
        steady=steady and not raw_only, no_flying=no_flying and not raw_only,
    )  # fmt: skip
    camera = camera_config(
        fps, size, seed, controls, loop=duration is not None, depth_size=depth_size, extras=extras
    )
    path = local_path(expand_name(output, addresses[0], datetime.now()))
    check_apart(path, files_of(addresses))
    options = _options(raw_only, lossless, quality, split, pre_trigger, color, trust)
    session = Session.of(with_members(addresses), config, camera)
    recorder = Recorder(path, options, _settings(addresses, config, controls))
    failures = None
    targets = places(publish, bind, token)
    served = publishing(session, targets, config, recorder)
    with stoppable() as stop, _status() as show, served as published:
        look = RecordingLook(recorder, show, published.say)
        try:
            if pre_trigger:
                failures = _from_trigger(session, recorder, duration, frames, stop, look)
            else:
                recorder.start(session)
                session.start(max_frames=frames)
                failures = watch(session, duration, stop, look)
        finally:
            session.stop(patience_s(stop))
            parts = _save(recorder, show)
            if failures is None and session.refiner_state is RefinerState.FAILED:
                recorder.discard()  # what came before the refiner could not start bars the retry
    published.tell()
    _tell(recorder, parts)
    failures.end(*_lost(recorder, parts), *published.problems())


def _from_trigger(
    session: Session,
    recorder: Recorder,
    duration_s: float | None,
    frames: int | None,
    stop: threading.Event,
    look: RecordingLook,
) -> Failures:
    """Stream until a line comes on standard input; record what came shortly before, and on."""
    from lingbot_live.cli.typed import first_line
    from lingbot_live.cli.watching import watch
    from lingbot_live.recording.pretrigger import PreTrigger

    ring = PreTrigger(session, recorder.options)
    with first_line() as asked:
        ring.start()
        try:
            session.start(max_frames=frames)
            failures = watch(session, None, stop, lambda: look.waiting(ring) and not asked.is_set())
            if not asked.is_set():
                return failures
            recorder.start(ring)
            until_s = None if duration_s is None else session.elapsed_s + duration_s
            return watch(session, until_s, stop, look)
        finally:
            recorder.request_stop()
            ring.stop()


def _options(
    raw_only: bool,
    lossless: bool,
    quality: int,
    split: str | None,
    pre_trigger_s: float,
    color: str,
    trust: bool,
) -> RecorderOptions:
    from lingbot_live.recording.state import RecorderOptions, parse_split

    size, seconds = parse_split(split) if split else (None, None)
    return RecorderOptions(
        refined=not raw_only,
        lossless=lossless,
        quality=quality,
        split_bytes=size,
        split_s=seconds,
        pre_trigger_s=pre_trigger_s,
        color=color,
        trust=trust and not raw_only,
    )


def _settings(
    addresses: list[str], config: RefinerConfig, controls: list[str] | None
) -> dict[str, str]:
    """What the recording's metadata says of how it was made."""
    settings = {"addresses": " ".join(addresses), "refiner": str(config)}
    if config.steady:
        settings["steady"] = "yes"
    if config.drop_flying:
        settings["no-flying"] = "yes"
    if config.tokens is not None:
        settings["tokens"] = str(config.tokens)
    if controls:
        settings["controls"] = " ".join(controls)
    return settings


def _save(recorder: Recorder, show: Callable[[str], None]) -> list[Path]:
    """Write what is queued, however slow the disk is, until a signal gives that up."""
    recorder.request_stop()
    begun_s, is_said = time.monotonic(), False
    with stoppable() as stop:
        while not recorder.wait(_TICK_S):
            left = f"{recorder.stats().queued} frames and results wait for the disk"
            show(left)
            if not is_said and time.monotonic() - begun_s > _SLOW_S:
                is_said = True
                typer.echo(f"saving: {left}; Ctrl-C gives them up", err=True)
            if stop.is_set():
                recorder.give_up()
                break
        return recorder.stop(_SLOW_S)


def _tell(recorder: Recorder, parts: list[Path]) -> None:
    for part in parts:
        print(part)
    from lingbot_live.cli.watching import recording_line

    typer.echo(recording_line(recorder.stats()), err=True)
    if recorder.error is not None:
        raise recorder.error


def _lost(recorder: Recorder, parts: list[Path]) -> Iterator[str]:
    from lingbot_live.recording.backlog import GIVEN_UP
    from lingbot_live.recording.recorder import TAKEN

    drops = recorder.stats().drops
    for cause in (GIVEN_UP, TAKEN):
        if drops.get(cause):
            yield f"{drops[cause]} frames and results lost: {cause}"
    if not parts:
        yield f"{recorder.path}: no frame came, so no file was kept"


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Show one line that changes, on a terminal's stderr; nothing where it is not one."""
    from rich.console import Console

    console = Console(file=terminal())
    if not console.is_terminal:
        yield lambda line: None
        return
    with console.status("recording") as status:
        yield lambda line: status.update(f"recording: {line} (Ctrl-C ends it)")
