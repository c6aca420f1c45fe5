"""What came over a wire: the newest messages of each topic, for who matches and who pairs them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.messages import HEAD_BYTES, Channel, Data, Times

_KEPT = 8  # messages of a topic; older ones are overtaken
_NEAR_NS = 25_000_000  # images further apart are not of one frame


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message."""

    arrival_ns: int  # host monotonic clock
    log_ns: int  # since 1970, by the sender's clock; 0 where it does not say
    stamp_ns: int  # of its header
    data: bytes


class Snapshot:
    """The messages that are kept now, as a `MessageSource`."""

    def __init__(self, channels: dict[int, Channel], kept: dict[int, list[Arrival]]) -> None:
        self._kept = kept
        self.channels: Sequence[Channel] = [
            replace(channel, count=len(kept[number]))
            for number, channel in channels.items()
            if kept[number]
        ]

    def times_ns(self, channel: int) -> Times:
        """Return when each message was sent, or its stamp."""
        return np.array([m.log_ns or m.stamp_ns for m in self._kept[channel]], np.int64)

    def payload(self, channel: int, row: int) -> Data:
        """Return one message."""
        return self._kept[channel][row].data

    def heads(self, channels: Sequence[int], size: int) -> dict[int, list[Data]]:
        """Return how each message begins."""
        return {c: [m.data[:size] for m in self._kept[c]] for c in channels}

    def close(self) -> None:
        """Nothing is open."""


class Heard:
    """Filled by the thread that receives; all others read. ``error`` is why nothing comes."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.error = ""
        self.overtaken = 0  # images that came and went unread
        self._channels: dict[int, Channel] = {}
        self._kept: dict[int, deque[Arrival]] = {}

    def announce(self, channel: Channel) -> None:
        """Note a topic."""
        with self.condition:
            self._channels[channel.number] = channel
            self._kept.setdefault(channel.number, deque(maxlen=_KEPT))

    def put(self, number: int, log_ns: int, data: bytes) -> None:
        """Take a message in."""
        arrival_ns = time.monotonic_ns()
        channel = self._channels[number]
        reader = decoder(channel.encoding)
        header = None if reader is None else reader.header(channel, data[:HEAD_BYTES])
        stamp_ns = log_ns if header is None else header.stamp_ns
        with self.condition:
            self._kept[number].append(Arrival(arrival_ns, log_ns, stamp_ns, data))
            self.condition.notify_all()

    def fail(self, why: str) -> None:
        """Say that nothing more will come."""
        with self.condition:
            self.error = self.error or why
            self.condition.notify_all()

    def snapshot(self) -> Snapshot:
        """Return what is kept now."""
        with self.condition:
            return Snapshot(dict(self._channels), {n: list(k) for n, k in self._kept.items()})

    def newest(self, number: int) -> Arrival | None:
        """Return the last message of a topic."""
        with self.condition:
            kept = self._kept.get(number)
            return kept[-1] if kept else None

    def take_pair(self, depth: int, color: int, timeout_s: float) -> tuple[Arrival, Arrival] | None:
        """Return the next depth image and its colour, in order; None when none came in time."""
        with self.condition:
            self.condition.wait_for(lambda: self._ready(depth, color) or self.error, timeout_s)
            return self._next(depth, color)

    def _ready(self, depth: int, color: int) -> bool:
        """Whether the oldest depth image has its colour; throws out those that will have none."""
        depths, colors = self._kept[depth], self._kept[color]
        while depths and colors:
            apart = min(abs(c.stamp_ns - depths[0].stamp_ns) for c in colors)
            if apart <= 1000 or (apart <= _NEAR_NS and colors[-1].stamp_ns > depths[0].stamp_ns):
                return True
            if colors[-1].stamp_ns <= depths[0].stamp_ns:
                return False  # its colour may be on its way
            depths.popleft()
            self.overtaken += 1
        return False

    def _next(self, depth: int, color: int) -> tuple[Arrival, Arrival] | None:
        if not self._ready(depth, color):
            return None
        depths, colors = self._kept[depth], self._kept[color]
        image = depths.popleft()
        partner = min(colors, key=lambda c: abs(c.stamp_ns - image.stamp_ns))
        while colors[0] is not partner:
            colors.popleft()
        return image, partner
