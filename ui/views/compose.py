"""Pictures as they stand on the screen, made on any thread; the main thread only copies them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter

from lingbot_live.colormap import DepthRange, colorize_rgb32
from lingbot_live.frame import ColorImage, DepthMap, RawDepth
from ui.shell import theme

# (H, W, 3) RGB, or (H, W, 4) premultiplied BGRA, where 0 is nothing of any colour
Bytes: TypeAlias = npt.NDArray[np.uint8]


class Source(Protocol):
    """What a pane shows, before it has colours and a place."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""

    def pixels(self, step: int) -> Bytes:
        """Return the picture; where it may skip pixels, every ``step``-th of a row and column."""


@dataclass(frozen=True, slots=True, eq=False)
class Colors:
    """A colour picture, (H, W, 3) uint8 RGB. The array must not change."""

    rgb: ColorImage

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def pixels(self, step: int) -> Bytes:
        """Return all pixels: a shrunk picture is the mean of them."""
        return np.ascontiguousarray(self.rgb)


@dataclass(frozen=True, slots=True, eq=False)
class Depths:
    """Depth, (H, W) float32 metres or uint16 of the sensor, 0 = invalid, and its colours.

    ``unit_m`` is how many metres the sensor's unit is. The array must not change.
    """

    depth: DepthMap | RawDepth
    scale: DepthRange
    colormap: str
    unit_m: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.depth.shape[1], self.depth.shape[0]

    def depth_m(self, step: int = 1) -> DepthMap:
        """Return metres of every ``step``-th pixel of a row and column, float32."""
        part = self.depth[::step, ::step]
        if part.dtype == np.float32:
            return np.asarray(part, np.float32)
        return np.multiply(part, np.float32(self.unit_m), dtype=np.float32)

    def pixels(self, step: int) -> Bytes:
        """Return the colours of every ``step``-th pixel."""
        depth_m = self.depth_m(step)
        return _bytes(colorize_rgb32(depth_m, self.scale, self.colormap, transparent=True))


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A picture that has its colours, (H, W) premultiplied ARGB. The array must not change."""

    argb: npt.NDArray[np.uint32]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.argb.shape[1], self.argb.shape[0]

    def pixels(self, step: int) -> Bytes:
        """Return all pixels."""
        return _bytes(np.ascontiguousarray(self.argb))


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a picture stands in its pane, pixels of the screen."""

    width: int  # of the pane
    height: int
    ratio: float  # pixels of the screen per pixel of Qt
    image: tuple[float, float, float, float]  # left, top, width, height of the whole picture
    ground: str  # colour beside the picture


def compose(source: Source, plan: Plan) -> QImage:
    """Return the pane's picture, to be drawn at its top left corner without scaling.

    Shrunk pictures are averaged, magnified pixels keep their edges; a hatch lies below pixels
    that are nothing. May be called on any thread.
    """
    shown = source.pixels(step(source, plan))
    canvas = hatched(plan).copy() if shown.shape[2] == 4 else _ground(plan)
    if plan.image[2] >= 1 and plan.image[3] >= 1:
        part, left, top = (_magnified if plan.image[2] >= shown.shape[1] else _shrunk)(shown, plan)
        if part.size:
            _put(part, left, top, canvas)
    canvas.setDevicePixelRatio(plan.ratio)
    return canvas


def step(source: Source, plan: Plan) -> int:
    """Return which pixels of a shrunk picture count: every so many of a row and column."""
    return max(1, int(source.size[0] / max(plan.image[2], 1)))


def edges(plan: Plan) -> tuple[int, int, int, int]:
    """Return what of its pane a magnified picture covers: left, top, right and bottom, pixels."""
    x, y, width, height = plan.image
    left, right = (max(0, min(plan.width, round(at))) for at in (x, x + width))
    top, bottom = (max(0, min(plan.height, round(at))) for at in (y, y + height))
    return left, top, right, bottom


def _magnified(shown: Bytes, plan: Plan) -> tuple[Bytes, int, int]:
    """Return what of the picture is inside the pane, every pixel of it sharp, and its place."""
    x, y, width, height = plan.image
    left, top, right, bottom = edges(plan)
    if right <= left or bottom <= top:
        return shown[:0], 0, 0
    across, down = shown.shape[1] / width, shown.shape[0] / height
    back = np.array(
        [[across, 0, (left + 0.5 - x) * across - 0.5], [0, down, (top + 0.5 - y) * down - 0.5]]
    )
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    size = (right - left, bottom - top)
    part = cv2.warpAffine(shown, back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return part, left, top


def _shrunk(shown: Bytes, plan: Plan) -> tuple[Bytes, int, int]:
    x, y, width, height = (round(at) for at in plan.image)
    part = shown
    # Bilinear sampling would skip pixels below half the size; means of four come at a fifth of the
    # cost of means over any area.
    while 2 * width <= part.shape[1] and 2 * height <= part.shape[0]:
        half = part.shape[1] // 2, part.shape[0] // 2
        part = cv2.resize(part, half, interpolation=cv2.INTER_AREA)
    size = max(width, 1), max(height, 1)
    part = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    left, top = max(x, 0), max(y, 0)
    inside = part[top - y : plan.height - y, left - x : plan.width - x]
    return inside, left, top


def _put(part: Bytes, left: int, top: int, canvas: QImage) -> None:
    """Lay a picture over the ground."""
    height, width, channels = part.shape
    if channels == 3:
        part = cv2.cvtColor(part, cv2.COLOR_RGB2BGRA)
    part = np.ascontiguousarray(part)
    form = QImage.Format
    how = form.Format_RGB32 if channels == 3 else form.Format_ARGB32_Premultiplied
    painter = QPainter(canvas)
    painter.drawImage(left, top, QImage(part.data, width, height, 4 * width, how))
    painter.end()


def _ground(plan: Plan) -> QImage:
    canvas = QImage(max(plan.width, 1), max(plan.height, 1), QImage.Format.Format_RGB32)
    canvas.fill(QColor(plan.ground))
    return canvas


@functools.lru_cache(maxsize=8)  # megabytes each; two panes of four cameras
def hatched(plan: Plan) -> QImage:
    """Return what lies below a depth picture; the same for as long as nothing moves."""
    canvas = _ground(plan)
    painter = QPainter(canvas)
    painter.scale(plan.ratio, plan.ratio)
    painter.fillRect(QRectF(*(at / plan.ratio for at in plan.image)), theme.invalid_brush())
    painter.end()
    return canvas


def _bytes(argb: npt.NDArray[np.uint32]) -> Bytes:
    return argb.view(np.uint8).reshape(*argb.shape, 4)
