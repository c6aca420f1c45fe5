"""A number of every camera over time; imported once pyqtgraph is, which takes its time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from lingbot_live.quality.meter import QualitySnapshot
from lingbot_live.quality.metric import METRICS
from ui.panels.quality_table import values
from ui.shell import theme
from ui.shell.bridge import FeedView
from ui.shell.language import tr
from ui.shell.plots import plain_plot

PLOTTED = (
    "fill_share", "roi_fill_share", "plane_rms_mm", "temporal_noise_mm", "z_error_mm",
    "plane_distance_mm", "scale_ratio", "flying_share", "flicker_edge_mm", "rmse_m", "bias_m",
    "changed_median_mm",
)  # fmt: skip
_POINTS = 600  # five minutes at two a second
_LEAST_S, _SPAN_S = 10.0, 60.0  # of the time axis


class QualityPlot(QWidget):
    """Lines in the cameras' colours: dashed raw, solid refined; the last minute is in view."""

    def __init__(self, key: str) -> None:
        super().__init__()
        import pyqtgraph

        self._pg = pyqtgraph
        self._key = key
        self._times: dict[FeedView, deque[float]] = {}
        self._series: dict[tuple[FeedView, str], deque[tuple[float, float]]] = {}
        self._lines: dict[tuple[FeedView, bool], Any] = {}
        look = theme.current()
        self.plot = plain_plot(self, pyqtgraph)
        self.plot.setMinimumSize(160, 72)
        self.plot.showGrid(x=False, y=True, alpha=0.2)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setTextPen(look.dim)
        self.plot.setLabel("bottom", tr("seconds ago; refined solid, raw dashed"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plot)
        self.choose(key)

    def choose(self, key: str) -> None:
        """Show another number; what was measured of it before is there too."""
        self._key = key
        self.plot.setLabel("left", METRICS[key].unit)  # its name stands in the box above
        self._draw()

    def add(self, known: Mapping[FeedView, QualitySnapshot]) -> None:
        """Take new numbers and move on."""
        now_s = time.monotonic()
        for view, snapshot in known.items():
            self._times.setdefault(view, deque(maxlen=_POINTS)).append(now_s)
            for key in PLOTTED:
                series = self._series.setdefault((view, key), deque(maxlen=_POINTS))
                series.append(values(snapshot, key))
        for view in [view for view in self._times if view not in known]:
            self._forget(view)
        if self.isVisible():
            self._draw()

    def _draw(self) -> None:
        factor, now_s = METRICS[self._key].factor, time.monotonic()
        for view, times in self._times.items():
            ago_s = np.array(times) - now_s
            raw_refined = factor * np.array(self._series[view, self._key])
            for column, is_refined in enumerate((False, True)):
                line = self._line(view, is_refined)
                line.setData(ago_s, raw_refined[:, column], connect="finite")
        oldest_s = max((now_s - times[0] for times in self._times.values()), default=0.0)
        self.plot.setXRange(-min(max(oldest_s, _LEAST_S), _SPAN_S), 0, padding=0)

    def _line(self, view: FeedView, is_refined: bool) -> Any:
        if (view, is_refined) not in self._lines:
            style = Qt.PenStyle.SolidLine if is_refined else Qt.PenStyle.DashLine
            pen = self._pg.mkPen(theme.camera_color(view.number), width=2, style=style)
            self._lines[view, is_refined] = self.plot.plot(pen=pen)
        return self._lines[view, is_refined]

    def _forget(self, view: FeedView) -> None:
        del self._times[view]
        for key in PLOTTED:
            del self._series[view, key]
        for is_refined in (False, True):
            line = self._lines.pop((view, is_refined), None)
            if line is not None:
                self.plot.removeItem(line)
