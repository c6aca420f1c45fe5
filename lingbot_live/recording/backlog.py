"""Frames on their way to the disk: encoded on threads, in order, bounded in bytes and in time."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDoneError
from dataclasses import dataclass
from typing import ParamSpec

from lingbot_live.frame import Calibration
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import Messages

P = ParamSpec("P")

# The causes of frames that are not in the file and should be.
DISK_SLOW = "disk too slow"
PROCESSOR_SLOW = "processor too slow"
GIVEN_UP = "given up before it was written"
_MOST_BEHIND_S = 0.5  # of the encoders; what waits there is what a kill would cost
_ENCODERS = 2


@dataclass(slots=True)
class Item:
    """One encoded frame, result or event on its way to the disk."""

    camera: str
    moment: Moment
    publish_ns: int
    sequence: int
    messages: Future[Messages] | Messages
    size: int = 0
    calibration: Calibration | None = None  # of a raw frame
    is_refined: bool = False
    is_found: bool = False  # in a frame: grasps, followed points
    stands_alone: bool = True  # whether its colour needs no earlier frame's

    @property
    def is_result(self) -> bool:
        """Whether it belongs to a frame that came before it."""
        return self.is_refined or self.is_found

    @property
    def is_encoded(self) -> bool:
        """Whether its messages are there."""
        return isinstance(self.messages, list) or self.messages.done()

    @property
    def encoded_bytes(self) -> int:
        """How many bytes its messages have; 0 where they could not be made."""
        if isinstance(self.messages, list):
            found = self.messages
        elif self.messages.cancelled() or self.messages.exception() is not None:
            return 0
        else:
            found = self.messages.result()
        return sum(len(data) for _, data in found)


class Backlog:
    """A queue whose items are refused, and counted, where it is full or its encoders lag.

    Hold `condition` while calling `refuses`, `encode`, `put`, `count_drop` and `unsaid`.
    """

    def __init__(self, most_bytes: int) -> None:
        self.condition = threading.Condition()
        self.bytes = 0
        self.drops: Counter[str] = Counter()  # by cause
        self._most_bytes = most_bytes
        self._items: deque[Item] = deque()
        self._encoding: deque[tuple[float, Future[Messages]]] = deque()  # with when they were put
        self._unsaid: Counter[tuple[str, str]] = Counter()  # drops by camera and cause
        self._encoders = ThreadPoolExecutor(_ENCODERS, "recorder encode")

    def __len__(self) -> int:
        return len(self._items)

    def refuses(self, camera: str, size: int) -> bool:
        """Whether there is no room for so many bytes; counts the drop."""
        while self._encoding and self._encoding[0][1].done():
            self._encoding.popleft()
        # A single item larger than the queue still passes when nothing else waits.
        if self.bytes and self.bytes + size > self._most_bytes:
            self.count_drop(camera, DISK_SLOW)
            return True
        if self._encoding and time.monotonic() - self._encoding[0][0] > _MOST_BEHIND_S:
            self.count_drop(camera, PROCESSOR_SLOW)
            return True
        return False

    def encode(
        self, function: Callable[P, Messages], *args: P.args, **kwargs: P.kwargs
    ) -> Future[Messages]:
        """Have messages made on a thread."""
        future = self._encoders.submit(function, *args, **kwargs)
        self._encoding.append((time.monotonic(), future))
        return future

    def put(self, item: Item) -> None:
        """Add an item."""
        self.bytes += item.size
        self._items.append(item)
        self.condition.notify_all()

    def count_drop(self, camera: str, cause: str) -> None:
        """Note a frame that will not be written."""
        self.drops[cause] += 1
        self._unsaid[camera, cause] += 1

    def unsaid(self) -> list[tuple[str, str, int]]:
        """Return camera, cause and count of drops since the last call."""
        found = [(camera, cause, count) for (camera, cause), count in self._unsaid.items()]
        self._unsaid.clear()
        return found

    def give_up(self) -> None:
        """Forget what waits; frames and results among it are counted as drops."""
        with self.condition:
            for item in self._items:
                if item.calibration is not None or item.is_result:
                    self.count_drop(item.camera, GIVEN_UP)
            self._items.clear()
            self.bytes = 0
            self.condition.notify_all()

    def close(self, *, wait: bool) -> None:
        """End the encoders."""
        self._encoders.shutdown(wait=wait, cancel_futures=wait)

    # ---- on the thread that writes -----------------------------------------------------------

    def take(self, stop: threading.Event, until_s: float) -> Item | None:
        """Return the next item once it is encoded; None at a time, or when all is done."""
        with self.condition:
            while not self._items and not stop.is_set():
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return None
                self.condition.wait(left_s)
            item = self._items[0] if self._items else None
        if item is None or not _is_encoded(item, until_s):
            return None
        with self.condition:
            if not self._items or self._items[0] is not item:
                return None  # given up meanwhile
            return self._items.popleft()

    def note_written(self, item: Item) -> None:
        """Free an item's room."""
        with self.condition:
            self.bytes = max(0, self.bytes - item.size)


def _is_encoded(item: Item, until_s: float) -> bool:
    if isinstance(item.messages, list):
        return True
    try:
        item.messages.exception(max(0.0, until_s - time.monotonic()))
    except NotDoneError:
        return False
    return True
