"""The recordings and folders played last, with a picture each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage
from PySide6.QtWidgets import QMenu

from lingbot_live.cameras.places import split_target
from lingbot_live.frame import ColorImage
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.language import tr
from ui.shell.settings import config_folder
from ui.shell.stage import Stage

_KEY = "recent"  # in the settings
_MOST = 10
_PICTURE = QSize(96, 72)


@dataclass(frozen=True, slots=True)
class Played:
    """One of them."""

    address: str
    title: str  # the file's or folder's name
    icon: QIcon


class Recent(QObject):
    """Notes what delivered frames; ``changed`` is sent when another one came."""

    changed = Signal()

    def __init__(self, stage: Stage, desk: Desk) -> None:
        super().__init__(stage)
        self._stage, self._settings = stage, desk.settings
        self.addresses: list[str] = _texts(desk.settings.text(_KEY))
        self._noted: tuple[str, ...] = ()
        self.menu = QMenu(tr("Open recent"), desk.widget)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self._fill)
        stage.statusDue.connect(self._look)

    @property
    def played(self) -> list[Played]:
        """Those whose files are still there, the newest first."""
        there = [address for address in self.addresses if _path(address).exists()]
        return [Played(a, _path(a).name, QIcon(str(_picture_path(a)))) for a in there]

    # ---- private -----------------------------------------------------------------------------

    def _look(self) -> None:
        views = [view for view in self._stage.views if view.frame is not None]
        if self._stage.proven == self._noted or not views:
            return
        self._noted = self._stage.proven
        for address in reversed(self._noted):
            view = next((view for view in views if _is_of(view, address)), None)
            if view is not None and view.frame is not None:
                self._note(address, view.frame.color)

    def _note(self, address: str, color: ColorImage) -> None:
        self.addresses = [address, *(a for a in self.addresses if a != address)][:_MOST]
        self._settings.set_text(_KEY, json.dumps(self.addresses))
        path = _picture_path(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = color.shape[:2]
        image = QImage(color.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode
        image.scaled(_PICTURE, keep, smooth.SmoothTransformation).save(str(path))
        self.changed.emit()

    def _fill(self) -> None:
        self.menu.clear()
        for played in self.played:
            action = self.menu.addAction(played.icon, played.title)
            action.setToolTip(played.address)
            action.triggered.connect(
                lambda _on=False, address=played.address: self._stage.propose((address,))
            )
        if self.menu.isEmpty():
            self.menu.addAction(tr("nothing yet")).setEnabled(False)


def _is_of(view: FeedView, address: str) -> bool:
    """Whether a view plays this recording; all cameras of a session file do."""
    info = view.feed.info
    return info is not None and info.is_recording and _path(info.address) == _path(address)


def _path(address: str) -> Path:
    """Return where a recording lies; of what is no file, a path where nothing is."""
    scheme, colon, target = address.partition(":")
    text = target if colon and len(scheme) > 1 and not Path(address).exists() else address
    return split_target(text)[0].absolute()


def _picture_path(address: str) -> Path:
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    return config_folder() / "recent" / f"{name}.png"


def _texts(text: str) -> list[str]:
    """Read what is remembered; what is not valid counts as not there."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
