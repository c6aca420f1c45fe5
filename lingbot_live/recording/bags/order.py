"""Messages in the order they were written, where a computer's clock was set back meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]

_BACK_NS = 1_000_000_000  # a channel's own messages lie this far back only after a clock was set
_STEP_NS = 33_333_333  # what passes between the two messages around such a moment


@dataclass(frozen=True, slots=True)
class Order:
    """Rows of a channel, and their times, rising."""

    rows: Rows  # (N,)
    times_ns: Times  # (N,)


def in_order(times_ns: Mapping[int, Times], places: Mapping[int, Times]) -> dict[int, Order]:
    """Return each channel's messages in order of time.

    ``times_ns`` (N,) and ``places`` (N,), where in the file they lie, are by channel. Where one
    goes back by more than a second as it was written, the clock was set: what was written later
    counts as later, and its times are moved behind those before. Files that were written topic by
    topic show no such thing.
    """
    moved = _moved(times_ns, places)
    found = {}
    for channel, times in moved.items():
        rows = np.lexsort((places[channel], times))
        found[channel] = Order(rows, times[rows])
    return found


def _moved(times_ns: Mapping[int, Times], places: Mapping[int, Times]) -> Mapping[int, Times]:
    set_at = sorted(place for c in times_ns for place in _set_back(times_ns[c], places[c]))
    if not set_at:
        return times_ns
    moved = {channel: times.copy() for channel, times in times_ns.items()}
    for place in set_at:
        before = max(int(moved[c][places[c] < place].max(initial=0)) for c in moved)
        after = min(
            int(moved[c][places[c] >= place].min(initial=np.iinfo(np.int64).max)) for c in moved
        )
        # Each channel shows the same moment; the first of them has moved the others, too.
        if before - after > _BACK_NS:
            for channel in moved:
                moved[channel][places[channel] >= place] += before - after + _STEP_NS
    return moved


def _set_back(times_ns: Times, places: Times) -> list[int]:
    """Return the places of messages that lie far before those written before them."""
    order = np.argsort(places, kind="stable")
    back = np.flatnonzero(np.diff(times_ns[order]) < -_BACK_NS) + 1
    return [int(place) for place in places[order][back]]
