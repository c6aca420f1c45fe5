"""Choose stream profiles from what a device lists."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lingbot_live.camera import StreamProfile
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
    """Return the colour and the depth profile for ``config``, or the nearest to the defaults.

    ``color_size`` and ``fps`` hold where ``config`` leaves the choice; depth has the size of
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
    asked_size = None if config.width is None else (config.width, config.height or 0)
    color = _nearest(
        colors, asked_size or color_size, config.fps or fps, rate_first=asked_size is None
    )
    if (asked_size or _size(color)) != _size(color) or (config.fps or color.fps) != color.fps:
        asked = f"{config.width}x{config.height}" if asked_size else "colour"
        rate = f" at {config.fps:g} fps" if config.fps else ""
        raise ConfigError(f"{who}: {asked}{rate} is not offered; the nearest is {_text(color)}")
    return color, _nearest(depths, depth_size or _size(color), color.fps, rate_first=True)


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
