"""One slot between two threads: newest wins, and who puts it learns what it replaced."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds at most one item. `put` never waits.

    Several slots may share a condition, so that one consumer can wait for all of them.
    """

    def __init__(self, condition: threading.Condition | None = None) -> None:
        self.condition = condition or threading.Condition()
        self._item: T | None = None

    def put(self, item: T) -> bool:
        """Store ``item`` and wake the consumer; True if an unread one was dropped for it."""
        with self.condition:
            dropped = self._item is not None
            self._item = item
            self.condition.notify_all()
            return dropped

    def take(self, timeout_s: float = 0.0) -> T | None:
        """Remove and return the item, waiting at most ``timeout_s`` for one."""
        deadline = time.monotonic() + timeout_s
        with self.condition:
            while self._item is None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return None
                self.condition.wait(remaining)
            item, self._item = self._item, None
            return item

    @property
    def is_full(self) -> bool:
        """Whether an item waits; only a hint unless the condition is held."""
        return self._item is not None
