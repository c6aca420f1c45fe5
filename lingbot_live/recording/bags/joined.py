"""Several files of one recording, one behind the other; and messages that are packed one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import zstandard

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.bags.order import Order, Times, in_order
from lingbot_live.recording.foreign.messages import (
    MOST_MESSAGE,
    Channel,
    Data,
    MessageSource,
)

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # no CDR message begins so


class JoinedSource:
    """The `MessageSource` of the parts of a split recording, in the order of ``parts``."""

    def __init__(self, parts: Sequence[MessageSource]) -> None:
        self._parts = parts
        named: dict[tuple[str, str, str], list[tuple[int, Channel]]] = {}
        for number, part in enumerate(parts):
            for channel in part.channels:
                key = (channel.topic, channel.schema, channel.encoding)
                named.setdefault(key, []).append((number, channel))
        self._members = dict(enumerate(named.values()))
        self.channels = [_joined(number, found) for number, found in self._members.items()]
        self._rows = {number: _rows(found) for number, found in self._members.items()}
        self._order: dict[int, Order] = in_order(
            {number: self._times(number) for number in self._members},
            {number: (rows[:, 0] << 40) + rows[:, 2] for number, rows in self._rows.items()},
        )

    def times_ns(self, channel: int) -> Times:
        """Return when the messages were received, rising."""
        return self._order[channel].times_ns

    def payload(self, channel: int, row: int) -> Data:
        """Return one message; CorruptRecordingError where it is damaged."""
        part, number, inner = map(int, self._rows[channel][self._order[channel].rows[row]])
        return self._parts[part].payload(number, inner)

    def heads(self, channels: Sequence[int], size: int) -> dict[int, list[Data]]:
        """Return how each message begins, part after part."""
        by_part: dict[int, list[int]] = {}
        for channel in channels:
            for part, one in self._members[channel]:
                by_part.setdefault(part, []).append(one.number)
        found = {p: self._parts[p].heads(numbers, size) for p, numbers in by_part.items()}
        return {
            channel: [
                found[part][number][row]
                for part, number, row in self._rows[channel][self._order[channel].rows].tolist()
            ]
            for channel in channels
        }

    def close(self) -> None:
        """Close all files; safe more than once."""
        for part in self._parts:
            part.close()

    def _times(self, channel: int) -> Times:
        return np.concatenate(
            [self._parts[part].times_ns(one.number) for part, one in self._members[channel]]
        )


def _joined(number: int, found: list[tuple[int, Channel]]) -> Channel:
    first, count = found[0][1], sum(one.count for _, one in found)
    return Channel(number, first.topic, first.schema, first.encoding, count, first.definition)


def _rows(found: list[tuple[int, Channel]]) -> Times:
    """Return part, channel in it and row in that, (N, 3)."""
    return np.concatenate(
        [
            np.stack(np.broadcast_arrays(part, one.number, np.arange(one.count, dtype=np.int64)), 1)
            for part, one in found
        ]
    )


class UnpackedSource:
    """A `MessageSource` whose CDR messages may each be packed with Zstandard, as rosbag2 does."""

    def __init__(self, source: MessageSource) -> None:
        self._source = source
        self.channels = source.channels
        self._may_be_packed = {one.number for one in source.channels if one.encoding == "cdr"}

    def times_ns(self, channel: int) -> Times:
        """Return when the messages were received, rising."""
        return self._source.times_ns(channel)

    def payload(self, channel: int, row: int) -> Data:
        """Return one message; CorruptRecordingError where it is damaged."""
        data = self._source.payload(channel, row)
        return _unpacked(data) if self._is_packed(channel, data) else data

    def heads(self, channels: Sequence[int], size: int) -> dict[int, list[Data]]:
        """Return how each message begins; those that are packed have to be read whole."""
        found = self._source.heads(channels, size)
        for channel, heads in found.items():
            for row, head in enumerate(heads):
                if self._is_packed(channel, head):
                    heads[row] = self._head(channel, row, size)
        return found

    def close(self) -> None:
        """Close the file; safe more than once."""
        self._source.close()

    def _is_packed(self, channel: int, data: Data) -> bool:
        return channel in self._may_be_packed and bytes(data[:4]) == _ZSTD_MAGIC

    def _head(self, channel: int, row: int, size: int) -> bytes:
        try:
            return _unpacked(self._source.payload(channel, row), size)
        except CorruptRecordingError:
            return b""  # whoever reads the message is told why


def _unpacked(data: Data, most: int = MOST_MESSAGE) -> bytes:
    """Return the first ``most`` bytes of what is packed."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            return reader.read(most) if most < MOST_MESSAGE else _whole(reader)
    except (zstandard.ZstdError, MemoryError) as error:
        raise CorruptRecordingError(f"a packed message is damaged ({error})") from error


def _whole(reader: zstandard.ZstdDecompressionReader) -> bytes:
    data: bytes = reader.read(MOST_MESSAGE)
    if reader.read(1):
        raise CorruptRecordingError("a packed message is larger than any image")
    return data
