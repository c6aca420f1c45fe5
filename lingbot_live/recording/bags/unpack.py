"""Files packed whole with Zstandard (``.mcap.zstd``, ``.db3.zstd``): unpacked beside, once.

A reader needs to jump about in a file, which a packed one does not allow. The copy lies in a
temporary folder while it is in use, and a little longer: who opens a recording asks a few times.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import zstandard

from lingbot_live.errors import CorruptRecordingError, RecordingError

MOST_UNUSED = 2  # copies kept for the next time
_PIECE = 1 << 20


@dataclass(slots=True)
class _Copy:
    folder: TemporaryDirectory[str]
    file: Path
    users: int = 0


_copies: OrderedDict[tuple[Path, int, int], _Copy] = OrderedDict()
_lock = threading.Lock()


class Unpacked:
    """The unpacked copy of a file; `close` when done with it.

    Raises:
        CorruptRecordingError: it is not packed with Zstandard, or damaged.
        RecordingError: there is no room for the copy.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        stat = path.stat()
        self._key = path.resolve(), stat.st_size, stat.st_mtime_ns
        with _lock:
            if self._key not in _copies:
                _copies[self._key] = _unpack(path)
            self._copy: _Copy | None = _copies[self._key]
            self._copy.users += 1
            _copies.move_to_end(self._key)
            self.path = self._copy.file

    def close(self) -> None:
        """Let go of the copy; safe more than once."""
        with _lock:
            copy, self._copy = self._copy, None
            if copy is not None:
                copy.users -= 1
                _forget_old()


def _forget_old() -> None:
    unused = [key for key, copy in _copies.items() if not copy.users]
    for key in unused[: max(0, len(unused) - MOST_UNUSED)]:
        _copies.pop(key).folder.cleanup()


def _unpack(path: Path) -> _Copy:
    folder = TemporaryDirectory(prefix="lingbot-live-")
    file = Path(folder.name) / path.stem
    try:
        with path.open("rb") as packed, file.open("wb") as target:
            _decompress(packed, target)
    except zstandard.ZstdError as error:
        folder.cleanup()
        raise CorruptRecordingError(
            f"{path}: not packed with Zstandard, or damaged ({error}); copy it again"
        ) from error
    except OSError as error:
        folder.cleanup()
        raise RecordingError(
            f"{path}: cannot be unpacked into {folder.name} ({error.strerror}); make room there, "
            "or unpack it yourself with `zstd -d`"
        ) from error
    return _Copy(folder, file)


def _decompress(packed: BinaryIO, target: BinaryIO) -> None:
    zstandard.ZstdDecompressor().copy_stream(packed, target, write_size=_PIECE)
