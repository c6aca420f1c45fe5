"""The cloud's own menu: how points are drawn, what is drawn besides, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from ui.cloud.scene import FRONT, SIDE, TOP, Guide
from ui.shell.actions import ACTIONS
from ui.shell.language import phrase, tr

GUIDES = {  # by the keys of `Actions`
    "cloud_axes": (phrase("Axes"), Guide.AXES),
    "cloud_grid": (phrase("Ground grid"), Guide.GRID),
    "cloud_frustum": (phrase("Camera frustums"), Guide.FRUSTUM),
}
VIEWPOINTS = {
    "cloud_front": (phrase("From the front"), FRONT),
    "cloud_top": (phrase("From above"), TOP),
    "cloud_side": (phrase("From the side"), SIDE),
}


_TIPS = {info.key: info.tip for info in ACTIONS if info.key in VIEWPOINTS}


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the menu says."""

    point_size_px: int
    stride: int
    guides: frozenset[Guide]
    is_flat: bool


class CloudMenu(QMenu):
    """``chosen`` is sent when what is drawn changes, ``viewed`` with a viewpoint's `Orbit`."""

    chosen = Signal()
    viewed = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.sizes = self._radio(tr("Point size"), {f"{n} px": n for n in (1, 2, 3, 4, 6)}, 2)
        strides = {
            tr("all pixels"): 1,
            tr("1 pixel in 4"): 2,
            tr("1 pixel in 9"): 3,
            tr("1 pixel in 16"): 4,
        }
        self.strides = self._radio(tr("Points"), strides, 1)
        self.addSeparator()
        for key, (text, orbit) in VIEWPOINTS.items():
            action = self.addAction(tr(text), partial(self.viewed.emit, orbit))
            action.setToolTip(tr(_TIPS[key]))
        self.setToolTipsVisible(True)
        self.flat = self._switch(tr("Orthographic"))
        self.addSeparator()
        self.guides = {key: self._switch(tr(text)) for key, (text, _) in GUIDES.items()}
        self.addSeparator()
        self.orbit = self.addAction(tr("Auto-orbit"))
        self.orbit.setCheckable(True)

    @property
    def drawing(self) -> Drawing:
        """What is chosen now."""
        return Drawing(
            self.sizes.checkedAction().data(),
            self.strides.checkedAction().data(),
            frozenset(GUIDES[key][1] for key, action in self.guides.items() if action.isChecked()),
            self.flat.isChecked(),
        )

    def choose(self, *, point_size_px: int, stride: int) -> None:
        """Check these; sends nothing."""
        for group, value in ((self.strides, stride), (self.sizes, point_size_px)):
            next(a for a in group.actions() if a.data() == value).setChecked(True)

    @property
    def switches(self) -> dict[str, QAction]:
        """What is on or off, by the keys of `Actions`."""
        return {**self.guides, "cloud_flat": self.flat, "auto_orbit": self.orbit}

    def _switch(self, text: str) -> QAction:
        action = self.addAction(text)
        action.setCheckable(True)
        action.toggled.connect(lambda _on: self.chosen.emit())
        return action

    def _radio(self, title: str, choices: dict[str, int], chosen: int) -> QActionGroup:
        """Add a submenu of which one entry is always checked."""
        submenu, group = self.addMenu(title), QActionGroup(self)
        for text, value in choices.items():
            action = group.addAction(text)
            action.setCheckable(True)
            action.setData(value)
            action.setChecked(value == chosen)
        submenu.addActions(group.actions())
        group.triggered.connect(lambda _action: self.chosen.emit())
        return group
