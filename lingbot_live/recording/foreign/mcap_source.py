"""An MCAP file as a source of messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lingbot_live.errors import CorruptRecordingError
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

    def times_ns(self, channel: int) -> Times:
        """Return the log times of a channel's messages."""
        return self._reader.entries(channel).times_ns

    def payload(self, channel: int, row: int) -> Data:
        """Return one message; CorruptRecordingError where it is damaged."""
        return self._reader.payload(channel, row)

    def heads(self, channels: Sequence[int], size: int) -> dict[int, list[Data]]:
        """Return how each message begins; chunk after chunk, so that each is unpacked once."""
        found: dict[int, list[Data]] = {c: [b""] * len(self.times_ns(c)) for c in channels}
        places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for channel in channels:
            for row, chunk in enumerate(self._reader.entries(channel).chunk.tolist()):
                places[chunk].append((channel, row))
        for chunk in sorted(places):
            for channel, row in places[chunk]:
                try:
                    found[channel][row] = self._reader.head(channel, row, size)
                except CorruptRecordingError:
                    continue  # stays empty; whoever reads the message is told why
        return found

    def close(self) -> None:
        """Close the file; safe more than once."""
        self._reader.close()
