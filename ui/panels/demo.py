"""The window for an audience: full screen, views only, letters to be read from three metres."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QDockWidget, QMainWindow, QToolBar, QWidget

from ui.controllers.rows import Rows
from ui.panels.compare_view import CompareView
from ui.panels.layouts import Layouts
from ui.shell.actions import Actions
from ui.shell.notice import Notice
from ui.views.compare_pictures import Mode
from ui.views.depth_scale import DepthScale

_UNBOUND_PX = 16_777_215  # Qt's QWIDGETSIZE_MAX
_LEGEND, _LABELS = 1 / 26, 1 / 40  # of the window's height: a line of the legend, of the labels


class Demo:
    """Goes to full screen and back; tool bars, menus and titles are hidden meanwhile."""

    def __init__(
        self,
        window: QMainWindow,
        actions: Actions,
        rows: Rows,
        comparison: CompareView,
        scale: DepthScale,
        layouts: Layouts,
        bars: Sequence[QWidget],
    ) -> None:
        self._window, self._actions, self._rows = window, actions, rows
        self._comparison, self._scale, self._layouts = comparison, scale, layouts
        self._bars = bars  # of panes, hidden with the chrome
        self._hidden: list[QWidget] = []  # to be shown again
        self._is_on = False
        self._mode = comparison.mode  # before the demo
        self._escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), window)
        self._escape.activated.connect(self.leave)
        self._escape.setEnabled(False)

    def toggle(self) -> None:
        """Begin, or end."""
        if self._is_on:
            self.leave()
        else:
            self._enter()

    def leave(self) -> None:
        """Come back to the window as it was; nothing happens outside a demo."""
        if self._is_on:
            self._window.setWindowState(
                self._window.windowState() & ~Qt.WindowState.WindowFullScreen
            )
            self._switch(False)

    def apply_to_panels(self) -> None:
        """Give new rows the letters in force."""
        for banner in self._window.findChildren(Notice):
            banner.setMaximumHeight(0 if self._is_on else _UNBOUND_PX)  # read afterwards
        if self._is_on:
            self._set_fonts()

    # ---- private -----------------------------------------------------------------------------

    def _sweep(self, on: bool) -> None:
        """Show the wipe and have it sweep, whatever was compared before and will be again."""
        comparison = self._comparison
        if on:
            self._mode = comparison.mode
            comparison.set_mode(Mode.WIPE)
        else:
            comparison.set_mode(self._mode)
        comparison.set_sweeping(on or self._layouts.is_sweeping)
        comparison.legend.setWordWrap(on)

    def _enter(self) -> None:
        self._window.setWindowState(self._window.windowState() | Qt.WindowState.WindowFullScreen)
        self._switch(True)

    def _switch(self, on: bool) -> None:
        window = self._window
        self._is_on = on
        self._escape.setEnabled(on)
        self._actions["end_measuring"].setEnabled(not on)  # it has the same key
        if on:
            chrome = [
                window.menuBar(), window.statusBar(), *window.findChildren(QToolBar),
                self._comparison.controls, *self._scale.controls, *self._bars,
            ]  # fmt: skip
            self._hidden = [part for part in chrome if not part.isHidden()]
        for part in self._hidden:
            part.setHidden(on)
        for dock in window.findChildren(QDockWidget):
            # None stands for Qt's own title; the stubs do not know.
            dock.setTitleBarWidget(QWidget(dock) if on else None)  # type: ignore[arg-type]
        self._sweep(on)
        self.apply_to_panels()
        self._set_fonts()

    def _set_fonts(self) -> None:
        labels, legend = self._font(_LABELS), self._font(_LEGEND)
        for panel in self._rows.panels:
            for view in panel.views:
                view.setFont(labels)
        # Under a style sheet, letters do not go from a widget to those inside it.
        for part in (self._comparison, *self._comparison.findChildren(QWidget)):
            part.setFont(labels)
        for part in (*self._scale.findChildren(QWidget), self._scale):
            part.setFont(legend)

    def _font(self, share: float) -> QFont:
        font = QApplication.font()
        screen = self._window.screen()
        if self._is_on and screen is not None:
            font.setPixelSize(max(16, round(screen.geometry().height() * share)))
        return font
