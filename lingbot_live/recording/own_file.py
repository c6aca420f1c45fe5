"""A session file of lingbot-live: its cameras and events."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import numpy as np

from lingbot_live.cameras.playtime import SHORT_GAP_S
from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.foreign import McapSource, TopicUse
from lingbot_live.recording.format import CAMERA, ROLE, Event, Role, read_event
from lingbot_live.recording.mcap import cdr
from lingbot_live.recording.mcap.places import Times
from lingbot_live.recording.mcap.reader import MessageReader
from lingbot_live.recording.tracks import OwnTrack
from lingbot_live.recording.whole import doubted_chunks

log = logging.getLogger(__name__)


def is_own(reader: MessageReader) -> bool:
    """Whether lingbot-live wrote a file: its channels then say their roles."""
    return any(ROLE in channel.metadata for channel in reader.index.channels.values())


class OwnFile:
    """What is in a session file; ``tracks`` are its cameras, in the file's order."""

    def __init__(self, reader: MessageReader) -> None:
        self._reader = reader
        doubted: set[int] = set()
        for channels in self._cameras().values():
            doubted |= doubted_chunks(reader.index, channels)
        reader.index_anew(sorted(doubted))
        self.tracks = [OwnTrack(name, found, reader) for name, found in self._cameras().items()]

    @property
    def topics(self) -> list[TopicUse]:
        """What every topic with messages holds, in the file's order."""
        return [
            TopicUse(c.topic, c.schema, c.encoding, c.count, self._role(c.number))
            for c in McapSource(self._reader).channels
        ]

    def events(self) -> list[Event]:
        """Return what happened while it was recorded, in order of time; read anew."""
        found = [
            self._event(channel, row)
            for channel in self._with_role(Role.EVENTS)
            for row in range(len(self._reader.entries(channel)))
        ]
        known = [event for event in found if event is not None]
        return sorted(known, key=lambda event: event.time_ns)

    def pauses_ns(self, times_ns: Times) -> list[int]:
        """Return when pauses began that left a hole in the frames' times (N,).

        Only events in such holes are read: a long session has thousands of others.
        """
        steps_ns = np.diff(times_ns)
        least_ns = max(SHORT_GAP_S * 1e9, 3 * float(np.median(steps_ns))) if len(steps_ns) else 0.0
        holes = np.flatnonzero(steps_ns > least_ns)
        found = []
        for channel in self._with_role(Role.EVENTS):
            noted_ns = self._reader.entries(channel).times_ns
            first, end = (np.searchsorted(noted_ns, times_ns[holes + n]) for n in (0, 1))
            rows = itertools.chain.from_iterable(map(range, first.tolist(), end.tolist()))
            events = [self._event(channel, row) for row in rows]
            found += [each.time_ns for each in events if each is not None and each.kind == "pause"]
        return found

    def _event(self, channel: int, row: int) -> Event | None:
        try:
            return read_event(cdr.decode_text(self._reader.payload(channel, row)))
        except CorruptRecordingError as error:
            log.info("an event passed over: %s", error)
            return None

    def _with_role(self, role: Role) -> list[int]:
        index = self._reader.index
        return [
            number
            for number, channel in index.channels.items()
            if channel.metadata.get(ROLE) == role.value and number in index.entries
        ]

    def _role(self, channel: int) -> str:
        metadata = self._reader.index.channels[channel].metadata
        of = f" of {metadata[CAMERA]}" if CAMERA in metadata else ""
        role: str = metadata.get(ROLE, "not used")
        return role.replace("_", " ") + of

    def _cameras(self) -> dict[str, dict[Role, int]]:
        """The channels of each camera by role."""
        cameras: dict[str, dict[Role, int]] = {}
        known: Any = Role._value2member_map_
        for number, channel in self._reader.index.channels.items():
            role = channel.metadata.get(ROLE)
            if role in known and CAMERA in channel.metadata:
                cameras.setdefault(channel.metadata[CAMERA], {})[Role(role)] = number
        return cameras
