"""Small pictures of a recording while the mouse is over its time line."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from lingbot_live.cameras.playback import Playback, Preview
from ui.shell.bridge import Tasks

_PLACES = 600  # along the recording; the mouse does not tell them further apart
_MOST = 200  # kept: 160x120 each, 12 MB


class Thumbnails(QObject):
    """Decodes one picture at a time on a thread, the newest asked for next; keeps the last.

    ``ready(QImage)`` brings the picture last asked for, a null one where there is none.
    """

    ready = Signal(QImage)

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._playback: Playback | None = None
        self._kept: OrderedDict[int, QImage] = OrderedDict()
        self._wanted: int | None = None
        self._is_busy = False

    def follow(self, playback: Playback | None) -> None:
        """Show this recording's frames from now on."""
        self._playback = playback
        self._kept.clear()
        self._wanted = None

    def ask(self, position_s: float) -> None:
        """Have ``ready`` sent for a time, at once where the picture is known."""
        if self._playback is None:
            return
        place = round(position_s / self._stretch_s(self._playback))
        if place in self._kept:
            self._wanted = None
            self._kept.move_to_end(place)
            self.ready.emit(self._kept[place])
            return
        self._wanted = place
        self._go_on()

    def _go_on(self) -> None:
        playback, place = self._playback, self._wanted
        if self._is_busy or playback is None or place is None:
            return
        self._is_busy = True
        position_s = place * self._stretch_s(playback)
        self._tasks.run(
            "thumbnail",
            lambda: playback.preview(position_s),
            lambda picture: self._take(playback, place, picture),
            lambda error: self._take(playback, place, None),  # closed meanwhile, or damaged
        )

    def _take(self, playback: Playback, place: int, picture: Preview | None) -> None:
        self._is_busy = False
        if playback is self._playback:
            image = QImage() if picture is None else _image(picture)
            if picture is not None:  # a vendor's frame may be known later
                self._kept[place] = image
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
            if place == self._wanted:
                self._wanted = None
                self.ready.emit(image)
        self._go_on()

    @staticmethod
    def _stretch_s(playback: Playback) -> float:
        return max(playback.duration_s / _PLACES, 1e-3)


def _image(picture: Preview) -> QImage:
    height, width = picture.shape[:2]
    data = np.ascontiguousarray(picture)
    return QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
