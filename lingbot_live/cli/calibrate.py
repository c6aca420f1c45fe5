"""The command ``calibrate``: where cameras stand relative to each other, into a rig file."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.damage import end_with_damage
from lingbot_live.cli.options import SeedOption, SizeOption, camera_config, progress_bar
from lingbot_live.errors import CalibrationError, ConfigError
from lingbot_live.system.outputs import check_replaceable
from lingbot_live.system.signals import stoppable

if TYPE_CHECKING:
    from lingbot_live.calibration.board import Board
    from lingbot_live.calibration.rig import Rig
    from lingbot_live.calibration.watch import Watch
    from lingbot_live.cameras.base import Camera
    from lingbot_live.config import CameraConfig
    from lingbot_live.frame import Frame
    from lingbot_live.pipeline.session import Session

BOARD = "charuco:7x5:40mm:30mm"
_TICK_S = 0.02
_MOTION_S = 8.0  # watched for a time offset, at least


def calibrate(
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="ADDRESS", help="Two to four cameras.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The rig file.")] = Path(
        "rig.toml"
    ),
    board: Annotated[
        str | None, typer.Option(help=f"{BOARD} (default) or chessboard:9x6:25mm.")
    ] = None,
    draw: Annotated[
        Path | None, typer.Option(help="Only write the board's picture, to print it.")
    ] = None,
    rig: Annotated[
        Path | None, typer.Option("--rig", help="Start from this rig file; needs no board.")
    ] = None,
    icp: Annotated[
        bool, typer.Option("--icp", help="Refine by the scene's shape and colour.")
    ] = False,
    time_offset: Annotated[
        bool, typer.Option("--time-offset", help="Also estimate how far the clocks are apart.")
    ] = False,
    views: Annotated[int, typer.Option(min=3, help="Views of the board to take.")] = 12,
    duration: Annotated[float, typer.Option(min=1.0, help="Look for at most S seconds.")] = 180.0,
    size: SizeOption = None,
    seed: SeedOption = 0,
) -> None:
    """Find where cameras stand by a board that they see together; writes a rig file."""
    from lingbot_live.calibration.board import Board
    from lingbot_live.calibration.rig import Rig
    from lingbot_live.calibration.watch import Watch
    from lingbot_live.cameras.registry import files_of

    chosen = Board.parse(board or BOARD)
    if draw is not None:
        _draw(chosen, draw)
        return
    names = _checked(addresses, output)
    check_replaceable(output, [*files_of(names), *([rig] if rig else [])])
    start = Rig.load(rig) if rig else None
    if start is not None and board is None and not (icp or time_offset):
        raise ConfigError("calibrate --rig: say what to do with it: --icp, --time-offset, --board")
    watch = Watch(names, chosen if start is None or board is not None else None)
    limits = _Limits(views, duration, _MOTION_S if time_offset else 0.0)
    looked = _look(watch, limits, camera_config(None, size, seed, loop=False))
    found = watch.solve() if watch.boards or start is None else _known(start, watch, looked.serials)
    for address, serial in looked.serials.items():
        found = found.with_camera(address, serial=serial)
    if watch.boards:
        found.save(output)  # minutes of work that a failure below must not lose
    try:
        found = _improved(found, watch, icp, time_offset)
    except CalibrationError as error:
        kept = f". {output} holds what the board gave" if watch.boards else ""
        raise CalibrationError(f"{error}{kept}") from error
    found.save(output)
    print("\n".join(table(found)))
    print(output)
    end_with_damage(names, looked.missed)


def _improved(rig: Rig, watch: Watch, icp: bool, time_offset: bool) -> Rig:
    if icp:
        from lingbot_live.calibration.icp import refine_rig

        rig = refine_rig(rig, watch.shots())
    return watch.with_time_offsets(rig) if time_offset else rig


def table(rig: Rig) -> list[str]:
    """Return lines that say where each camera stands and how well that is known."""
    from lingbot_live.calibration.rig import turn_deg_of
    from lingbot_live.calibration.timing import TRUSTED

    lines = [f"{rig.reference.address}: the reference"]
    for camera in rig.cameras[1:]:
        x, y, z = (1000 * n for n in camera.pose.translation_m)
        turns = turn_deg_of(camera.pose)
        text = f"{camera.address}: {x:+.1f} {y:+.1f} {z:+.1f} mm, "
        text += " ".join(f"{turn:+.2f}" for turn in turns) + " deg"
        if math.isfinite(camera.residual_px):
            text += f", residual {camera.residual_px:.2f} px over {camera.views} views"
        if math.isfinite(camera.icp_rms_mm):
            text += f", ICP {camera.icp_rms_mm:.1f} mm RMS"
        if math.isfinite(camera.time_offset_ms):
            sure = camera.time_confidence
            text += f", clock {camera.time_offset_ms:+.1f} ms (confidence {sure:.2f}"
            text += ")" if sure >= TRUSTED else ": too low, move something before all cameras)"
        lines.append(text)
    return lines


def _checked(addresses: list[str] | None, output: Path) -> list[str]:
    if addresses is None or len(addresses) < 2:
        raise ConfigError("calibrate: name at least two cameras, the first is the reference")
    if len(set(addresses)) < len(addresses):
        raise ConfigError("calibrate: a camera is named twice; leave one out")
    if not output.expanduser().absolute().parent.is_dir():
        raise ConfigError(f"{output}: its folder does not exist; make it first")
    return addresses


@dataclass(frozen=True, slots=True)
class _Limits:
    """When there is enough."""

    views: int  # of the board
    most_s: float  # to look for
    least_s: float  # to watch motion for

    def are_met(self, watch: Watch, passed_s: float) -> bool:
        if passed_s < self.least_s or len(watch.frames()) < len(watch.names):
            return False
        return watch.boards is None or watch.weakest() >= self.views

    def progress(self, watch: Watch, passed_s: float) -> tuple[int, int]:
        if watch.boards:
            return watch.weakest(), self.views
        return int(passed_s), int(self.least_s)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was learned of the cameras besides their pictures."""

    serials: dict[str, str]  # by address
    missed: Counter[str]  # frames of all cameras, by cause


def _look(watch: Watch, limits: _Limits, config: CameraConfig) -> _Looked:
    """Watch until the limits are met or the cameras end; ends the command where a signal asks."""
    from lingbot_live.cameras import registry

    infos = [registry.find_camera(address) for address in watch.names]
    with stoppable() as stop, progress_bar("views" if watch.boards else "seconds") as show:

        def is_done(passed_s: float) -> bool:
            show(*limits.progress(watch, passed_s))
            return limits.are_met(watch, passed_s) or stop.is_set()

        if all(info.is_recording for info in infos):
            looked = _look_at_recordings(watch, limits, config, is_done)
        else:
            looked = _look_live(watch, limits, config, is_done, stop)
    if stop.is_set():
        typer.echo("calibrate: interrupted; nothing was written", err=True)
        raise typer.Exit(130)
    return looked


def _look_live(
    watch: Watch,
    limits: _Limits,
    config: CameraConfig,
    is_done: Callable[[float], bool],
    stop: threading.Event,
) -> _Looked:
    from lingbot_live.cli.watching import patience_s
    from lingbot_live.config import RefinerConfig
    from lingbot_live.pipeline.session import Session

    session = Session.of(watch.names, RefinerConfig("none"), config)
    session.add_tap(watch.see)
    started_s = time.monotonic()
    session.start()
    try:
        while (passed_s := time.monotonic() - started_s) < limits.most_s:
            looked = watch.look()
            if is_done(passed_s) or not _goes_on(session):
                break
            if not looked:
                time.sleep(_TICK_S)
        serials = {feed.name: feed.info.serial for feed in session.feeds if feed.info is not None}
        return _Looked(serials, _sum(feed.stats.missed for feed in session.feeds))
    finally:
        session.stop(patience_s(stop))


def _goes_on(session: Session) -> bool:
    """Whether any camera still streams. Raises what made one fail."""
    from lingbot_live.cameras.base import CameraState

    for feed in session.feeds:
        if feed.state.is_lost and feed.error is not None:
            raise feed.error
    return any(feed.state is not CameraState.ENDED for feed in session.feeds)


def _look_at_recordings(
    watch: Watch, limits: _Limits, config: CameraConfig, is_done: Callable[[float], bool]
) -> _Looked:
    """Read recordings in step by their own times, each from its first frame, without haste."""
    import heapq

    from lingbot_live.cameras import registry

    config = replace(config, realtime=False)
    with ExitStack() as stack:
        cameras = {
            address: stack.enter_context(registry.create_camera(address, config))
            for address in watch.names
        }
        streams = [_from_zero(address, camera) for address, camera in cameras.items()]
        for passed_s, address, frame in heapq.merge(*streams, key=lambda item: item[0]):
            watch.see(address, frame)
            watch.look()
            if is_done(passed_s) or passed_s > limits.most_s:
                break
        serials = {address: camera.info.serial for address, camera in cameras.items()}
        return _Looked(serials, _sum(camera.missed for camera in cameras.values()))


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())


def _draw(board: Board, path: Path) -> None:
    check_replaceable(path)
    board.save_picture(path)
    print(f"{path}: print it at 300 dpi without scaling, then measure a square and say its size")


def _from_zero(address: str, camera: Camera) -> Iterator[tuple[float, str, Frame]]:
    """Yield frames with the time since the first, by the device's clock."""
    from lingbot_live.cameras.readings import every_frame

    first_us: int | None = None
    for frame in every_frame(camera):
        first_us = frame.device_timestamp_us if first_us is None else first_us
        passed_us = frame.device_timestamp_us - first_us
        yield passed_us / 1e6, address, replace(frame, timestamp_ns=1000 * passed_us)


def _known(start: Rig, watch: Watch, serials: dict[str, str]) -> Rig:
    """Return the given rig with these cameras only, the first as the reference."""
    watch.shots()  # a camera without a frame is told here
    return start.among([(name, serials.get(name, "")) for name in watch.names])
