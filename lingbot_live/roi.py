"""A region of interest of an image."""

from __future__ import annotations

from dataclasses import dataclass

from lingbot_live.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Roi:
    """A region of interest: a centred part of the image, or a rectangle in pixels."""

    percent: float = 40.0  # of either side, as in the vendors' tools
    rectangle: tuple[int, int, int, int] | None = None  # left, top, width, height; wins

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100:
            raise ConfigError(f"region {self.percent:g}%: choose a part from 1% to 100%")
        if self.rectangle is not None and min(self.rectangle[2:]) < 1:
            raise ConfigError(f"region {self}: width and height must be positive")

    @classmethod
    def parse(cls, text: str) -> Roi:
        """Read ``40%`` or ``x,y,w,h``.

        Raises:
            ConfigError: it is neither.
        """
        try:
            if text.endswith("%"):
                return cls(percent=float(text[:-1]))
            left, top, width, height = (int(part) for part in text.split(","))
        except ValueError:
            raise ConfigError(f"region {text!r}: write 40% or x,y,width,height") from None
        return cls(rectangle=(left, top, width, height))

    def slices(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Return rows and columns in an image of this shape.

        Raises:
            ConfigError: the rectangle does not lie inside.
        """
        height, width = shape[:2]
        if self.rectangle is None:
            share = self.percent / 200
            ends = (0.5 - share, 0.5 + share)
            spans = [[int(n * end + 1e-9) for end in ends] for n in (height, width)]
            return slice(*spans[0]), slice(*spans[1])
        left, top, wide, high = self.rectangle
        if left < 0 or top < 0 or left + wide > width or top + high > height:
            raise ConfigError(f"region {self}: it does not lie inside {width}x{height}")
        return slice(top, top + high), slice(left, left + wide)

    def __str__(self) -> str:
        if self.rectangle is None:
            return f"{self.percent:g}%"
        return ",".join(map(str, self.rectangle))
