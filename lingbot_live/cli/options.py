"""What several commands share: options of cameras and refiners, a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.plain import plain, terminal
from lingbot_live.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lingbot_live.calibration.rig import Rig, RigCamera
    from lingbot_live.config import CameraConfig, RefinerConfig
    from lingbot_live.frame import Frame

FpsOption = Annotated[float | None, typer.Option("--fps", help="Frames per second asked for.")]
SizeOption = Annotated[str | None, typer.Option("--size", help="Colour size, such as 1280x720.")]
DepthSizeOption = Annotated[
    str | None, typer.Option("--depth-size", help="Size of the depth sensor, such as 848x480.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A sensor's control; [SCHEME:]NAME=VALUE."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of simulated cameras.")]
FramesOption = Annotated[int | None, typer.Option(min=1, help="Stop after N frames each.")]
DurationOption = Annotated[float | None, typer.Option(min=0.0, help="Stop after S seconds.")]
LoopOption = Annotated[
    bool | None, typer.Option("--loop/--no-loop", help="Begin recordings again at their end.")
]
SpeedOption = Annotated[float, typer.Option("--speed", help="Of recordings, 0.1 to 4.")]
StartOption = Annotated[float, typer.Option("--start", help="Begin S seconds into recordings.")]
EveryFrameOption = Annotated[
    bool, typer.Option("--every-frame", help="Recordings as fast as they are read.")
]
HeadlessOption = Annotated[
    bool, typer.Option("--headless", help="Without a window; type 'tokens N' or 'level N'.")
]
RendererOption = Annotated[
    str, typer.Option("--renderer", help="Of the window's pictures: auto, gpu or software.")
]
ScreenshotOption = Annotated[
    Path | None, typer.Option(help="Write a picture of the window when it ends.")
]
StatsOption = Annotated[Path | None, typer.Option(help="Write counts and latencies as JSON.")]
SnapshotOption = Annotated[
    Path | None, typer.Option("--snapshot", help="Write a snapshot folder when it ends.")
]
RigOption = Annotated[
    Path | None, typer.Option("--rig", help="Where the cameras stand: a file by calibrate.")
]
ResetOption = Annotated[
    bool, typer.Option("--reset", help="Forget the window's remembered settings.")
]
RefinerOption = Annotated[
    str | None, typer.Option("--refiner", help="auto (default), none, guided, NAME[:MODEL].")
]
TokensOption = Annotated[
    int | None, typer.Option("--tokens", help="How fine a network computes: about so many patches.")
]
LevelOption = Annotated[
    int | None, typer.Option("--level", help="The same as a level from 0 to 9; --tokens wins.")
]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="auto (default), fp16, bf16 or fp32.")
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", help="auto (default), cpu, cuda or mps; where a network runs."),
]
ProviderOption = Annotated[
    str | None,
    typer.Option("--provider", help="Of onnxruntime, for lingbot:FILE.onnx: cpu, cuda, coreml..."),
]
CompileOption = Annotated[
    bool,
    typer.Option("--compile", help="LingBot-Depth by torch.compile; minutes to start."),
]
KeepRawOption = Annotated[
    bool, typer.Option("--keep-raw", help="Leave raw depth as it is, wherever there is any.")
]
NoMaskOption = Annotated[
    bool, typer.Option("--no-mask", help="Also show depth that the network does not vouch for.")
]
SteadyOption = Annotated[
    bool, typer.Option("--steady", help="Steady refined depth over time, without ghosts.")
]
NoFlyingOption = Annotated[
    bool, typer.Option("--no-flying", help="Take flying points at depth edges out.")
]

PublishOption = Annotated[
    list[str] | None,
    typer.Option(
        "--publish",
        metavar="TARGET",
        help="Show it elsewhere: foxglove[:...], rerun[:...], ros2[:...].",
    ),
]
ExtrasOption = Annotated[
    bool,
    typer.Option("--extras", help="Infrared and depth before alignment too, where there are."),
]
BindOption = Annotated[
    str | None,
    typer.Option("--bind", metavar="IP", help="Of --publish: let other machines connect there."),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", help="Of --publish foxglove: only who brings it looks on and steers."),
]


def refiner_config(
    refiner: str | None,
    *,
    model: str | None = None,
    tokens: int | None = None,
    level: int | None = None,
    precision: str | None = None,
    device: str | None = None,
    provider: str | None = None,
    compiled: bool = False,
    keep_raw: bool = False,
    no_mask: bool = False,
    steady: bool = False,
    no_flying: bool = False,
) -> RefinerConfig:
    """Return the options as settings; a refiner without a use for one ignores it.

    Raises:
        ConfigError: no refiner has this name, or a value is out of its range.
    """
    from dataclasses import replace

    from lingbot_live.cameras import registry
    from lingbot_live.config import RefinerConfig

    named = RefinerConfig.parse(refiner or ("lingbot" if model else "auto"))
    registry.check_refiner_name(named.name)
    return replace(
        named,
        model=model or named.model,
        tokens=tokens,
        level=level,
        precision=precision or "auto",
        device=device or "auto",
        provider=provider or "",
        compiled=compiled,
        keep_raw=keep_raw,
        apply_mask=not no_mask,
        steady=steady or named.steady,
        drop_flying=no_flying or named.drop_flying,
    )


def camera_config(
    fps: float | None,
    size: str | None,
    seed: int,
    controls: list[str] | None = None,
    *,
    loop: bool,
    realtime: bool = True,
    depth_size: str | None = None,
    extras: bool = False,
) -> CameraConfig:
    """Return the options as settings.

    Raises:
        ConfigError: an option is not written as it should be, or out of its range.
    """
    from lingbot_live.config import CameraConfig

    width, height = parse_size(size)
    depth_width, depth_height = parse_size(depth_size, "--depth-size")
    settings = tuple(map(key_value, controls or ()))
    return CameraConfig(
        width, height, fps, depth_width, depth_height,
        loop=loop, realtime=realtime, extras=extras, seed=seed, controls=settings,
    )  # fmt: skip


def check_renderer(name: str) -> str:
    """Return the name of a renderer.

    Raises:
        ConfigError: there is none of this name.
    """
    from lingbot_live.config import RENDERERS

    if name not in RENDERERS:
        raise ConfigError(f"--renderer {name}: known are {', '.join(RENDERERS)}")
    return name


def parse_size(text: str | None, option: str = "--size") -> tuple[int | None, int | None]:
    """Read WIDTHxHEIGHT; both None without a text.

    Raises:
        ConfigError: it is not written so.
    """
    if text is None:
        return None, None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise ConfigError(f"{option} {text}: write WIDTHxHEIGHT, such as 640x480")
    return int(parts[0]), int(parts[1])


def parse_pixels(option: str, texts: list[str], frame: Frame) -> npt.NDArray[np.float32]:
    """Read ``u,v``, one or several apart by spaces, as (N, 2) pixels of a frame.

    Raises:
        ConfigError: it is not written so, or lies outside the picture.
    """
    import numpy as np

    height, width = frame.depth_raw.shape
    found = []
    for text in " ".join(texts).split():
        try:
            u, v = (float(part) for part in text.split(","))
        except ValueError:
            raise ConfigError(f"{option} {text}: write U,V, such as 320,240") from None
        if not (0 <= u <= width - 1 and 0 <= v <= height - 1):
            raise ConfigError(f"{option} {text}: lies outside the picture of {width}x{height}")
        found.append((u, v))
    return np.array(found, np.float32)


def numbered_frame(source: str, number: int) -> Frame:
    """Return one frame, from 0, of a recording, a folder or a camera.

    Raises:
        CameraError: it cannot be opened or read.
        ConfigError: it has fewer frames.
    """
    from itertools import islice

    from lingbot_live.cameras import registry
    from lingbot_live.cameras.readings import OFFLINE, every_frame

    with registry.create_camera(source, OFFLINE) as camera:
        for frame in islice(every_frame(camera), number, None):
            return frame
    raise ConfigError(f"{source}: has no frame {number}; the first is 0")


def find_in_rig(rig: Rig, source: str) -> RigCamera | None:
    """Return an input's camera in a rig, a recorded one by its own number or name; None if none.

    Raises:
        CameraError: the input cannot be opened.
    """
    from lingbot_live.cameras import registry
    from lingbot_live.cameras.places import split_target

    info = (registry.members(source) or [registry.find_camera(source)])[0]
    recorded = split_target(info.target)[1]
    return rig.find(source, info.serial) or rig.find(info.address) or rig.find(recorded)


def key_value(text: str) -> tuple[str, str]:
    """Read NAME=VALUE.

    Raises:
        ConfigError: it is not written so.
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ConfigError(f"--set {text}: write NAME=VALUE, such as color.exposure=200")
    return name.strip(), value.strip()


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar with the time left, on a terminal's stderr; nothing where it is not one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    console = Console(file=terminal())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(plain(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def interrupted() -> typer.Exit:
    """Say that the work was stopped and can go on; returns what to raise."""
    typer.echo("interrupted; the same command goes on from here", err=True)
    return typer.Exit(130)
