"""An SQLite file of rosbag2 (``.db3``) as a source of messages."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.bags.database import connect
from lingbot_live.recording.bags.order import Order, Times, in_order
from lingbot_live.recording.foreign.messages import MOST_MESSAGE, Channel, Data
from lingbot_live.recording.mcap.records import MOST_TIME_NS


class SqliteSource:
    """The `MessageSource` of a ``.db3`` file.

    Raises:
        CorruptRecordingError: it is no recording of rosbag2, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._explained():
            self._database = connect(path, any_thread=True)
        try:
            with self._explained():
                self._ids, self._order = self._read_index()
                self.channels = self._read_channels()
        except BaseException:
            self._database.close()
            raise

    def times_ns(self, channel: int) -> Times:
        """Return when the messages were received, rising."""
        return self._order[channel].times_ns

    def payload(self, channel: int, row: int) -> Data:
        """Return one message; CorruptRecordingError where it is damaged."""
        number = int(self._ids[channel][self._order[channel].rows[row]])
        query = "SELECT data FROM messages WHERE id = ? AND length(data) <= ?"
        with self._lock, self._explained():
            found = self._database.execute(query, (number, MOST_MESSAGE)).fetchone()
        if found is None:
            raise CorruptRecordingError(
                f"{self._path}: a message is gone, or larger than any image"
            )
        return bytes(found[0])

    def heads(self, channels: Sequence[int], size: int) -> dict[int, list[Data]]:
        """Return how each message begins, without reading the rest."""
        query = "SELECT substr(data, 1, ?) FROM messages WHERE id = ?"
        found: dict[int, list[Data]] = {}
        for channel in channels:
            ids = self._ids[channel][self._order[channel].rows].tolist()
            heads: list[Data] = []
            for number in ids:
                try:
                    with self._lock, self._explained():
                        heads.append(
                            bytes(self._database.execute(query, (size, number)).fetchone()[0])
                        )
                except CorruptRecordingError:
                    heads.append(b"")  # whoever reads the message is told why
            found[channel] = heads
        return found

    def close(self) -> None:
        """Close the file; safe more than once."""
        with self._lock:
            self._database.close()

    def _read_channels(self) -> list[Channel]:
        known = {row[1] for row in self._database.execute("PRAGMA table_info(topics)")}
        encoding = "serialization_format" if "serialization_format" in known else "'cdr'"
        rows = self._database.execute(f"SELECT id, name, type, {encoding} FROM topics ORDER BY id")
        return [
            Channel(int(number), str(name), str(kind), str(form), len(self._ids[number]))
            for number, name, kind, form in rows
            if number in self._ids
        ]

    def _read_index(self) -> tuple[dict[int, Times], dict[int, Order]]:
        rows = self._database.execute("SELECT topic_id, id, timestamp FROM messages ORDER BY id")
        table = np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 3)
        table = table[(table[:, 2] >= 0) & (table[:, 2] < MOST_TIME_NS)]  # others are damaged
        ids = {c: table[table[:, 0] == c, 1] for c in np.unique(table[:, 0]).tolist()}
        times_ns = {c: table[table[:, 0] == c, 2] for c in ids}
        return ids, in_order(times_ns, ids)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, TypeError, ValueError, OverflowError) as error:
            raise CorruptRecordingError(
                f"{self._path}: no recording of rosbag2, or damaged ({error})"
            ) from error
