"""Which colour image belongs to which depth image, by when they were taken."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.messages import HEAD_BYTES, Channel, MessageSource, Times
from lingbot_live.recording.mcap.records import MOST_TIME_NS

Rows = npt.NDArray[np.intp]

_FAR_NS = 100_000_000  # images further apart belong to no frame
_EQUAL_NS = 1_000
_MOST_KNOWN = 16
_SPREAD = 0.75  # of the colour period; the nearest lies within half of it, but for jitter


@dataclass(frozen=True, slots=True)
class Pairs:
    """For each depth row that has a partner: its row and that of its colour image."""

    depth: Rows
    color: Rows
    alone: int  # depth images without one
    by: str  # "header stamp" or "log time"


def pair(
    source: MessageSource, depth: Channel, color: Channel, file: Hashable | None = None
) -> Pairs:
    """Pair two channels by header stamps; by log times where stamps say nothing.

    A recorder that logs both images of a frame at the same time, which no network does, is believed
    over stamps that differ: those are then times of arrival.

    Stamps lie in the messages, so a packed file is unpacked for them; ``file``, equal for the same
    unchanged file, keeps the result for the next who opens it.
    """
    key = file, depth.number, color.number
    with _lock:
        if file is not None and key in _known:
            return _known[key]
    found = _pair(source, depth, color)
    with _lock:
        _known[key] = found
        while len(_known) > _MOST_KNOWN:
            _known.popitem(last=False)
    return found


def _pair(source: MessageSource, depth: Channel, color: Channel) -> Pairs:
    logged = source.times_ns(depth.number), source.times_ns(color.number)
    heads = source.heads((depth.number, color.number), HEAD_BYTES)
    stamped = tuple(
        _stamps(channel, heads[channel.number], times)
        for channel, times in zip((depth, color), logged, strict=True)
    )
    by_log, by_stamp = _nearest(logged[1], logged[0]), None
    if stamped[0] is not None and stamped[1] is not None:
        by_stamp = _nearest(stamped[1], stamped[0])
        apart = np.abs(stamped[1][by_stamp] - stamped[0])
        equal_logs = np.abs(logged[1][by_log] - logged[0]) <= _EQUAL_NS
        is_exact = np.median(apart) <= _EQUAL_NS or not np.mean(equal_logs) >= 0.5
        if is_exact and np.median(apart) <= _FAR_NS:
            return _kept(by_stamp, apart, stamped[1], "header stamp")
    apart = np.abs(logged[1][by_log] - logged[0])
    return _kept(by_log, apart, logged[1], "log time")


_known: OrderedDict[tuple[Hashable, int, int], Pairs] = OrderedDict()
_lock = threading.Lock()


def _kept(rows: Rows, apart: Times, times: Times, by: str) -> Pairs:
    steps = np.diff(np.sort(times))
    period = float(np.median(steps[steps > 0])) if (steps > 0).any() else float(_FAR_NS)
    near = apart <= min(_SPREAD * period, _FAR_NS)
    kept = np.flatnonzero(near)
    return Pairs(kept, rows[kept], int((~near).sum()), by)


def _stamps(channel: Channel, heads: list[bytes | memoryview], logged: Times) -> Times | None:
    """Return each message's stamp, a guess for damaged ones; None where stamps were not set."""
    reader = decoder(channel.encoding)
    if reader is None:
        return None
    headers = [reader.header(channel, head) if len(head) else None for head in heads]
    read = [0 if h is None else h.stamp_ns for h in headers]
    stamps = np.array([ns if 0 <= ns < MOST_TIME_NS else 0 for ns in read], np.int64)
    known = stamps != 0
    if not known.any() or (known.sum() > 1 and np.ptp(stamps[known]) == 0):
        return None
    delay = np.median((logged - stamps)[known])
    return np.where(known, stamps, logged - np.int64(delay))


def _nearest(times: Times, wanted: Times) -> Rows:
    """Return the row of ``times``, in any order, nearest to each one wanted."""
    order = np.argsort(times, kind="stable")
    rising = times[order]
    after = np.clip(np.searchsorted(rising, wanted), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    closer = np.abs(rising[before] - wanted) <= np.abs(rising[after] - wanted)
    rows: Rows = order[np.where(closer, before, after)]
    return rows
