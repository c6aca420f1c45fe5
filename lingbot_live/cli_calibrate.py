"""The command ``calibrate``: where cameras stand relative to each other, into a rig file."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli_options import SeedOption, SizeOption, camera_config, progress_bar, stoppable
from lingbot_live.errors import CalibrationError, ConfigError

if TYPE_CHECKING:
    from lingbot_live.calibration.board import Board
    from lingbot_live.calibration.rig import Rig
    from lingbot_live.calibration.watch import Watch
    from lingbot_live.session import Session

BOARD = "charuco:7x5:40mm:30mm"
_TICK_S = 0.02
_MOTION_S = 8.0  # watched for a time offset, at least


def calibrate(
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS]...", help="Two to four cameras.")
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

    chosen = Board.parse(board or BOARD)
    if draw is not None:
        chosen.save_picture(draw.expanduser())
        print(
            f"{draw}: print it at 300 dpi without scaling, then measure a square and say its size"
        )
        return
    if addresses is None or len(addresses) < 2:
        raise ConfigError("calibrate: name at least two cameras, the first is the reference")
    start = Rig.load(rig) if rig else None
    if start is not None and board is None and not (icp or time_offset):
        raise ConfigError("calibrate --rig: say what to do with it: --icp, --time-offset, --board")
    _check_folder(output)
    use_board = chosen if start is None or board is not None else None
    session, watch = _open(addresses, use_board, size, seed)
    with session:
        _look(session, watch, views, duration, _MOTION_S if time_offset else 0.0)
        found = watch.solve() if use_board else _known(start, watch, session)
        found = _with_serials(found, session)
        if icp:
            from lingbot_live.calibration.icp import refine_rig

            found = refine_rig(found, watch.shots())
        if time_offset:
            found = watch.with_time_offsets(found)
    found.save(output)
    print("\n".join(table(found)))
    print(output)


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


def _check_folder(path: Path) -> None:
    if not path.expanduser().absolute().parent.is_dir():
        raise ConfigError(f"{path}: its folder does not exist; make it first")


def _open(
    addresses: list[str], board: Board | None, size: str | None, seed: int
) -> tuple[Session, Watch]:
    from lingbot_live.calibration.watch import Watch
    from lingbot_live.config import RefinerConfig
    from lingbot_live.session import Session

    camera = camera_config(None, size, seed, loop=False)
    session = Session.of(addresses, RefinerConfig("none"), camera)
    watch = Watch([feed.name for feed in session.feeds], board)
    session.add_tap(watch.see)
    return session, watch


def _look(session: Session, watch: Watch, views: int, most_s: float, least_s: float) -> None:
    """Watch until there are enough views and enough motion, the time is over, or cameras end."""
    started_s = time.monotonic()
    what = "views of the board" if watch.boards else "seconds"
    with stoppable() as stop, progress_bar(what) as show:
        while not stop.is_set() and (passed_s := time.monotonic() - started_s) < most_s:
            looked = watch.look()
            if _is_enough(watch, views, passed_s, least_s):
                return
            show(*((watch.weakest(), views) if watch.boards else (int(passed_s), int(least_s))))
            if not looked:
                stop.wait(_TICK_S)
            if not _goes_on(session):
                return
    if stop.is_set():
        raise CalibrationError("calibrate: interrupted; nothing was written")


def _goes_on(session: Session) -> bool:
    """Whether any camera still streams. Raises what made one fail."""
    from lingbot_live.camera import CameraState

    for feed in session.feeds:
        if feed.state is CameraState.FAILED and feed.error is not None:
            raise feed.error
    return any(feed.state is not CameraState.ENDED for feed in session.feeds)


def _is_enough(watch: Watch, views: int, passed_s: float, least_s: float) -> bool:
    if passed_s < least_s or len(watch.frames()) < len(watch.names):
        return False
    return watch.boards is None or watch.weakest() >= views


def _known(start: Rig | None, watch: Watch, session: Session) -> Rig:
    """Return the given rig with this session's cameras only, the first as the reference."""
    assert start is not None
    watch.shots()  # a camera without a frame is told here
    return start.among([(f.name, f.info.serial if f.info else "") for f in session.feeds])


def _with_serials(rig: Rig, session: Session) -> Rig:
    for feed in session.feeds:
        if feed.info is not None and feed.info.serial:
            rig = rig.with_camera(feed.name, serial=feed.info.serial)
    return rig
