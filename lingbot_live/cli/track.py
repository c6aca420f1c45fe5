"""``lingbot-live track``: points of a picture followed over time, in pixels and metres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    from lingbot_live.perception.tracks import Lifted, Tracked, Tracker
    from lingbot_live.refiners.base import Refiner

_HEAD = "frame,time_s,point,u,v,visible,x_m,y_m,z_m,trust,speed_m_s"


def track(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A session, a recording, a folder, a camera.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="FILE.csv to make.")],
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
    tracker: Annotated[str, typer.Option("--tracker", help="lk, or a plug-in's.")] = "lk",
) -> None:
    """Follow points of the first picture; write where they are in pixels and in metres."""
    from lingbot_live.cameras import registry
    from lingbot_live.system.writing import write_text

    if (points is None) == (grid is None):
        raise ConfigError("track: say which points: --points U,V (again for more), or --grid N")
    config = refiner_config(
        refiner, tokens=tokens, device=device, steady=steady, no_flying=no_flying
    )
    check_apart(output, registry.files_of([source]))
    if output.exists():
        raise ConfigError(f"{output}: exists already; choose another name")
    engine = registry.create_refiner(config)
    try:
        follower: Tracker = registry.plug_in(registry.TRACKERS, tracker)()
        with progress_bar(f"tracking with {engine.info}") as on_progress:
            lines = list(_lines(source, frames, points, grid, engine, follower, on_progress))
    finally:
        engine.close()
    write_text(output, "\n".join([_HEAD, *lines]) + "\n")
    print(f"{output}: {len(lines)} rows")


def _lines(
    source: str,
    most: int | None,
    points: list[str] | None,
    count: int | None,
    engine: Refiner,
    tracker: Tracker,
    on_progress: Callable[[int, int | None], None],
) -> Iterator[str]:
    import numpy as np

    from lingbot_live.cameras import registry
    from lingbot_live.cameras.readings import OFFLINE, every_frame, frame_count
    from lingbot_live.perception.tracks import Lifter, Tracked, grid
    from lingbot_live.perception.trust import trust_map

    with registry.create_camera(source, OFFLINE) as camera:
        if not camera.info.is_recording and most is None:
            raise ConfigError(f"{source}: has no end, so say how many: --frames N")
        total = most or frame_count(camera)
        lifter = None
        for number, frame in enumerate(islice(every_frame(camera), most)):
            refined = engine.refine(frame)
            if lifter is None:
                asked = points or []
                pixels = grid(frame, count) if count else parse_pixels("--points", asked, frame)
                tracker.start(frame.color, pixels)
                lifter = Lifter(frame.intrinsics, len(pixels))
                start_us = frame.device_timestamp_us
                tracked = Tracked(pixels, np.ones(len(pixels), bool))
            else:
                tracked = tracker.follow(frame.color, refined.depth_m)
            time_s = (frame.device_timestamp_us - start_us) / 1e6
            lifted = lifter.lift(tracked, refined.depth_m, trust_map(refined), time_s)
            yield from _rows(frame.index, time_s, tracked, lifted)
            on_progress(number + 1, total)
        if lifter is None:
            raise ConfigError(f"{source}: no frame in it; nothing to track")


def _rows(index: int, time_s: float, tracked: Tracked, lifted: Lifted) -> Iterator[str]:
    import numpy as np

    speed = np.linalg.norm(lifted.velocity_m_s, axis=1)
    for point, (u, v) in enumerate(tracked.pixels):
        x, y, z = ("" if np.isnan(c) else f"{c:.4f}" for c in lifted.points_m[point])
        yield (
            f"{index},{time_s:.6f},{point},{u:.2f},{v:.2f},{int(tracked.visible[point])},"
            f"{x},{y},{z},{lifted.trust[point]:.3f},{speed[point]:.4f}"
        )
