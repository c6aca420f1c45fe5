"""Moving a camera of the rig by hand: six small steps, seen at once in the cloud."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QGroupBox,
    QLabel,
    QPushButton,
)

from lingbot_live.calibration.rig import Rig, move_of
from ui.shell.language import phrase, tr

_AXES = (
    ("x", " mm"),
    ("y", " mm"),
    ("z", " mm"),
    (phrase("pitch"), "°"),
    (phrase("yaw"), "°"),
    (phrase("roll"), "°"),
)
_ABOUT = (
    phrase("to the right"), phrase("down"), phrase("away from the reference"),
    phrase("about the reference's x axis"), phrase("about its y axis"), phrase("about its z axis"),
)  # fmt: skip


class Nudging(QGroupBox):
    """Offers the cameras of a rig but the reference; ``nudged(Rig)`` brings each change.

    The numbers add to the rig that `set_rig` gave last, in the reference's axes.
    """

    nudged = Signal(object)

    def __init__(self) -> None:
        super().__init__(tr("Move by hand"))
        self._base: Rig | None = None
        self._moved: Rig | None = None  # as the numbers have it
        self.camera_box = QComboBox()
        self.camera_box.setAccessibleName(tr("Camera to move"))
        self.camera_box.currentIndexChanged.connect(self._zero)
        self.boxes = [self._spin(n) for n in range(len(_AXES))]
        self.zero_button = QPushButton(tr("Zero"))
        self.zero_button.setToolTip(tr("Back to where the camera stood before"))
        self.zero_button.clicked.connect(self._take_back)
        grid = QGridLayout(self)
        grid.addWidget(self.camera_box, 0, 0, 1, 5)
        grid.addWidget(self.zero_button, 0, 5)
        for n, ((name, _), box) in enumerate(zip(_AXES, self.boxes, strict=True)):
            grid.addWidget(QLabel(tr(name)), 1, n)
            grid.addWidget(box, 2, n)
        self.set_rig(None)

    def set_rig(self, rig: Rig | None) -> None:
        """Start anew from this rig."""
        self._base = self._moved = rig
        names = [camera.address for camera in rig.cameras[1:]] if rig else []
        if names != [self.camera_box.itemText(n) for n in range(self.camera_box.count())]:
            self.camera_box.blockSignals(True)
            self.camera_box.clear()
            self.camera_box.addItems(names)
            self.camera_box.blockSignals(False)
        self._show_zero()
        self.setEnabled(bool(names))

    @property
    def rig(self) -> Rig | None:
        """The rig as the numbers have it."""
        return self._moved

    def _spin(self, axis: int) -> QDoubleSpinBox:
        name, unit = _AXES[axis]
        is_turn = unit == "°"
        box = QDoubleSpinBox()
        box.setSuffix(unit)
        box.setRange(*((-45.0, 45.0) if is_turn else (-2000.0, 2000.0)))
        box.setDecimals(2 if is_turn else 1)
        box.setSingleStep(0.1 if is_turn else 1.0)
        box.setAccessibleName(tr("Move {name}", name=tr(name)))
        box.setToolTip(f"{tr(name)}: {tr(_ABOUT[axis])}")
        box.valueChanged.connect(self._move)
        return box

    def _move(self) -> None:
        if self._base is None:
            return
        values = [box.value() for box in self.boxes]
        move = move_of([mm / 1000 for mm in values[:3]], values[3:])
        self._moved = self._base.nudged(self.camera_box.currentText(), move)
        self.nudged.emit(self._moved)

    def _zero(self) -> None:
        """Another camera is to be moved: what was moved so far stays."""
        self._base = self._moved
        self._show_zero()

    def _take_back(self) -> None:
        self._show_zero()
        self._moved = self._base
        self.nudged.emit(self._base)

    def _show_zero(self) -> None:
        for box in self.boxes:
            box.blockSignals(True)
            box.setValue(0.0)
            box.blockSignals(False)
