"""The last seconds of a session, encoded and in memory, for a recorder that is started too late."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from lingbot_live.frame import Frame, RefinedFrame, Tap
from lingbot_live.recording.backlog import Item
from lingbot_live.recording.encode import Messages
from lingbot_live.recording.intake import Intake
from lingbot_live.recording.state import FeedLike, RecorderOptions, TapSource

_ENCODERS = 2
_MOST_BEHIND_S = 0.5  # of the encoders; frames that come meanwhile are left out
TRIGGER = "trigger"  # the marker where the recording was asked for


class PreTrigger:
    """Stands between a session and a recorder, and hands over what came before.

    Holds `RecorderOptions.pre_trigger_s` seconds at most, and `pre_trigger_bytes` of encoded
    messages, whichever is less. Nothing is lost or doubled where the recorder takes over. When
    the recorder lets go, the next seconds are gathered anew.

    Example::

        ring = PreTrigger(session, RecorderOptions(pre_trigger_s=10))
        ring.start()
        ...
        Recorder(Path("desk.mcap"), ring.options).start(ring)
    """

    def __init__(self, source: TapSource, options: RecorderOptions) -> None:
        self.options = options
        self.left_out = 0  # frames and results, while the processor was too slow
        self._source = source
        self._lock = threading.Lock()
        self._encoders = ThreadPoolExecutor(_ENCODERS, "pre-trigger encode")
        self._to: Tap | None = None  # the recorder's, once there is one
        self._begin()

    def _begin(self) -> None:
        self._intake = Intake(self.options)
        self._items: deque[Item] = deque()
        self._encoding: deque[tuple[float, Item]] = deque()  # of the items, with when they came
        self._bytes = 0

    def start(self) -> None:
        """Gather from now on."""
        self._source.add_tap(self._tap)

    def stop(self) -> None:
        """Let go of the session, of what is held, and of the threads; safe more than once."""
        self._source.remove_tap(self._tap)
        with self._lock:
            self._begin()
        self._encoders.shutdown(wait=True, cancel_futures=True)

    @property
    def held(self) -> tuple[float, int]:
        """How many seconds are held, and in how many bytes."""
        with self._lock:
            if not self._items:
                return 0.0, 0
            span_ns = self._items[-1].moment.log_ns - self._items[0].moment.log_ns
            return span_ns / 1e9, self._bytes

    # ---- for the recorder --------------------------------------------------------------------

    @property
    def feeds(self) -> Sequence[FeedLike]:
        """All cameras."""
        return self._source.feeds

    @property
    def intake(self) -> Intake:
        """What makes the items, to be gone on with."""
        return self._intake

    def hand_over(self, tap: Tap) -> list[Item]:
        """Give away what is held; frames that come from now on go to ``tap``."""
        with self._lock:
            self._to = tap
            intake, items = self._intake, list(self._items)
            self._begin()
        known = {
            item.camera: item.moment.log_ns
            for item in reversed(items)
            if item.calibration and item.stands_alone
        }
        kept = [item for item in items if _is_whole(item, known)]
        if intake.refiner:  # whose event may have been too long ago
            kept.insert(0, intake.event("refiner", text=intake.refiner))
        for item in kept:
            item.size = 0  # it was counted here, and is no load of the recorder's queue
        return [*kept, intake.event("marker", text=TRIGGER)]

    def add_tap(self, tap: Tap) -> None:
        """Show a tap every frame from now on; see `hand_over` for those before."""
        with self._lock:
            self._to = tap

    def remove_tap(self, tap: Tap) -> None:
        """Gather anew."""
        with self._lock:
            if self._to == tap:
                self._to = None
                self._begin()

    # ---- on the threads of cameras and refiner -----------------------------------------------

    def _tap(self, camera: str, item: Frame | RefinedFrame) -> None:
        with self._lock:
            to = self._to
            if to is None:
                self._keep(camera, item)
        if to is not None:
            to(camera, item)

    def _keep(self, camera: str, item: Frame | RefinedFrame) -> None:
        self._count_encoded()
        if self._encoding and time.monotonic() - self._encoding[0][0] > _MOST_BEHIND_S:
            self.left_out += 1
            return
        if not self._intake.takes(camera, item):
            return
        for new in self._intake.items(camera, item, self._encode):
            self._items.append(new)
            self._bytes += new.size
            if not isinstance(new.messages, list):
                self._encoding.append((time.monotonic(), new))
        self._make_room()

    def _encode(self, function: object, *args: object) -> Future[Messages]:
        return self._encoders.submit(function, *args)  # type: ignore[arg-type]

    def _count_encoded(self) -> None:
        """Count what is encoded by the bytes that it takes now."""
        while self._encoding and self._encoding[0][1].is_encoded:
            item = self._encoding.popleft()[1]
            if item.size:  # it has not made room for others meanwhile
                size = item.encoded_bytes
                self._bytes += size - item.size
                item.size = size

    def _make_room(self) -> None:
        most_ns = self.options.pre_trigger_s * 1e9
        newest_ns = self._items[-1].moment.log_ns if self._items else 0
        while self._items and (
            newest_ns - self._items[0].moment.log_ns > most_ns
            or self._bytes > self.options.pre_trigger_bytes
        ):
            old = self._items.popleft()
            self._bytes -= old.size
            old.size = 0


def _is_whole(item: Item, first_ns: dict[str, int]) -> bool:
    """Whether a file that begins with certain frames has a place for an item."""
    is_event = item.calibration is None and not item.is_refined
    first = first_ns.get(item.camera)
    return is_event or (first is not None and first <= item.moment.log_ns)
