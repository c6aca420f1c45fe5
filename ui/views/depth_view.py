"""A pane of depth in colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from lingbot_live.colormap import DepthRange, colorize_rgb32
from lingbot_live.frame import DepthMap
from ui.shell import readout
from ui.shell.view_link import ViewLink
from ui.views.image_view import ImageView


class DepthView(ImageView):
    """An `ImageView` of depth: colours by a range and a colour scale, invalid pixels hatched."""

    def __init__(
        self,
        title: str,
        link: ViewLink | None = None,
        *,
        placeholder: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(title, link, placeholder=placeholder, parent=parent)
        self._depth_m: DepthMap | None = None
        self._range = DepthRange()
        self._colormap = "viridis"
        self._colored_step = 1  # every so many pixels of the depth have a colour
        self._pixels: npt.NDArray[np.uint32] | None = None  # the memory below the image

    def set_depth(self, depth_m: DepthMap | None) -> None:
        """Show (H, W) float32 metres, 0 = invalid; ``None`` brings the placeholder back.

        The array is kept, not copied, and must not change; it is coloured only when seen.
        """
        self._depth_m = depth_m
        self._image = None
        self._set_size(depth_m)

    def set_range(self, scale: DepthRange) -> None:
        """Set the depths of the two ends of the colours."""
        if scale != self._range:
            self._range = scale
            self._recolor()

    def set_colormap(self, name: str) -> None:
        """Set the colour scale, one of `lingbot_live.colormap.NAMES`."""
        if name != self._colormap:
            self._colormap = name
            self._recolor()

    @property
    def readout_text(self) -> str:
        """The set function's words, or the depth in metres if there is none."""
        pixel = self.cursor_pixel()
        if self._readout or pixel is None or self._depth_m is None:
            return super().readout_text
        value = float(self._depth_m[pixel[1], pixel[0]])
        return readout.metres(value if value > 0 else None)

    def _picture(self) -> QImage | None:
        if self._depth_m is None:
            return None
        step = self._step()
        if self._image is None or step != self._colored_step:
            self._colored_step = step
            depth_m = self._depth_m[::step, ::step]
            self._pixels = colorize_rgb32(depth_m, self._range, self._colormap, transparent=True)
            height, width = self._pixels.shape
            shape = QImage.Format.Format_ARGB32_Premultiplied
            self._image = QImage(self._pixels.data, width, height, 4 * width, shape)
        return self._image

    def _step(self) -> int:
        """Return every how many pixels one is coloured: no fewer than the screen shows."""
        width = self.image_rect().width() * self.devicePixelRatioF()
        return max(1, int(self.image_size[0] / max(width, 1))) if self.image_size else 1

    def _recolor(self) -> None:
        self._image = None
        self._redraw()
