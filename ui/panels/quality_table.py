"""The numbers of all cameras, raw next to refined."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from lingbot_live.quality.measures import NAN
from lingbot_live.quality.meter import QualitySnapshot
from lingbot_live.quality.metric import METRICS
from ui.shell import theme
from ui.shell.bridge import FeedView
from ui.shell.language import told, tr

_IMAGE = (
    "fill_share", "roi_fill_share", "plane_distance_mm", "plane_tilt_deg", "plane_rms_mm",
    "plane_inlier_share", "subpixel_rms_px", "z_error_mm", "z_error_percent", "temporal_noise_mm",
    "flicker_mm", "flicker_edge_mm", "flying_share",
)  # fmt: skip
_REFERENCE = ("bias_m", "rmse_m", "rmse_all_m", "fattening_px")  # only where the truth is known
_CHANGE = (
    "kept_share", "changed_share", "changed_median_mm", "filled_share", "removed_share",
    "scale_ratio", "refine_ms",
)  # fmt: skip
ROWS = (*_IMAGE, *_REFERENCE, *_CHANGE)


class QualityTable(QTableWidget):
    """A row per number, two columns per camera; what has no value says n/a."""

    def __init__(self) -> None:
        super().__init__(len(ROWS), 0)
        self._views: list[FeedView] = []
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setMinimumSize(240, 72)
        for row, key in enumerate(ROWS):
            metric = METRICS[key]
            unit = f", {metric.unit}" if metric.unit else ""
            item = QTableWidgetItem(f"{told(metric.title)}{unit}")
            item.setToolTip(told(metric.meaning))
            self.setVerticalHeaderItem(row, item)
        height = self.fontMetrics().height() + 4
        self.verticalHeader().setDefaultSectionSize(height)
        self.verticalHeader().setMinimumSectionSize(height)
        self.verticalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignVCenter)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setMinimumSectionSize(64)

    def show_numbers(
        self, known: Mapping[FeedView, QualitySnapshot], regions: Mapping[FeedView, str]
    ) -> None:
        """Show these cameras' numbers; ``regions`` says what was measured of each."""
        if list(known) != self._views:
            self._make_columns(list(known))
        for number, (view, snapshot) in enumerate(known.items()):
            self._head(2 * number, tr("{number}  raw", number=view.number + 1), view, regions[view])
            self._head(
                2 * number + 1, tr("{number}  refined", number=view.number + 1), view, regions[view]
            )
            for row, key in enumerate(ROWS):
                raw, refined = (METRICS[key].shown(value) for value in values(snapshot, key))
                self._set(row, 2 * number, "" if key in _CHANGE else raw)
                self._set(row, 2 * number + 1, refined)
        has_truth = any("rmse_m" in snapshot.raw for snapshot in known.values())
        for key in _REFERENCE:
            self.setRowHidden(ROWS.index(key), not has_truth)

    def _make_columns(self, views: list[FeedView]) -> None:
        self._views = views
        self.setColumnCount(2 * len(views))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for column in range(self.columnCount()):
            for row in range(self.rowCount()):
                item = QTableWidgetItem()
                item.setTextAlignment(right)
                self.setItem(row, column, item)

    def _set(self, row: int, column: int, text: str) -> None:
        item = self.item(row, column)
        if item is not None and item.text() != text:
            item.setText(text)

    def _head(self, column: int, text: str, view: FeedView, region: str) -> None:
        item = self.horizontalHeaderItem(column) or QTableWidgetItem()
        item.setText(text)
        item.setToolTip(tr("{title}, region {region}", title=view.title, region=region))
        item.setForeground(theme.camera_color(view.number))
        if self.horizontalHeaderItem(column) is None:
            self.setHorizontalHeaderItem(column, item)


def values(snapshot: QualitySnapshot, key: str) -> tuple[float, float]:
    """Return a number of raw and of refined depth; nan where there is none."""
    if key in _CHANGE:
        return NAN, (snapshot.change or {}).get(key, NAN)
    return snapshot.raw.get(key, NAN), (snapshot.refined or {}).get(key, NAN)
