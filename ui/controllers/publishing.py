"""Where the window's session is shown elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from PySide6.QtCore import QObject, Signal

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import LingbotLiveError
from lingbot_live.publish.place import Place
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.sink import PublishState
from lingbot_live.publish.steering import Steering
from lingbot_live.publish.table import parse_place
from ui.controllers.refining import Refining
from ui.shell.actions import Actions, Command
from ui.shell.desk import Desk
from ui.shell.language import tr
from ui.shell.stage import Stage

_TARGETS = {  # by action
    "publish_foxglove": "foxglove",
    "publish_rerun": "rerun:serve",
    "publish_ros2": "ros2",
}
_SERVICES = ("snapshot", "record", "mark")  # keys of actions
_OVER = (PublishState.FAILED, PublishState.STOPPED)


class Publishing(QObject):
    """Owns the publishers, which outlive sessions: viewers stay while the cameras change.

    What viewers ask for comes from the servers' threads and is done on the window's.
    """

    _asked = Signal(object)  # what to do

    def __init__(self, stage: Stage, desk: Desk, actions: Actions, refining: Refining) -> None:
        super().__init__(stage)
        self._refining = refining
        self._asked.connect(self._do)
        self.publishers: tuple[Publisher, ...] = ()
        self._stage, self._desk, self._actions = stage, desk, actions
        self._said: set[tuple[int, str]] = set()
        self._was_open = False
        stage.sessionChanged.connect(self._follow)
        stage.statusDue.connect(self._look)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {key: partial(self.toggle, text) for key, text in _TARGETS.items()}

    def start(self, places: Iterable[Place]) -> None:
        """Publish what is on the screen to these targets too, until the window closes."""
        steering = self._steering()
        new = [Publisher(place, steering=steering) for place in places]
        self.publishers = (*self.publishers, *new)
        for publisher in new:
            publisher.start(self._stage.session)
        self._look()

    def toggle(self, text: str) -> None:
        """Publish to a target, or end what is published to this kind of target."""
        place = parse_place(text)
        ended = [p for p in self._running if p.place.kind == place.kind]
        if not ended:
            self.start([place])
            return
        self._end(ended)
        self.publishers = tuple(p for p in self.publishers if p not in ended)
        self._look()

    def finish(self) -> None:
        """End all."""
        self._end(self.publishers)

    @property
    def text(self) -> str:
        """What is published and who looks on, for the status bar; empty if nothing is."""
        return ", ".join(map(_words, self._running))

    @property
    def _running(self) -> list[Publisher]:
        return [p for p in self.publishers if p.state not in _OVER]

    def _steering(self) -> Steering:
        refining = self._refining

        def use(config: RefinerConfig) -> None:
            self._asked.emit(partial(refining.use, config))

        def set_tokens(tokens: int) -> None:
            self._asked.emit(partial(refining.set_tokens, tokens))

        services = {key: partial(self._press, key) for key in _SERVICES}
        return Steering(
            lambda: self._stage.session, lambda: refining.config, use, set_tokens, services
        )

    def _do(self, call: Callable[[], object]) -> None:
        call()

    def _press(self, key: str, text: str) -> str:
        action = self._actions[key]
        if not action.isEnabled():
            raise LingbotLiveError(f"{action.text()}: not possible now")
        self._asked.emit(action.trigger)
        return tr("asked for; the window tells what came of it")

    def _end(self, publishers: Iterable[Publisher]) -> None:
        for publisher in publishers:  # on threads of their own: a viewer may not let go
            self._desk.tasks.run(f"end publishing to {publisher.place.text}", publisher.stop)

    def _follow(self) -> None:
        for publisher in self.publishers:
            publisher.follow(self._stage.session)
        if not self._was_open:
            self._said.clear()  # opening the first camera takes away what was said before it
        self._was_open = self._stage.session is not None

    def _look(self) -> None:
        kinds = {publisher.place.kind for publisher in self._running}
        for key, text in _TARGETS.items():
            self._actions[key].setChecked(text.partition(":")[0] in kinds)
        for publisher in self.publishers:
            stats = publisher.stats()
            if stats.error is not None and self._is_new(publisher, str(stats.error)):
                self._desk.show_error(str(stats.error))
            elif stats.where and self._is_new(publisher, stats.where):
                self._desk.say(tr("Publishing to {where}", where=stats.where))

    def _is_new(self, publisher: Publisher, text: str) -> bool:
        key = (id(publisher), text)
        is_new = key not in self._said
        self._said.add(key)
        return is_new


def _words(publisher: Publisher) -> str:
    viewers = publisher.stats().viewers
    if viewers is None:
        return publisher.place.kind
    text = tr("1 viewer") if viewers == 1 else tr("{count} viewers", count=viewers)
    return f"{publisher.place.kind}: {text}"
