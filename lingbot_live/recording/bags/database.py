"""SQLite files opened for reading only."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

_COMPUTED = re.compile(r"\b(VIEW|VIRTUAL|TRIGGER|GENERATED|AS)\b", re.IGNORECASE)


def connect(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Open a database for reading, whatever signs its path holds.

    Views and computed columns are refused: a file made to trip us could have them run for ever.

    Raises:
        sqlite3.Error: it is none, or may not be read.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return _connect(uri, any_thread)
    except sqlite3.OperationalError:
        # What was recorded with a write-ahead log, in a folder where nothing may be written.
        return _connect(f"{uri}&immutable=1", any_thread)


def _connect(uri: str, any_thread: bool) -> sqlite3.Connection:
    database = sqlite3.connect(uri, uri=True, check_same_thread=not any_thread)
    try:
        made = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        if any(_COMPUTED.search(str(text)) for (text,) in made):
            raise sqlite3.DatabaseError("it computes what it holds, as no recorder has it do")
    except sqlite3.Error:
        database.close()
        raise
    return database
