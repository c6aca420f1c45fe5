"""An MCAP file as a source of messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.bags.order import in_order
from lingbot_live.recording.foreign.messages import Channel, Data, Times
from lingbot_live.recording.mcap.reader import MessageReader


class McapSource:
    """The `MessageSource` of an MCAP file; who made ``reader`` may close it instead."""

    def __init__(self, reader: MessageReader) -> None:
        self._reader = reader
        index = reader.index
        self.channels = [
            Channel(
                number,
                channel.topic,
                schema.name if (schema := index.schemas.get(channel.schema_id)) else "",
                channel.message_encoding,
                len(index.entries[number]),
                schema.data if schema else b"",
            )
            for number, channel in index.channels.items()
            if number in index.entries
        ]

        numbers = [channel.number for channel in self.channels]
        self._order = in_order(
            {number: reader.entries(number).times_ns for number in numbers},
            _places(reader, numbers),
        )

    def times_ns(self, channel: int) -> Times:
        """Return the log times of a channel's messages."""
        return self._order[channel].times_ns

    def payload(self, channel: int, row: int) -> Data:
        """Return one message; CorruptRecordingError where it is damaged."""
        return self._reader.payload(channel, int(self._order[channel].rows[row]))

    def heads(self, channels: Sequence[int], size: int) -> dict[int, list[Data]]:
        """Return how each message begins; chunk after chunk, so that each is unpacked once."""
        found: dict[int, list[Data]] = {c: [b""] * len(self.times_ns(c)) for c in channels}
        places: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for channel in channels:
            entries, rows = self._reader.entries(channel), self._order[channel].rows
            for row, (entry, chunk) in enumerate(zip(rows, entries.chunk[rows], strict=True)):
                places[int(chunk)].append((channel, row, int(entry)))
        for chunk in sorted(places):
            for channel, row, entry in places[chunk]:
                try:
                    found[channel][row] = self._reader.head(channel, entry, size)
                except CorruptRecordingError:
                    continue  # stays empty; whoever reads the message is told why
        return found

    def close(self) -> None:
        """Close the file; safe more than once."""
        self._reader.close()


def _places(reader: MessageReader, channels: Sequence[int]) -> dict[int, Times]:
    """Return numbers by channel that rise as the messages were written."""
    if not channels:
        return {}
    starts = np.array([chunk.start for chunk in reader.index.chunks] or [0], np.int64)
    entries = [reader.entries(channel) for channel in channels]
    chunk = np.concatenate([one.chunk for one in entries])
    offset = np.concatenate([one.offset for one in entries])
    # A message outside of chunks lies at its offset in the file.
    order = np.lexsort((offset, np.where(chunk < 0, offset, starts[chunk])))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    ends = np.cumsum([len(one) for one in entries])[:-1]
    return dict(zip(channels, np.split(rank, ends), strict=True))
