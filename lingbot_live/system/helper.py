"""A second thread for parts of one owner's work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from lingbot_live.system.cores import take_any_core, usable_cores

A = TypeVar("A")
B = TypeVar("B")


class Begun(Generic[A]):
    """Work that was handed over; its owner does it where nobody has taken it up until it asks."""

    def __init__(self, work: Callable[[], A], pool: ThreadPoolExecutor | None) -> None:
        self._work = work
        self._future = None if pool is None else pool.submit(work)

    def result(self) -> A:
        """Return what came of it, or raise what was raised."""
        if self._future is None or self._future.cancel():
            return self._work()
        return self._future.result()


class Helper:
    """Does what its owner hands over, in order, beside what the owner does itself.

    Where there is no second core, and after `close`, its owner does all. What comes out must not
    hang on who did it, and when. The thread ends by `close`, or with its owner.
    """

    def __init__(self, cores: int | None = None) -> None:
        several = (len(usable_cores()) if cores is None else cores) > 1
        self._pool = ThreadPoolExecutor(1, "helper", take_any_core) if several else None

    def begin(self, work: Callable[[], A]) -> Begun[A]:
        """Have this done meanwhile."""
        return Begun(work, self._pool)

    def each(self, work: Callable[[B], A], parts: Sequence[B]) -> list[A]:
        """Have all parts done, from the first on by the thread, from the last on by its owner."""
        begun = [self.begin(partial(work, part)) for part in parts[:-1]]
        done = [work(part) for part in parts[-1:]]
        done += [part.result() for part in reversed(begun)]
        return done[::-1]

    def close(self) -> None:
        """End the thread; safe more than once."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()


ALONE = Helper(cores=1)
