"""A pane of depth in colours."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from lingbot_live.colormap import DepthRange
from lingbot_live.frame import DepthMap, RawDepth
from ui.shell import readout
from ui.shell.view_link import ViewLink
from ui.views.compose import Depths
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
        self._range = DepthRange()
        self._colormap = "viridis"
        self._on_recolor: Callable[[], None] | None = None

    def set_depth(self, depth_m: DepthMap | None) -> None:
        """Show (H, W) float32 metres, 0 = invalid; ``None`` brings the placeholder back.

        The array is kept, not copied, and must not change; it is coloured only when seen.
        """
        self._set_source(None if depth_m is None else self.source(depth_m))

    def set_on_recolor(self, call: Callable[[], None]) -> None:
        """Have other colours made by whoever makes the pictures, instead of here and now."""
        self._on_recolor = call

    def source(self, depth: DepthMap | RawDepth, unit_m: float = 1.0) -> Depths:
        """Return depth, as for `Depths`, in the colours of this view."""
        return Depths(depth, self._range, self._colormap, unit_m)

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
        if self._readout or pixel is None or not isinstance(self._source, Depths):
            return super().readout_text
        value = float(self._source.depth_m()[pixel[1], pixel[0]])
        return readout.metres(value if value > 0 else None)

    def _recolor(self) -> None:
        if self._on_recolor is not None:
            self._on_recolor()
        elif isinstance(self._source, Depths):
            self._set_source(self.source(self._source.depth, self._source.unit_m))
