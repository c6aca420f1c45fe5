"""The only place where worker threads reach the window."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.pipeline.session import Feed, Session
from lingbot_live.pipeline.stats import Rate, Samples
from lingbot_live.system.worker import Worker
from ui.shell.files import short_name
from ui.shell.language import tr

log = logging.getLogger(__name__)
T = TypeVar("T")

# A result that is older than this is said to be, or has no place beside the live picture.
LAG_S = 0.1
_SLOW_S = 1.0  # age of what is shown from which a camera that waits for results seems to hang
_LEAST_HZ = 10.0  # of the display, however little the machine has left
_DRAWING_SHARE = 0.5  # of a core that making pictures may take
_TOLD_S = 1 / 25  # time between rounds from which people are told
_SMOOTH = 0.2  # weight of the newest drawing


@dataclass(slots=True, eq=False)
class FeedView:
    """What one feed shows now: colour, raw and refined depth of one moment.

    While results lag, colour and raw depth are as old as they are, unless ``shows_live`` or results
    are so late that nothing would seem to move. A held frame of a recording is shown at once; the
    result of another one is not.
    """

    feed: Feed
    number: int = 0  # from 0, the same for as long as the feed is there; its colour follows
    frame: Frame | None = None
    refined: RefinedFrame | None = None
    newest: Frame | None = None  # captured last, shown or not
    shows_live: bool = False
    is_drawing: bool = False  # what was pulled last is still on its way to the screen
    drawing_s: float = 0.0  # processor time of that, smoothed
    is_thinned: bool = False  # live pictures are fewer, for the refiner needs the processor
    is_slow: bool = False  # results come so late that colour and raw depth go on without them
    _live_s: float = field(default=0.0, repr=False)  # when a frame without a result was shown

    @property
    def name(self) -> str:
        """What the camera is called; until it was found its file's name, or its address."""
        info = self.feed.info
        name = info.name if info else short_name(self.feed.name)
        return tr("{name} (simulated)", name=name) if info and info.is_simulated else name

    @property
    def serial(self) -> str:
        """The camera's serial number, where it is known."""
        return self.feed.info.serial if self.feed.info else ""

    @property
    def title(self) -> str:
        """Number from 1 and name: what people tell cameras apart by."""
        return f"{self.number + 1}  {self.name}"

    @property
    def knows_truth(self) -> bool:
        """Whether its frames come with their true depth."""
        return self.frame is not None and self.frame.reference_m is not None

    @property
    def is_matched(self) -> bool:
        """Whether the refined depth belongs to the frame shown beside it."""
        return self.refined is not None and self.refined.frame is self.frame

    def pull(self) -> bool:
        """Take what is new; True if anything is.

        While results lag behind, frames without one are shown `_LEAST_HZ` times a second at most:
        the processor is the refiner's first, and its pictures come all.
        """
        frame, refined = self.feed.frames.take(), self.feed.refined.take()
        if frame is not None:
            self.newest = frame
        self._judge(self.age_s, is_result_new=refined is not None)
        if refined is not None:
            self.refined = refined
        if self.is_held and self.age_s > 0:
            self.refined = None  # of the frame that was held before
        shown = self._choose(is_result_new=refined is not None)
        changed = shown is not self.frame or refined is not None
        self.frame = shown
        return changed

    @property
    def is_held(self) -> bool:
        """Whether it is a recording that stands still."""
        playback = self.feed.playback
        return playback is not None and playback.is_paused

    @property
    def age_s(self) -> float:
        """How much older the result is than the newest frame; a frame that is held does not age."""
        if self.newest is None or self.refined is None:
            return 0.0
        was = self.refined.frame
        if _moment(was) == _moment(self.newest):
            return 0.0
        return max(0.0, (self.newest.timestamp_ns - was.timestamp_ns) / 1e9)

    def drew(self, took_s: float) -> None:
        """Note that what was pulled is in its panes, and what processor time that took."""
        self.is_drawing = False
        self.drawing_s += _SMOOTH * (took_s - self.drawing_s)

    @property
    def waits(self) -> bool:
        """Whether a live picture is to be shown a little later."""
        return self.is_thinned and self.newest is not self.frame

    def _judge(self, oldest_s: float, *, is_result_new: bool) -> None:
        """Note whether results are late or rare, by how old one became; not to and fro."""
        if oldest_s > _SLOW_S:
            self.is_slow = True
        elif is_result_new and oldest_s < 0.7 * _SLOW_S:
            self.is_slow = False

    def _choose(self, *, is_result_new: bool) -> Frame | None:
        """Return the frame to be shown."""
        goes_on = self.shows_live or self.is_slow
        self.is_thinned = self.refined is not None and goes_on and self.age_s > LAG_S
        if self.refined is not None and not self.is_thinned:
            return self.refined.frame
        if self.is_thinned and self.newest is not self.frame:
            now_s = time.monotonic()
            if not is_result_new and now_s < self._live_s + 1 / _LEAST_HZ:
                return self.frame
            self._live_s = now_s
        return self.newest


def _moment(frame: Frame) -> tuple[object, ...]:
    """What a frame has in common with itself when it is held and comes again."""
    return frame.device_timestamp_us, frame.device_index, frame.label


class Bridge(QObject):
    """Wakes the main thread when a session has news, at most ``max_hz`` times a second.

    It does so less often where drawing takes long, but never less than ten times a second.

    `wake` is what a session calls from its threads; `updated` is emitted on the main thread with
    a view that changed, `changed` before each round over all views. Each view has an event of its
    own, and so has each round: keys, mouse and painting come between, however long a view takes.
    """

    updated = Signal(list)
    changed = Signal()
    _woken = Signal()

    def __init__(self, max_hz: float = 60.0, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.views: list[FeedView] = []
        self.shows_live = False
        self.rate = Rate()
        self._least_s = 1.0 / max_hz
        self._last_s = 0.0  # when a round last showed anything
        self._pending = False
        self._shown = False  # anything in this round
        self._timer = QTimer(self, singleShot=True, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._begin)
        self._waiting: list[FeedView] = []  # of the round under way
        # A timer of 0 ms is served once no other event waits.
        self._next = QTimer(self, singleShot=True, interval=0)
        self._next.timeout.connect(self._show_next)
        self._woken.connect(self._schedule, Qt.ConnectionType.QueuedConnection)

    @property
    def period_s(self) -> float:
        """Return how long a round that showed something waits for the next.

        That is longer where drawing takes longer. What showed nothing delays nothing: a result that
        comes just after a frame is on its way at once.
        """
        longest_s = max((view.drawing_s for view in self.views), default=0.0)
        return min(max(self._least_s, longest_s / _DRAWING_SHARE), 1 / _LEAST_HZ)

    @property
    def reduced(self) -> str:
        """Return what is shown less often than it could be, and why; empty where nothing is."""
        if any(view.is_thinned for view in self.views):
            return tr("live pictures {rate:.0f} a second: refining comes first", rate=_LEAST_HZ)
        if self.period_s > _TOLD_S:
            return tr(
                "display {rate:.0f} a second at most: drawing takes long here",
                rate=1 / self.period_s,
            )
        return ""

    def follow(self, session: Session | None) -> None:
        """Show this session's feeds from now on; views of feeds that stay are kept."""
        feeds = session.feeds if session else []
        views = [view for view in self.views if any(view.feed is feed for feed in feeds)]
        for feed in feeds:
            if not any(view.feed is feed for view in views):
                taken = {view.number for view in views}
                number = next(n for n in itertools.count() if n not in taken)
                views.append(FeedView(feed, number, shows_live=self.shows_live))
        self.views = views

    def set_live(self, on: bool) -> None:
        """Show colour and raw depth as they come, or of the moment of the refined depth."""
        self.shows_live = on
        for view in self.views:
            view.shows_live = on
        self.wake()

    def forget_refined(self) -> None:
        """Blank what another refiner made."""
        for view in self.views:
            if view.refined is not None:
                view.refined = None
                self.updated.emit([view])

    def wake(self) -> None:
        """Called from any thread: something is new."""
        # A lost race costs one more pull, never a lost wake-up: the flag is cleared before reading.
        if not self._pending:
            self._pending = True
            self._woken.emit()

    def _schedule(self) -> None:
        """Have a round begin when its time has come, never within this call."""
        if not self._next.isActive() and not self._timer.isActive():
            wait_s = self._last_s + self.period_s - time.monotonic()
            self._timer.start(max(0, round(wait_s * 1000)))

    def _begin(self) -> None:
        self._pending = False
        self._shown = False
        self._waiting = list(self.views)
        self.changed.emit()
        self._next.start()

    def _show_next(self) -> None:
        """Show the next view that changed; what follows comes with an event of its own."""
        try:
            self._show_one()
        finally:
            if self._waiting:
                self._next.start()
            else:
                self._end()

    def _show_one(self) -> None:
        while self._waiting:
            view = self._waiting.pop(0)
            if view in self.views and not view.is_drawing and view.pull():
                if not self._shown:
                    self._last_s, self._shown = time.monotonic(), True
                self.updated.emit([view])
                return

    def _end(self) -> None:
        if self._shown:
            self.rate.tick()
        if any(view.waits for view in self.views):
            self._pending = True
        if self._pending:
            self._schedule()


class StallMeter(QObject):
    """Measures how long the main thread was busy at a time: how late a 10 ms timer comes.

    Where other processes want the same cores, lateness is theirs too; ``busy`` is the processor
    time that the main thread itself took between two ticks.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._gaps_ms = Samples(20_000)
        self._busy_ms = Samples(20_000)
        self._last_s = self._last_busy_s = 0.0
        self._timer = QTimer(self, interval=10, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin to measure anew."""
        self._gaps_ms = Samples(20_000)
        self._busy_ms = Samples(20_000)
        self._last_s, self._last_busy_s = time.monotonic(), time.thread_time()
        self._timer.start()

    def stop(self) -> None:
        """Cease to measure."""
        self._timer.stop()

    def as_dict(self) -> dict[str, float]:
        """Return ``max_stall_ms``, ``p99_stall_ms``, ``max_busy_ms`` and ``p99_busy_ms``."""
        return {
            "max_stall_ms": round(self._gaps_ms.percentile(100), 3),
            "p99_stall_ms": round(self._gaps_ms.percentile(99), 3),
            "max_busy_ms": round(self._busy_ms.percentile(100), 3),
            "p99_busy_ms": round(self._busy_ms.percentile(99), 3),
        }

    def _tick(self) -> None:
        now_s, busy_s = time.monotonic(), time.thread_time()
        self._busy_ms.add((busy_s - self._last_busy_s) * 1000)
        self._last_busy_s = busy_s
        self._gaps_ms.add(max(0.0, (now_s - self._last_s) * 1000 - self._timer.interval()))
        self._last_s = now_s


class Tasks(QObject):
    """Runs slow calls on threads of their own and brings the outcome to the main thread."""

    _done = Signal(object, object)  # what to call, with what

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workers: list[Worker] = []
        self._done.connect(_call, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        name: str,
        work: Callable[[], T],
        on_result: Callable[[T], None] = lambda result: None,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> Worker:
        """Call ``work`` on a thread, then ``on_result`` or ``on_error`` on the main thread."""

        def body(stop: threading.Event) -> None:
            result = work()
            self._done.emit(on_result, result)

        def died(error: BaseException) -> None:
            log.debug("%s failed", name, exc_info=error)
            if on_error is not None:
                self._done.emit(on_error, error)

        self._workers = [worker for worker in self._workers if worker.is_alive]
        worker = Worker(name, body, died)
        self._workers.append(worker)
        worker.start()
        return worker

    def finish(self, timeout_s: float) -> bool:
        """Wait for all calls under way; False if one did not end in time."""
        deadline = time.monotonic() + timeout_s
        ended = [worker.join(max(0.0, deadline - time.monotonic())) for worker in self._workers]
        return all(ended)


def _call(function: Callable[[object], None], argument: object) -> None:
    function(argument)
