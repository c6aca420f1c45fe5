"""Choose stream profiles from what a device lists."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lingbot_live.cameras.base import StreamProfile
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraError, ConfigError

Size = tuple[int, int]


def choose(
    who: str,
    offered: Iterable[StreamProfile],
    config: CameraConfig,
    color_size: Size = (640, 480),
    depth_size: Size | None = None,
    fps: float = 30,
) -> tuple[StreamProfile, StreamProfile]:
    """Return the colour and the depth profile that ``config`` asks for.

    What it leaves open is chosen nearest to ``color_size`` and ``fps``; depth has the size of
    colour unless ``depth_size`` is given. Among equal ones the first offered wins.

    Raises:
        CameraError: the device has no colour or no depth.
        ConfigError: the asked size or rate is not offered; names the nearest.
    """
    profiles = list(offered)
    colors = [p for p in profiles if p.stream == "color"]
    depths = [p for p in profiles if p.stream == "depth"]
    for name, found in (("colour", colors), ("depth", depths)):
        if not found:
            raise CameraError(f"{who}: it has no {name} stream; a camera with both is needed")
    shared = {p.fps for p in colors} & {p.fps for p in depths}
    colors = [p for p in colors if p.fps in shared] or colors
    asked = None if config.width is None else (config.width, config.height or 0)
    color = _nearest(colors, asked or color_size, config.fps or fps, rate_first=asked is None)
    _check(who, "colour", color, asked, config.fps)
    asked = None if config.depth_width is None else (config.depth_width, config.depth_height or 0)
    depth = _nearest(
        depths, asked or depth_size or _size(color), color.fps, rate_first=asked is None
    )
    _check(who, "depth", depth, asked, color.fps if asked else None)
    return color, depth


def _check(
    who: str, stream: str, found: StreamProfile, size: Size | None, fps: float | None
) -> None:
    if (size or _size(found)) != _size(found) or (fps or found.fps) != found.fps:
        asked = f"{stream} {size[0]}x{size[1]}" if size else stream
        rate = f" at {fps:g} fps" if fps else ""
        raise ConfigError(
            f"{who}: {asked}{rate} is not offered; the nearest is {_text(found)}. "
            "`lingbot-live devices --profiles` lists all"
        )


def _nearest(
    profiles: list[StreamProfile], size: Size, fps: float, *, rate_first: bool
) -> StreamProfile:
    def distance(profile: StreamProfile) -> tuple[float, float]:
        off_size = abs(math.log(profile.width / size[0])) + abs(math.log(profile.height / size[1]))
        off_rate = abs(profile.fps - fps)
        return (off_rate, off_size) if rate_first else (off_size, off_rate)

    return min(profiles, key=distance)


def _size(profile: StreamProfile) -> Size:
    return profile.width, profile.height


def _text(profile: StreamProfile) -> str:
    return f"{profile.width}x{profile.height} at {profile.fps:g} fps"
