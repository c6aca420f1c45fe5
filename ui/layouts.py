"""What of the window is seen: arrangements, full screen, theme, kind of comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDockWidget

from ui import theme
from ui.compare_pictures import Mode

if TYPE_CHECKING:
    from ui.main_window import MainWindow


class Layouts:
    """Commands that change how the window looks and nothing else."""

    def __init__(self, window: MainWindow, cloud: QDockWidget, compare: QDockWidget) -> None:
        self._window = window
        self._cloud = cloud
        self._compare = compare
        self._panes = (True, True, True)

    def everything(self) -> None:
        """Pictures above, cloud and comparison below."""
        self._show(cloud=True, compare=True)
        half = max(240, self._window.height() * 2 // 5)
        self._window.resizeDocks([self._cloud], [half], Qt.Orientation.Vertical)
        both, wide = [self._cloud, self._compare], self._window.width() // 2
        self._window.resizeDocks(both, [wide, wide], Qt.Orientation.Horizontal)

    def pictures(self) -> None:
        """Colour, raw and refined only."""
        self._show(cloud=False, compare=False)

    def cloud_large(self) -> None:
        """A large cloud under small pictures."""
        self._show(cloud=True, compare=False)
        most = self._window.height() * 2 // 3
        self._window.resizeDocks([self._cloud], [most], Qt.Orientation.Vertical)

    def refined_large(self) -> None:
        """Refined depth alone."""
        self._show(cloud=False, compare=False, panes=(False, False, True))

    def apply_to_panels(self) -> None:
        """Give new panels the arrangement in force."""
        for panel in self._window.panels:
            for pane, visible in zip(panel.views, self._panes, strict=True):
                pane.setVisible(visible)

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

    def sweep(self) -> None:
        """Let the wipe move by itself, or follow the cross-hair again."""
        on = self._window.actions_["sweep"].isChecked()
        if on:
            self._show_mode(Mode.WIPE)
        self._window.compare.set_sweeping(on)

    def toggle_cloud(self) -> None:
        """Show or hide the point cloud."""
        self._cloud.setVisible(not self._cloud.isVisible())

    def toggle_quality(self) -> None:
        """Show or hide the numbers and plots."""
        dock = self._window.quality_dock
        dock.setVisible(not dock.isVisible())

    def toggle_controls(self) -> None:
        """Show or hide the settings of the selected camera."""
        dock = self._window.controls_dock
        dock.setVisible(not dock.isVisible())
        self._window.controls.follow()

    def toggle_full_screen(self) -> None:
        """Views only, with large numbers, for demos; again to come back."""
        window = self._window
        on = not window.isFullScreen()
        for part in (window.menuBar(), window.bar, window.record_bar, window.statusBar()):
            part.setVisible(not on)
        font = QApplication.font()
        if on:
            font.setPointSizeF(font.pointSizeF() * 1.8)
        for view in [*(view for panel in window.panels for view in panel.views), window.scale]:
            view.setFont(font)
        window.setWindowState(window.windowState() ^ Qt.WindowState.WindowFullScreen)

    def toggle_theme(self) -> None:
        """Change between the dark and the light look."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        name = "light" if self._window.actions_["theme"].isChecked() else "dark"
        theme.apply_theme(app, name)
        self._window.settings.set_text("theme", name)

    # ---- private ---------------------------------------------------------------------------

    def _show(
        self, *, cloud: bool, compare: bool, panes: tuple[bool, bool, bool] = (True, True, True)
    ) -> None:
        self._cloud.setVisible(cloud)
        self._compare.setVisible(compare)
        self._panes = panes
        self.apply_to_panels()

    def _show_mode(self, mode: Mode) -> None:
        self._compare.show()
        self._window.compare.set_mode(mode)
