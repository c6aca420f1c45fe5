"""Says while it plays that a file or a camera hands out damaged frames."""

from __future__ import annotations

from PySide6.QtCore import QObject

from lingbot_live.pipeline.session import Feed
from ui.shell.desk import Desk
from ui.shell.language import tr
from ui.shell.stage import Stage

DAMAGED = "damaged"  # the cause, as cameras count it


class Losses(QObject):
    """Tells each camera's damage once, above the pictures; the count goes on in the status bar."""

    def __init__(self, stage: Stage, desk: Desk) -> None:
        super().__init__(stage)
        self._stage, self._desk = stage, desk
        self._told: list[Feed] = []
        stage.statusDue.connect(self._look)

    def _look(self) -> None:
        session = self._stage.session
        feeds = session.feeds if session is not None else []
        self._told = [feed for feed in self._told if feed in feeds]
        for feed in feeds:
            if feed not in self._told and feed.stats.missed[DAMAGED]:
                self._told.append(feed)
                self._tell(feed)

    def _tell(self, feed: Feed) -> None:
        info = feed.info
        is_file = info is not None and info.is_recording
        fix = (
            tr(
                "The others are shown. To make a whole file of a session: "
                "lingbot-live repair FILE -o NEW.mcap"
            )
            if is_file
            else tr("The others are shown. Check its cable and port.")
        )
        self._desk.show_error(tr("{name}: a frame is damaged and left out.", name=feed.name), fix)
