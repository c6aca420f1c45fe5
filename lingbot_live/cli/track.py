"""``lingbot-live track``: points of a picture followed over time, in pixels and metres."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.damage import end_with_damage
from lingbot_live.cli.options import (
    DeviceOption,
    NoFlyingOption,
    RefinerOption,
    SteadyOption,
    TokensOption,
    parse_pixels,
    progress_bar,
    refiner_config,
)
from lingbot_live.errors import ConfigError
from lingbot_live.system.outputs import check_apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from lingbot_live.cameras.base import Camera
    from lingbot_live.export.tracks import Moment
    from lingbot_live.frame import Extrinsics, Frame
    from lingbot_live.perception.tracks import Tracker
    from lingbot_live.refiners.base import Refiner


def track(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A session, a recording, a folder, a camera.")
    ],
    output: Annotated[
        list[str], typer.Option("-o", "--output", help="FILE.csv, .npz, .mcap or .rrd; again.")
    ],
    points: Annotated[
        list[str] | None, typer.Option("--points", metavar="U,V", help="A pixel; again for more.")
    ] = None,
    grid: Annotated[
        int | None, typer.Option("--grid", help="N by N points over the picture instead.")
    ] = None,
    refiner: RefinerOption = None,
    steady: SteadyOption = False,
    no_flying: NoFlyingOption = False,
    tokens: TokensOption = None,
    device: DeviceOption = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first N frames.")] = None,
    tracker: Annotated[
        str, typer.Option("--tracker", help="lk, a plug-in's, or a network: FILE.pt, FILE.onnx.")
    ] = "lk",
    rig: Annotated[
        Path | None, typer.Option("--rig", help="Points in the axes of this rig's reference.")
    ] = None,
) -> None:
    """Follow points of the first picture; write where they are in pixels and in metres."""
    from lingbot_live.cameras import registry
    from lingbot_live.cameras.readings import OFFLINE
    from lingbot_live.export.tracks import KINDS, check_track_files
    from lingbot_live.system.remote import Delivery, local_address

    if (points is None) == (grid is None):
        raise ConfigError("track: say which points: --points U,V (again for more), or --grid N")
    config = refiner_config(
        refiner, tokens=tokens, device=device, steady=steady, no_flying=no_flying
    )
    pose, follower = _pose(rig, source), _tracker(tracker)
    source = local_address(source)
    inputs = registry.files_of([source])
    count = 0
    with Delivery() as delivery, ExitStack() as stack:
        paths = [delivery.place(name) for name in output]
        for path in paths:
            check_apart(path, inputs)
        check_track_files(paths)
        engine = stack.enter_context(closing(registry.create_refiner(config)))
        camera = stack.enter_context(registry.create_camera(source, OFFLINE))
        on_progress = stack.enter_context(progress_bar(f"tracking with {engine.info}"))
        files = [
            stack.enter_context(closing(KINDS[path.suffix.lower()](path, camera.info, pose)))
            for path in paths
        ]
        total = _total(camera, source, frames)
        for moment in _moments(camera, frames, points or [], grid, engine, follower):
            for file in files:
                file.add(moment)
            count += 1
            on_progress(count, total)
        if not count:
            raise ConfigError(f"{source}: no frame in it; nothing to track")
        for file in files:
            file.finish()
        missed = Counter(camera.missed)
    print(f"{', '.join(output)}: {count * len(moment.tracked.pixels)} rows")
    end_with_damage([source], missed)


def _total(camera: Camera, source: str, most: int | None) -> int | None:
    from lingbot_live.cameras.readings import frame_count

    if not camera.info.is_recording and most is None:
        raise ConfigError(f"{source}: has no end, so say how many: --frames N")
    return most or frame_count(camera)


def _pose(rig: Path | None, source: str) -> Extrinsics | None:
    """Return ``T_reference_camera``; None without a rig."""
    from lingbot_live.calibration.rig import Rig

    return None if rig is None else Rig.load(rig).camera(source).pose


def _tracker(name: str) -> Tracker:
    from lingbot_live.cameras import registry
    from lingbot_live.perception.file_tracker import SUFFIXES, FileTracker

    if Path(name).suffix.lower() in SUFFIXES:
        return FileTracker(Path(name))
    made: Tracker = registry.plug_in(registry.TRACKERS, name)()
    return made


def _moments(
    camera: Camera,
    most: int | None,
    points: list[str],
    count: int | None,
    engine: Refiner,
    tracker: Tracker,
) -> Iterator[Moment]:
    from lingbot_live.cameras.readings import every_frame
    from lingbot_live.export.tracks import Moment
    from lingbot_live.perception.tracks import Lifter, Tracked
    from lingbot_live.perception.trust import trust_map

    lifter, start_us = None, 0
    for frame in islice(every_frame(camera), most):
        refined = engine.refine(frame)
        if lifter is None:
            pixels = _pixels(points, count, frame)
            tracker.start(frame.color, pixels)
            lifter, start_us = Lifter(frame.intrinsics, len(pixels)), frame.device_timestamp_us
            tracked = Tracked(pixels, _all(len(pixels)))
        else:
            tracked = tracker.follow(frame.color, refined.depth_m)
        time_s = (frame.device_timestamp_us - start_us) / 1e6
        trust = trust_map(refined)
        lifted = lifter.lift(tracked, refined.depth_m, trust, time_s)
        yield Moment(refined, time_s, tracked, lifted, trust)


def _all(count: int) -> npt.NDArray[np.bool_]:
    import numpy as np

    return np.ones(count, bool)


def _pixels(points: list[str], count: int | None, frame: Frame) -> npt.NDArray[np.float32]:
    from lingbot_live.perception.tracks import grid

    return parse_pixels("--points", points, frame) if count is None else grid(frame, count)
