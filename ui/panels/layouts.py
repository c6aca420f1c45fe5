"""What of the window is seen: arrangements, theme, kind of comparison."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QByteArray, QEvent, QObject, QRect, QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QMainWindow,
    QTabWidget,
)

from ui.controllers.rows import Rows
from ui.panels.compare_view import CompareView
from ui.shell import theme
from ui.shell.actions import Actions, Command
from ui.shell.bridge import FeedView
from ui.shell.language import tr
from ui.shell.settings import Settings
from ui.views.compare_pictures import Mode

_SIZE = QSize(1440, 900)
_TITLE_PX, _FRAME_PX = 32, 4  # of window managers, which tell no earlier than the window is shown
_VERSION = 3  # of the remembered arrangement; another one is not understood


@dataclass(frozen=True, slots=True)
class Docks:
    """The window's docks."""

    cloud: QDockWidget
    compare: QDockWidget
    quality: QDockWidget
    controls: QDockWidget
    sensor: QDockWidget

    def name(self, view: FeedView | None) -> None:
        """Say in the titles which camera is meant where only one is."""
        of = f"   {view.title}" if view is not None else ""
        self.compare.setWindowTitle(tr("Compare") + of)
        self.controls.setWindowTitle(tr("Camera settings") + of)
        self.sensor.setWindowTitle(tr("Infrared and motion") + of)


class Layouts(QObject):
    """Commands that change how the window looks and nothing else.

    Docks lie below one row of pictures, and right of several, which need the height. Where the
    user puts them is remembered for either.
    """

    def __init__(
        self,
        window: QMainWindow,
        settings: Settings,
        actions: Actions,
        rows: Rows,
        comparison: CompareView,
        docks: Docks,
    ) -> None:
        super().__init__(window)
        self._window, self._settings, self._actions = window, settings, actions
        self._rows, self._comparison, self._docks = rows, comparison, docks
        self._cloud, self._compare, self._quality = docks.cloud, docks.compare, docks.quality
        self.is_sweeping = False
        for key, dock in (("quality", docks.quality), ("controls", docks.controls),
                          ("cloud", docks.cloud), ("sensor", docks.sensor)):  # fmt: skip
            dock.visibilityChanged.connect(actions[key].setChecked)
        window.installEventFilter(self)
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self._put_aside()
        self._panes = (True, True, True)
        self._is_several = False  # rows are on the screen
        self._had_rows = False

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "layout_all": self.everything,
            "layout_images": self.pictures,
            "layout_cloud": self.cloud_large,
            "layout_refined": self.refined_large,
            "difference": self.difference,
            "wipe": self.wipe,
            "sweep": self.sweep,
            "blink": self.blink,
            "trust": self.trust,
            "change": self.change,
            "cloud": self.toggle_cloud,
            "controls": self.toggle_controls,
            "quality": self.toggle_quality,
            "sensor": self.toggle_sensor,
            "theme": self.toggle_theme,
            "reset_layout": self.reset,
        }

    def restore(self) -> None:
        """Bring back the window's place and the arrangement left the last time."""
        window = self._window
        geometry = self._settings.state("geometry")
        if geometry is None or not window.restoreGeometry(geometry):
            self._open_inside(window.screen().availableGeometry())
        if not self._recall():
            self.everything()
        mode = self._settings.text("compare")
        if mode in Mode.__members__:
            self._comparison.set_mode(Mode[mode])

    def _open_inside(self, room: QRect) -> None:
        """Take a usual size, all of a screen that is no larger; its frame counts too."""
        window = self._window
        inside = room.adjusted(0, 0, -2 * _FRAME_PX, -_TITLE_PX - _FRAME_PX).size()
        window.resize(_SIZE.boundedTo(inside))
        if window.size() != _SIZE:
            window.setWindowState(window.windowState() | Qt.WindowState.WindowMaximized)

    def remember(self) -> None:
        """Keep place and arrangement for the next time."""
        if not self._window.isFullScreen():
            self._settings.set_state("geometry", self._window.saveGeometry())
        self._settings.set_state(self._key, self._window.saveState(_VERSION))
        self._settings.set_text("compare", self._comparison.mode.name)

    def everything(self) -> None:
        """Pictures with the cloud and the comparison."""
        self._arrange()
        self._show(cloud=True, compare=True)
        self._share_out(2 / 5)

    def reset(self) -> None:
        """Put everything where it was on the first day."""
        for dock in self._window.findChildren(QDockWidget):
            dock.setFloating(False)
        self._put_aside()
        self._quality.hide()
        self.everything()

    def _put_aside(self) -> None:
        """Put what tells of one camera at the right, hidden, as two leaves of one place."""
        controls, sensor = self._docks.controls, self._docks.sensor
        for dock in (controls, sensor):
            self._window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        self._window.tabifyDockWidget(controls, sensor)
        for dock in (controls, sensor):
            dock.hide()

    @property
    def state(self) -> QByteArray:
        """The arrangement on the screen: which panes are seen, then Qt's own."""
        panes = "".join(str(int(shown)) for shown in self._panes)
        return QByteArray(panes.encode()) + self._window.saveState(_VERSION)

    def use(self, state: QByteArray) -> bool:
        """Arrange everything so; False where it is not understood."""
        panes = bytes(state.left(3).data()).decode("latin-1")
        if set(panes) - {"0", "1"} or not self._window.restoreState(state.mid(3), _VERSION):
            return False
        self._panes = (panes[0] == "1", panes[1] == "1", panes[2] == "1")
        self.apply_to_panels()
        return True

    def pictures(self) -> None:
        """Colour, raw and refined only."""
        self._show(cloud=False, compare=False)

    def cloud_large(self) -> None:
        """A large cloud beside small pictures."""
        self._show(cloud=True, compare=False)
        self._share_out(2 / 3)

    def refined_large(self) -> None:
        """Refined depth alone."""
        self._show(cloud=False, compare=False, panes=(False, False, True))

    def apply_to_panels(self) -> None:
        """Give new panels the arrangement in force, and change it where one row becomes several."""
        panels = self._rows.panels
        for panel in panels:
            for pane, visible in zip(panel.views, self._panes, strict=True):
                pane.setVisible(visible)
        if panels and (len(panels) > 1) != self._is_several:
            self._rearrange()
        self._had_rows |= bool(panels)

    def _rearrange(self) -> None:
        """Change to the arrangement of one row or of several, as it was left."""
        self.remember()
        self._is_several = not self._is_several
        shown = [(dock, dock.isHidden()) for dock in self._window.findChildren(QDockWidget)]
        if not self._recall():
            self._arrange()
            self._share_out(2 / 5)
        elif self._had_rows:  # what is open stays open where a camera comes or goes
            for dock, hidden in shown:
                dock.setHidden(hidden)

    def change(self) -> None:
        """Show which pixels were kept, changed and filled."""
        self._show_mode(Mode.CHANGE)

    def difference(self) -> None:
        """Show refined minus raw, or minus the truth where it is known."""
        self._show_mode(Mode.DIFFERENCE)

    def wipe(self) -> None:
        """Show raw depth left and refined depth right of the cross-hair."""
        self._show_mode(Mode.WIPE)

    def blink(self) -> None:
        """Show raw and refined depth in turn."""
        self._show_mode(Mode.BLINK)

    def trust(self) -> None:
        """Show how far each pixel of refined depth can be trusted."""
        self._show_mode(Mode.TRUST)

    def sweep(self) -> None:
        """Let the wipe move by itself, or follow the cross-hair again."""
        self.is_sweeping = not self.is_sweeping
        if self.is_sweeping:
            self._show_mode(Mode.WIPE)
        self._actions["sweep"].setChecked(self.is_sweeping)
        self._comparison.set_sweeping(self.is_sweeping)

    def toggle_cloud(self) -> None:
        """Show or hide the point cloud."""
        _toggle(self._cloud)

    def toggle_quality(self) -> None:
        """Show or hide the numbers and plots."""
        _toggle(self._quality)

    def toggle_controls(self) -> None:
        """Show or hide the settings of the selected camera."""
        _toggle(self._docks.controls)

    def toggle_sensor(self) -> None:
        """Show or hide infrared, depth before alignment and motion of the selected camera."""
        _toggle(self._docks.sensor)

    def toggle_theme(self) -> None:
        """Change between the dark and the light look."""
        name = "dark" if theme.current().name == "light" else "light"
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply_theme(app, name)
            self._actions.redraw()
        self._actions["theme"].setChecked(name == "light")
        self._settings.set_text("theme", name)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802, D102
        if event.type() == QEvent.Type.WindowActivate:  # a click into it raised it over them
            QTimer.singleShot(0, self, self._raise_floating)
        return False

    def _raise_floating(self) -> None:
        for dock in self._window.findChildren(QDockWidget):
            if dock.isFloating() and dock.isVisible():
                dock.raise_()

    # ---- private ---------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return "layout_several" if self._is_several else "layout"

    def _recall(self) -> bool:
        state = self._settings.state(self._key)
        return state is not None and self._window.restoreState(state, _VERSION)

    def _arrange(self) -> None:
        """Put the docks where they begin, without showing or hiding any."""
        window, area = self._window, Qt.DockWidgetArea
        side = area.RightDockWidgetArea if self._is_several else area.BottomDockWidgetArea
        along = Qt.Orientation.Vertical if self._is_several else Qt.Orientation.Horizontal
        docks = (self._compare, self._cloud) if self._is_several else (self._cloud, self._compare)
        shown = [dock.isHidden() for dock in docks]
        for dock in docks:
            window.addDockWidget(side, dock)
        window.splitDockWidget(*docks, along)
        window.addDockWidget(area.BottomDockWidgetArea, self._quality)
        for dock, hidden in zip(docks, shown, strict=True):
            dock.setHidden(hidden)

    def _share_out(self, share: float) -> None:
        """Give the docks a share of the window, halves of it to each."""
        window, both = self._window, [self._cloud, self._compare]
        across, along = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        if self._is_several:
            window.resizeDocks(both, [round(window.width() * share)] * 2, across)
            window.resizeDocks(both, [window.height() // 2] * 2, along)
        else:
            window.resizeDocks(both, [max(240, round(window.height() * share))] * 2, along)
            window.resizeDocks(both, [window.width() // 2] * 2, across)

    def _show(
        self, *, cloud: bool, compare: bool, panes: tuple[bool, bool, bool] = (True, True, True)
    ) -> None:
        self._cloud.setVisible(cloud)
        self._compare.setVisible(compare)
        self._panes = panes
        self.apply_to_panels()

    def _show_mode(self, mode: Mode) -> None:
        _show(self._compare)
        self._comparison.set_mode(mode)


def _toggle(dock: QDockWidget) -> None:
    """Hide a dock that is seen, else bring it to sight."""
    if dock.isVisible() and not dock.visibleRegion().isEmpty():  # not behind its neighbour
        dock.hide()
    else:
        _show(dock)


def _show(dock: QDockWidget) -> None:
    dock.show()
    dock.raise_()  # where others share its place
