"""The dock of live quality numbers: a table and a plot over time, raw next to refined."""

from __future__ import annotations

import importlib
import logging

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from lingbot_live.quality.meter import MeterSettings, QualitySnapshot
from lingbot_live.quality.metric import METRICS
from ui.controllers.regions import Regions
from ui.controllers.rows import Rows
from ui.panels.quality_plot import PLOTTED, QualityPlot
from ui.panels.quality_table import QualityTable
from ui.panels.quality_work import Measured, Meters, Sample
from ui.shell import theme
from ui.shell.background import Background
from ui.shell.bridge import FeedView, Tasks
from ui.shell.flow import FlowBar, together
from ui.shell.language import phrase, told, tr

log = logging.getLogger(__name__)
_PERCENTS = (20, 40, 60, 80, 100)  # of either side; 40 is the vendors' default
_DRAWN = phrase("drawn")
_BESIDE_PX = 560  # the least width for table and plot side by side
_TICKS = 2  # of the window's status between two measurements, so twice a second


class QualityPanel(QWidget):
    """Numbers and plots per camera, measured beside the main thread while the panel is seen."""

    def __init__(self, rows: Rows, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows, self._tasks = rows, tasks
        self.regions = Regions(rows)
        self._meters = Meters()
        self._work = Background("quality", self._measure, self, yields=True)
        self._work.done.connect(self._show)
        self._work.failed.connect(self._say)
        self._measured: Measured | None = None
        self._ticks = 0
        self.plot: QualityPlot | None = None
        self._make_parts()
        self._lay_out()
        self.regions.changed.connect(self._on_region)
        rows.link.drawingChanged.connect(
            lambda: self.draw_button.setChecked(rows.link.draws_for(""))
        )

    # ---- for the window ----------------------------------------------------------------------

    def on_tick(self) -> None:
        """Measure what the cameras show, twice a second and only while the panel is seen."""
        self._ticks += 1
        if self.isVisible() and self._ticks % _TICKS == 0:
            samples = {
                panel.view.number: sample
                for panel in self._rows.panels
                if (sample := self._sample(panel.view)) is not None
            }
            if samples:
                self._work.submit(samples)

    def stats(self) -> dict[str, float]:
        """Return what measuring costs: ``cost_ms`` a round, ``core_share`` of one core."""
        measured = self._measured
        if measured is None:
            return {"cost_ms": 0.0, "core_share": 0.0, "cameras": 0}
        return {
            "cost_ms": round(measured.cost_ms, 3),
            "core_share": round(measured.core_share, 4),
            "cameras": len(measured.snapshots),
        }

    def stop(self) -> None:
        """End the thread; safe more than once."""
        self._work.stop()

    # ---- parts -------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.region_box = QComboBox()
        self.region_box.addItems([f"{percent}%" for percent in _PERCENTS])
        self.region_box.setCurrentText("40%")
        self.region_box.setToolTip(
            tr("The part of every picture that is measured, from its middle")
        )
        self.region_box.activated.connect(self._on_percent)
        self.draw_button = QToolButton()
        self.draw_button.setText(tr("Draw"))
        self.draw_button.setCheckable(True)
        self.draw_button.setToolTip(
            tr("Draw the region with the mouse, in any picture of a camera")
        )
        self.draw_button.toggled.connect(self._rows.link.set_drawing)
        self.distance_box = QDoubleSpinBox()
        self.distance_box.setRange(0.0, 20.0)
        self.distance_box.setDecimals(3)
        self.distance_box.setSingleStep(0.01)
        self.distance_box.setSuffix(" m")
        self.distance_box.setSpecialValueText(tr("unknown"))
        self.distance_box.setToolTip(tr("The true distance of the target, for the Z accuracy"))
        self.plot_box = QComboBox()
        for key in PLOTTED:
            self.plot_box.addItem(told(METRICS[key].title), key)
        self.plot_box.setToolTip(tr("What the plot shows over time"))
        self.plot_box.currentIndexChanged.connect(self._on_plotted)
        self.warning = QLabel()
        self.warning.setWordWrap(True)
        self.warning.setContentsMargins(theme.GRID_PX, 0, theme.GRID_PX, theme.GRID_PX // 2)
        self.warning.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.warning.setStyleSheet(f"color: {theme.current().warning}")
        self.warning.hide()
        self.cost = QLabel(tr("not measured yet"))
        self.cost.setEnabled(False)
        self.table = QualityTable()

    def _lay_out(self) -> None:
        self.cost.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        bar = FlowBar(
            together(QLabel(tr("Region")), self.region_box), self.draw_button,
            together(QLabel(tr("True distance")), self.distance_box), self.plot_box, self.cost,
            filler=self.cost,
        )  # fmt: skip
        self._body = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._body.setSpacing(0)
        self._body.addWidget(self.table, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addWidget(self.warning)
        column.addLayout(self._body, 1)

    def sizeHint(self) -> QSize:  # noqa: N802, D102
        return QSize(640, 320)

    # ---- what happens ------------------------------------------------------------------------

    def _measure(self, samples: object) -> Measured:
        assert isinstance(samples, dict)
        return self._meters.measure(samples)

    def _sample(self, view: FeedView) -> Sample | None:
        frame = view.frame if view.refined is None else view.refined.frame
        if frame is None:
            return None
        height, width = frame.depth_raw.shape
        settings = MeterSettings(
            roi=self.regions.roi(view, width, height),
            distance_m=self.distance_box.value() or None,
            period_s=0.1,
        )
        return Sample(view.refined or frame, settings)

    def _show(self, measured: object) -> None:
        assert isinstance(measured, Measured)
        self._measured = measured
        self.cost.setText(
            tr(
                "{cost_ms:3.0f} ms · {core_share:.0%} of a core",
                cost_ms=measured.cost_ms,
                core_share=measured.core_share,
            )
        )
        views = {panel.view.number: panel.view for panel in self._rows.panels}
        known = {views[n]: snap for n, snap in measured.snapshots.items() if n in views}
        self.table.show_numbers(known, {view: self.regions.text(view) for view in known})
        self._say("\n".join(_warnings(known)))
        if self.plot is not None:
            self.plot.add(known)

    def _say(self, text: str) -> None:
        self.warning.setText(told(text))
        self.warning.setVisible(bool(text))

    def _on_percent(self) -> None:
        text = self.region_box.currentText()
        if text != tr(_DRAWN):
            self.regions.set_percent(float(text.rstrip("%")))

    def _on_region(self) -> None:
        """Show whether any region is drawn, in the box of percentages."""
        drawn = any(self.regions.text(panel.view) == tr(_DRAWN) for panel in self._rows.panels)
        at = self.region_box.findText(tr(_DRAWN))
        if drawn and at < 0:
            self.region_box.addItem(tr(_DRAWN))
        elif not drawn and at >= 0:
            self.region_box.removeItem(at)
        self.region_box.setCurrentText(tr(_DRAWN) if drawn else f"{self.regions.percent:g}%")

    def _on_plotted(self) -> None:
        if self.plot is not None:
            self.plot.choose(str(self.plot_box.currentData()))

    # ---- Qt ----------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802, D102
        self.regions.set_shown(True)
        if self.plot is None:  # on a thread, because it takes a third of a second
            self._tasks.run(
                "loading the plots",
                lambda: importlib.import_module("pyqtgraph"),
                lambda _: self._add_plot(),
                lambda error: self._say(tr("no plots: {error}", error=told(str(error)))),
            )

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802, D102
        self.regions.set_shown(False)
        self._rows.link.set_drawing(False)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802, D102
        wide = self.width() > max(_BESIDE_PX, 1.4 * self.height())
        direction = QBoxLayout.Direction
        self._body.setDirection(direction.LeftToRight if wide else direction.TopToBottom)

    def _add_plot(self) -> None:
        if self.plot is None:
            self.plot = QualityPlot(str(self.plot_box.currentData()))
            self._body.addWidget(self.plot, 1)


def _warnings(known: dict[FeedView, QualitySnapshot]) -> list[str]:
    return [f"{view.title}: {told(text)}" for view, snap in known.items() for text in snap.warnings]
