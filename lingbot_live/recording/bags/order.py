"""Messages in the order they were written, where a computer's clock was set back meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.mcap.records import MOST_TIME_NS

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
    in_file = np.sort(np.concatenate([places[c] for c in times_ns]))
    shifts = _shifts(times_ns, places, in_file, np.unique(np.searchsorted(in_file, set_at)))
    return {
        channel: times + shifts[np.searchsorted(in_file, places[channel])]
        for channel, times in times_ns.items()
    }


def _shifts(
    times_ns: Mapping[int, Times], places: Mapping[int, Times], in_file: Times, starts: Rows
) -> Times:
    """Return by how much the messages of all channels are moved, as they lie in the file (N,).

    ``starts`` are those before which a clock was set.
    """
    order = np.argsort(np.concatenate([places[c] for c in times_ns]), kind="stable")
    times = np.concatenate([times_ns[c] for c in times_ns])[order]
    begins = np.concatenate([[0], starts])
    highest = np.maximum.reduceat(times, begins).tolist()  # of each part
    lowest = np.minimum.accumulate(times[::-1])[::-1][begins].tolist()  # of it and all later ones
    shift_ns, before_ns, found = 0, highest[0], [0]
    for part in range(1, len(begins)):
        # Each channel shows the same moment; the first of them has moved the others, too.
        back_ns = before_ns - (lowest[part] + shift_ns)
        if back_ns > _BACK_NS:
            shift_ns += back_ns + _STEP_NS
        found.append(shift_ns)
        before_ns = max(before_ns, highest[part] + shift_ns)
    if before_ns > MOST_TIME_NS:
        raise CorruptRecordingError("its times go back too often; they are no clock's")
    return np.repeat(np.array(found, np.int64), np.diff([*begins, len(in_file)]))


def _set_back(times_ns: Times, places: Times) -> list[int]:
    """Return the places of messages that lie far before those written before them."""
    order = np.argsort(places, kind="stable")
    back = np.flatnonzero(np.diff(times_ns[order]) < -_BACK_NS) + 1
    return [int(place) for place in places[order][back]]
