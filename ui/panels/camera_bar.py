"""In the tool bar: which camera, which refiner, start and stop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import QComboBox, QLabel, QSizePolicy, QSlider, QWidget

from lingbot_live.cameras import registry
from lingbot_live.cameras.discovery import Listing
from lingbot_live.config import PRECISIONS, RefinerConfig
from lingbot_live.model.weights.zoo import FILE_NAMES
from ui.controllers.recent import Played
from ui.panels.tool_row import ToolRow
from ui.shell.actions import Actions
from ui.shell.icons import icon
from ui.shell.language import phrase, told, tr

_HINT = phrase("A camera found, or an address such as realsense:file.bag")
RECORDED = "recorded"  # the refiner that hands on what is in the file
# Steps of the token slider; the published range is 1200 to 3600, fewer suit a CPU.
TOKENS = (48, 100, 200, 300, 600, 900, 1200, 1800, 2400, 3000, 3600)


class CameraBar(QObject):
    """Sends what is chosen: a camera's address, a refiner's name, tokens, a precision."""

    cameraChosen = Signal(str)  # noqa: N815
    refinerChosen = Signal(str)  # noqa: N815
    tokensChosen = Signal(int)  # noqa: N815
    precisionChosen = Signal(str)  # noqa: N815

    def __init__(self, row: ToolRow, actions: Actions) -> None:
        super().__init__(row)
        self.start_button = row.add_worded(icon("start"), actions["toggle"].toolTip())
        self.start_button.clicked.connect(actions["toggle"].trigger)
        self._listing = Listing()
        self._played: Sequence[Played] = ()
        self._make_boxes()
        row.addWidget(self.camera_box)
        row.add_buttons(actions, ("open_file", "add_camera"))
        actions["open_file"].setIconText(tr("Open"))  # its menu has two to open
        row.addSeparator()
        row.addWidget(self.refiner_box)
        row.add_buttons(actions, ("as_recorded",))
        self._shown_tokens: int | None = None
        self._token_parts = [row.addWidget(part) for part in self._make_tokens()]
        self.show_tokens(None, None)
        row.add_buttons(actions, ("models",))
        row.addSeparator()
        self.set_running(False)

    def _make_boxes(self) -> None:
        self.camera_box = QComboBox()
        self.camera_box.setEditable(True)
        self.camera_box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.camera_box.setMinimumWidth(200)
        self.camera_box.setMaximumWidth(400)
        self.camera_box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.camera_box.setIconSize(QSize(48, 36))
        self.camera_box.setToolTip(tr(_HINT))
        self.camera_box.setAccessibleName(tr("Camera, recording or address"))
        line = self.camera_box.lineEdit()
        if line is not None:
            line.returnPressed.connect(self._on_typed)
        self.camera_box.activated.connect(self._on_picked)
        self.refiner_box = QComboBox()
        self.refiner_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.refiner_box.setMaximumWidth(180)
        self.refiner_box.setAccessibleName(tr("Refiner"))
        self.refiner_box.setToolTip(tr("What refines the depth"))
        for name in registry.refiner_names():
            if name != RECORDED:  # it has a button of its own where there is any
                self.refiner_box.addItem(name, name)
        self.refiner_box.activated.connect(
            lambda at: self.refinerChosen.emit(self.refiner_box.itemData(at))
        )

    def show_cameras(self, listing: Listing) -> None:
        """List what was found; the address in use stays in the field."""
        self.camera_box.setToolTip("\n".join([tr(_HINT), *map(told, listing.unavailable.values())]))
        self._listing = listing
        address = self.address
        self.camera_box.clear()
        for info in listing.cameras:
            self.camera_box.addItem(f"{info.name}  {info.serial}".strip(), info.address)
            at = self.camera_box.count() - 1
            self.camera_box.setItemData(at, info.address, Qt.ItemDataRole.ToolTipRole)
        if self._played and listing.cameras:
            self.camera_box.insertSeparator(self.camera_box.count())
        for played in self._played:
            self.camera_box.addItem(played.icon, played.title, played.address)
            at = self.camera_box.count() - 1
            self.camera_box.setItemData(at, played.address, Qt.ItemDataRole.ToolTipRole)
        self.set_address(address)

    def show_recent(self, played: Sequence[Played]) -> None:
        """List what was played last below the cameras, with pictures."""
        self._played = played
        self.show_cameras(self._listing)

    @property
    def address(self) -> str:
        """The chosen or typed address."""
        text = self.camera_box.currentText().strip()
        at = self.camera_box.findText(text)
        data = self.camera_box.itemData(at) if at >= 0 else None
        return str(data) if data else text

    def set_address(self, address: str) -> None:
        """Show an address, by its name where it is listed."""
        at = self.camera_box.findData(address)
        if at >= 0:
            self.camera_box.setCurrentIndex(at)
        else:
            self.camera_box.setCurrentIndex(-1)  # no picture of another one beside it
            self.camera_box.setEditText(address)
        line = self.camera_box.lineEdit()
        if line is not None:
            line.setCursorPosition(0)  # a long name shows its beginning

    def set_refiner(self, name: str) -> None:
        """Show which refiner is chosen, listed or not."""
        if self.refiner_box.findData(name) < 0:
            self.refiner_box.addItem(_short(name), name)
        self.refiner_box.setCurrentIndex(self.refiner_box.findData(name))
        self.refiner_box.setToolTip(tr("What refines the depth: {name}", name=name))

    def show_refiner(self, config: RefinerConfig) -> None:
        """Show what was chosen to refine, and how precisely."""
        self.set_refiner(str(config))
        self.precision_box.setCurrentText(config.precision)

    def show_tokens(self, tokens: int | None, refine_ms: float | None) -> None:
        """Show how fine the network computes and what a frame costs; hidden where it has none."""
        for part in self._token_parts:
            part.setVisible(tokens is not None)
        if tokens is None:
            return
        cost = "" if refine_ms is None else f" · {refine_ms:.0f} ms"
        self.token_label.setText(tr("{tokens} tokens{cost}", tokens=tokens, cost=cost))
        if tokens != self._shown_tokens and not self.token_slider.isSliderDown():
            nearest = min(range(len(TOKENS)), key=lambda at: abs(TOKENS[at] - tokens))
            with QSignalBlocker(self.token_slider):
                self.token_slider.setValue(nearest)
        self._shown_tokens = tokens

    def _make_tokens(self) -> tuple[QWidget, ...]:
        self.token_slider = QSlider(Qt.Orientation.Horizontal)
        self.token_slider.setRange(0, len(TOKENS) - 1)
        self.token_slider.setValue(TOKENS.index(1200))
        self.token_slider.setFixedWidth(80)
        self.token_slider.setToolTip(tr("More tokens are finer and slower"))
        self.token_slider.valueChanged.connect(lambda at: self.tokensChosen.emit(TOKENS[at]))
        self.token_label = QLabel()
        self.token_label.setMinimumWidth(124)
        self.precision_box = QComboBox()
        self.precision_box.addItems(PRECISIONS)
        self.precision_box.setToolTip(
            tr("Precision of the network's products; auto is fp16 on a GPU and fp32 on a CPU")
        )
        self.precision_box.textActivated.connect(self.precisionChosen)
        return self.token_slider, self.token_label, self.precision_box

    def set_running(self, running: bool) -> None:
        """Word the start button."""
        self.start_button.setText(tr("Stop") if running else tr("Start"))
        self.start_button.setIcon(icon("stop" if running else "start"))

    def _on_typed(self) -> None:
        self.cameraChosen.emit(self.address)

    def _on_picked(self, at: int) -> None:
        self.cameraChosen.emit(str(self.camera_box.itemData(at) or self.camera_box.itemText(at)))


def _short(name: str) -> str:
    """Return a refiner's name with a word for its model's path, where it has one."""
    refiner, colon, model = name.partition(":")
    path = Path(model)
    return f"{refiner}{colon}{path.parent.name if path.name in FILE_NAMES else path.name}"
