"""Settings as frozen dataclasses, validated where they are made."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from lingbot_live.errors import ConfigError

PRECISIONS = ("auto", "fp16", "bf16", "fp32")
DEVICES = ("auto", "cpu", "cuda", "mps")
RENDERERS = ("auto", "gpu", "software")  # of the window's pictures
_STEADY, _NO_FLYING = "+steady", "+no-flying"


def cache_folder() -> Path:
    """Return where downloads and what can be made again are kept.

    That is ``LINGBOT_LIVE_CACHE``, or the system's cache folder.
    """
    chosen = os.environ.get("LINGBOT_LIVE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("lingbot-live", appauthor=False)


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """How a camera is opened; ``None`` leaves the choice to the driver."""

    width: int | None = None  # of colour, pixels
    height: int | None = None
    fps: float | None = None
    depth_width: int | None = None  # of the depth sensor, before it is aligned to colour
    depth_height: int | None = None
    loop: bool = True  # a recording begins again at its end
    realtime: bool = True  # a recording keeps its own pace; False delivers every frame
    hold: bool = False  # without loop: stay at the last frame, so that it can be steered back
    speed: float = 1.0  # of a recording
    start_s: float = 0.0  # where in a recording to begin
    extras: bool = False  # infrared and depth before alignment, where the camera has them
    seed: int = 0  # of simulated cameras
    controls: tuple[tuple[str, str], ...] = ()  # ([SCHEME:]NAME, value), set after every open

    def __post_init__(self) -> None:
        for name in ("width", "height", "fps", "depth_width", "depth_height"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 100_000:
                raise ConfigError(f"camera: {name} {value} must be positive")
        if not 0.1 <= self.speed <= 4.0:
            raise ConfigError(f"camera: speed {self.speed:g} must lie in 0.1 to 4")
        if not 0 <= self.start_s < float("inf"):
            raise ConfigError(f"camera: start {self.start_s:g} s must not be negative")
        for width, height in (
            (self.width, self.height), (self.depth_width, self.depth_height),
        ):  # fmt: skip
            if (width is None) != (height is None):
                raise ConfigError("camera: give both width and height, or neither")


_LOADED = attrgetter("name", "model", "precision", "device", "provider", "compiled")


@dataclass(frozen=True, slots=True)
class RefinerConfig:
    """Which refiner runs and how; ``model`` is what follows the colon in ``lingbot:MODEL``."""

    name: str = "auto"
    model: str = ""
    tokens: int | None = None
    level: int | None = None  # resolution level 0 to 9; tokens wins
    precision: str = "auto"  # fp16 on a GPU, fp32 on a CPU
    device: str = "auto"
    provider: str = ""  # of onnxruntime, for lingbot:FILE.onnx; empty for the fastest that is here
    compiled: bool = False  # the network by torch.compile
    keep_raw: bool = False  # blend: raw depth where it is valid
    apply_mask: bool = True  # pixels the refiner does not vouch for become invalid
    steady: bool = False  # results are steadied over time
    drop_flying: bool = False  # flying points are taken out of results

    def __post_init__(self) -> None:
        if self.tokens is not None and not 1 <= self.tokens <= 20_000:
            raise ConfigError(f"refiner: tokens {self.tokens} must lie in 1 to 20000")
        if self.level is not None and not 0 <= self.level <= 9:
            raise ConfigError(f"refiner: level {self.level} must lie in 0 to 9")
        if self.precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise ConfigError(f"refiner: precision {self.precision!r}; known: {known}")
        if self.device not in DEVICES:
            raise ConfigError(f"refiner: device {self.device!r}; known: {', '.join(DEVICES)}")

    def __str__(self) -> str:
        return f"{self.name}:{self.model}" if self.model else self.name

    def loads_like(self, other: RefinerConfig) -> bool:
        """Whether the same refiner is made for both, however fine it computes and what it shows."""
        return _LOADED(self) == _LOADED(other)

    @classmethod
    def parse(cls, text: str) -> RefinerConfig:
        """Read ``name`` or ``name:model``, with ``+steady`` and ``+no-flying`` after it, or not."""
        asked = set()
        while text.endswith((_STEADY, _NO_FLYING)):
            text, plus, word = text.rpartition("+")
            asked.add(plus + word)
        name, _, model = text.partition(":")
        return cls(name=name, model=model, steady=_STEADY in asked, drop_flying=_NO_FLYING in asked)


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Of a session as a whole."""

    read_timeout_s: float = 0.2  # how long one read may wait; bounds how fast stop is
    stall_after_s: float = 2.0  # without a frame for so long, a feed is shown as stalled
    hang_open_s: float = 20.0  # in a driver's open; longer is a hang until it returns
    hang_read_s: float = 10.0  # in its read, which is to take read_timeout_s
    reconnect_first_s: float = 0.5
    reconnect_most_s: float = 10.0
    reconnect_tries: int | None = None  # None: for ever
    refine_timeout_s: float = 60.0  # on one frame once all cameras ended; longer is a hang
    join_timeout_s: float = 10.0
    latency_window: int = 600  # samples kept for percentiles
    camera: CameraConfig = field(default_factory=CameraConfig)
