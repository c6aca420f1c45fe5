"""A small plot of a camera's inertial sensors; pyqtgraph is imported with the first one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from PySide6.QtWidgets import QVBoxLayout, QWidget

from lingbot_live.frame import ImuSample, Vector
from ui.shell import theme
from ui.shell.language import tr
from ui.shell.plots import plain_plot

_SPAN_S = 5.0
_MOST = 4000  # readings kept of each sensor
_COLORS = ("#e05050", "#50c050", "#6090ff")  # of x, y, z


class MotionPlot(QWidget):
    """Acceleration above, turning below, over the last seconds of the device's clock."""

    def __init__(self) -> None:
        super().__init__()
        import pyqtgraph

        look = theme.current()
        self._readings: tuple[deque[tuple[float, Vector]], ...] = (
            deque(maxlen=_MOST), deque(maxlen=_MOST),
        )  # fmt: skip
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.plots, self._lines = [], []
        for title in ("m/s²", "rad/s"):
            plot = plain_plot(self, pyqtgraph)
            plot.setMinimumSize(160, 64)
            plot.setMouseEnabled(x=False, y=False)
            plot.showGrid(x=False, y=True, alpha=0.2)
            plot.setLabel("left", title)
            plot.getAxis("left").setTextPen(look.dim)
            plot.getAxis("left").setWidth(48)
            plot.getAxis("bottom").setTextPen(look.dim)
            pens = [pyqtgraph.mkPen(color, width=1.5) for color in _COLORS]
            self._lines.append([plot.plot(pen=pen) for pen in pens])
            self.plots.append(plot)
            column.addWidget(plot)
        self.plots[1].setLabel("bottom", tr("seconds ago; x red, y green, z blue"))

    def add(self, samples: Iterable[ImuSample]) -> None:
        """Take readings as they came with a frame, and draw the last seconds."""
        for sample in samples:
            at_s = sample.device_timestamp_us / 1e6
            for kept, vector in zip(
                self._readings,
                (sample.acceleration_m_s2, sample.angular_velocity_rad_s),
                strict=True,
            ):
                if kept and kept[-1][0] > at_s:  # a recording began again
                    kept.clear()
                if vector is not None:
                    kept.append((at_s, vector))
        self._draw()

    def clear(self) -> None:
        """Forget all."""
        for kept in self._readings:
            kept.clear()
        self._draw()

    def _draw(self) -> None:
        newest_s = max((kept[-1][0] for kept in self._readings if kept), default=0.0)
        for kept, plot, lines in zip(self._readings, self.plots, self._lines, strict=True):
            while kept and kept[0][0] < newest_s - _SPAN_S:
                kept.popleft()
            times_s = np.array([at_s for at_s, _ in kept]) - newest_s
            values = np.array([vector for _, vector in kept]).reshape(-1, 3)
            for axis, line in enumerate(lines):
                line.setData(times_s, values[:, axis])
            plot.setXRange(-_SPAN_S, 0, padding=0)
