"""A plot as this window has them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from ui.shell import theme


def plain_plot(owner: QWidget, pyqtgraph: Any) -> Any:
    """Return a plot without menu and buttons; pyqtgraph, slow to import, is the caller's."""
    plot = pyqtgraph.PlotWidget(background=theme.current().view, enableMenu=False)
    # It makes a menu all the same, which nobody owns.
    plot.getPlotItem().ctrlMenu.setParent(owner, Qt.WindowType.Popup)
    plot.hideButtons()
    above = plot.fontMetrics().height() // 2  # half of a number at the upright axis' end
    plot.getPlotItem().layout.setContentsMargins(1, above, 1, 1)
    return plot
