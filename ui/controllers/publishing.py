"""Where the window's session is shown elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject

from lingbot_live.publish.place import Place
from lingbot_live.publish.publisher import Publisher
from ui.shell.desk import Desk
from ui.shell.stage import Stage


class Publishing(QObject):
    """Owns the publishers, which outlive sessions: viewers stay while the cameras change."""

    def __init__(self, stage: Stage, desk: Desk) -> None:
        super().__init__(stage)
        self.publishers: tuple[Publisher, ...] = ()
        self._stage, self._desk = stage, desk
        self._said: set[str] = set()
        stage.sessionChanged.connect(self._follow)
        stage.statusDue.connect(self._say)

    def start(self, places: Sequence[Place]) -> None:
        """Publish what is on the screen to these targets, until the window closes."""
        self.publishers = tuple(Publisher(place) for place in places)
        for publisher in self.publishers:
            publisher.start(self._stage.session)

    def finish(self) -> None:
        """End all on threads of their own: a viewer may not let go."""
        for publisher in self.publishers:
            self._desk.tasks.run(f"end publishing to {publisher.place.text}", publisher.stop)

    def _follow(self) -> None:
        for publisher in self.publishers:
            publisher.follow(self._stage.session)

    def _say(self) -> None:
        for publisher in self.publishers:
            stats = publisher.stats()
            if stats.error is not None and self._is_new(str(stats.error)):
                self._desk.show_error(str(stats.error))
            elif stats.where and self._is_new(stats.where):
                self._desk.say(f"Publishing to {stats.where}")

    def _is_new(self, text: str) -> bool:
        is_new = text not in self._said
        self._said.add(text)
        return is_new
