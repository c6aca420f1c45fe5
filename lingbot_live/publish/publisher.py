"""Shows a running session to a viewer elsewhere, which never slows it.

::

 tap (any thread) ─▶ one place a camera for its newest frame, one for its newest result
                       └─ a newer one replaces it: dropped here, counted ─▶ "publish" thread ─▶ sink
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from lingbot_live.errors import LingbotLiveError, PublishError
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.publish.place import Place
from lingbot_live.publish.sink import Level, PublishState, PublishStats, Sink
from lingbot_live.publish.steering import Steering
from lingbot_live.publish.table import open_sink
from lingbot_live.recording.clock import CameraClock, Moment
from lingbot_live.recording.format import slug
from lingbot_live.recording.state import TapSource
from lingbot_live.system.worker import Worker, yield_to_others

log = logging.getLogger(__name__)

# The causes of frames that were not sent.
SLOW = "viewer too slow"
NOT_YET = "not yet started"
ENDED = "stopped"
_LOOK_S = 0.5  # at the states of cameras
_MOST_WORDS = 64  # of the log that wait


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    moment: Moment
    what: Frame | RefinedFrame


class Publisher:
    """Sends what a session makes to one target. Start it once; `stop` may come from any thread.

    ``on_change`` is called from any thread when the state changed. An error ends the publisher,
    never the session; it is in `error`. By ``steering`` viewers on this machine may steer it.

    Example::

        publisher = Publisher(parse_place("foxglove:8765"))
        publisher.start(session)
        ...
        publisher.stop()
    """

    def __init__(
        self,
        place: Place,
        on_change: Callable[[], None] = lambda: None,
        steering: Steering | None = None,
    ) -> None:
        self.place = place
        self._steering = steering
        self.state = PublishState.STARTING
        self.error: LingbotLiveError | None = None
        self._on_change = on_change
        self._condition = threading.Condition()
        self._waiting: OrderedDict[tuple[str, type], _Item] = OrderedDict()
        self._words: deque[tuple[Level, str]] = deque(maxlen=_MOST_WORDS)
        self._drops: Counter[str] = Counter()
        self._sent: Counter[type] = Counter()
        self._clock = CameraClock()
        self._names: dict[str, str] = {}
        self._said: dict[str, str] = {}  # the last state of each camera
        self._source: TapSource | None = None
        self._sink: Sink | None = None
        self._handler = _Listener(self._words)
        self._worker = Worker(f"publish {place.text}", self._run, self._fail)

    # ---- for the owner -----------------------------------------------------------------------

    def start(self, source: TapSource | None = None) -> None:
        """Begin, with the frames of ``source`` (a Session, started or not). Returns at once."""
        logging.getLogger().addHandler(self._handler)
        self._worker.start()
        self.follow(source)

    def follow(self, source: TapSource | None) -> None:
        """Send the frames of another session, or of none, from now on."""
        before, self._source = self._source, source
        if before is not None:
            before.remove_tap(self._tap)
        if source is not None and self.state is not PublishState.FAILED:
            source.add_tap(self._tap)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Send what waits and end; safe more than once. False if the target does not let go."""
        self.follow(None)
        logging.getLogger().removeHandler(self._handler)
        with self._condition:
            self._worker.request_stop()
            self._condition.notify_all()
        return self._worker.join(timeout_s)

    def stats(self) -> PublishStats:
        """Return the figures of this moment."""
        with self._condition:
            sink = self._sink
            return PublishStats(
                target=self.place.text,
                state=self.state,
                where="" if sink is None else sink.where,
                viewers=None if sink is None else sink.viewers,
                frames=self._sent[Frame],
                refined=self._sent[RefinedFrame],
                drops=dict(self._drops),
                error=self.error,
            )

    # ---- on the threads of cameras and refiner -----------------------------------------------

    def _tap(self, camera: str, what: Frame | RefinedFrame) -> None:
        with self._condition:
            if isinstance(what, Frame):
                moment: Moment | None = self._clock.of_frame(camera, what)
            else:
                moment = self._clock.of_earlier(camera, what.frame)
            if moment is None or self.state is PublishState.FAILED:
                return  # a result of a frame before the start
            if camera not in self._names:
                self._names[camera] = slug(camera, self._names.values())
            key = (camera, type(what))
            if key in self._waiting:
                self._drops[NOT_YET if self._sink is None else SLOW] += 1
            self._waiting[key] = _Item(self._names[camera], moment, what)
            self._condition.notify_all()

    # ---- on the publisher's thread -----------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        sink = open_sink(self.place, self._steering)
        yield_to_others()  # not before: who holds the lock of imports must not be the last in line
        try:
            self._set(PublishState.PUBLISHING, sink)
            while not stop.is_set() or self._waiting:
                ready = sink.is_ready()
                self._say_news(sink)
                item = self._take(stop) if ready else None
                if item is not None:
                    self._send(sink, item)
                elif stop.is_set():
                    break
        finally:
            with self._condition:
                self._drops.update({ENDED: len(self._waiting)} if self._waiting else {})
                self._waiting.clear()
            sink.close()
        self._set(PublishState.STOPPED, sink)

    def _take(self, stop: threading.Event) -> _Item | None:
        with self._condition:
            if not self._waiting and not stop.is_set():
                self._condition.wait(_LOOK_S)
            return self._waiting.popitem(last=False)[1] if self._waiting else None

    def _send(self, sink: Sink, item: _Item) -> None:
        if isinstance(item.what, Frame):
            sink.frame(item.name, item.what, item.moment)
        else:
            sink.refined(item.name, item.what, item.moment)
        with self._condition:
            self._sent[type(item.what)] += 1

    def _say_news(self, sink: Sink) -> None:
        now_ns = time.time_ns()
        for feed in () if self._source is None else self._source.feeds:
            text = f"{feed.name}: {feed.state.value}" + (f": {feed.error}" if feed.error else "")
            if self._said.get(feed.name) != text:
                self._said[feed.name] = text
                sink.say(Level.ERROR if feed.error else Level.INFO, text, now_ns)
        while self._words:
            sink.say(*self._words.popleft(), now_ns)

    def _set(self, state: PublishState, sink: Sink) -> None:
        with self._condition:
            self.state, self._sink = state, sink
        self._on_change()

    def _fail(self, error: BaseException) -> None:
        known = isinstance(error, LingbotLiveError)
        text = " ".join(f"publish {self.place.text}: {error}".split())
        with self._condition:
            self.error = error if known else PublishError(text)  # type: ignore[assignment]
            self.state = PublishState.FAILED
            self._waiting.clear()
        self.follow(None)
        self._on_change()


class _Listener(logging.Handler):
    """Keeps the app's warnings for viewers."""

    def __init__(self, words: deque[tuple[Level, str]]) -> None:
        super().__init__(logging.WARNING)
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        """Note a warning, but for those of the viewers' SDKs, which would go in a circle."""
        if not record.name.startswith(("foxglove", "rerun")):
            level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARN
            self._words.append((level, f"{record.name}: {record.getMessage()}"))
