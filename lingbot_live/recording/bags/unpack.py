"""Files packed whole with Zstandard (``.mcap.zstd``, ``.db3.zstd``): unpacked beside, once.

A reader needs to jump about in a file, which a packed one does not allow. The copy lies in a
temporary folder while it is in use, and a little longer: who opens a recording asks a few times.
What a killed process leaves of them, the next one that unpacks removes.
"""

from __future__ import annotations

import atexit
import tempfile
import threading
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from lingbot_live.errors import CorruptRecordingError, RecordingError
from lingbot_live.system.scratch import temporary_folder

MOST_UNUSED = 2  # copies kept for the next time
MOST_RATIO = 100  # of the copy's size to the file's; images are far from it
_ALWAYS_BYTES = 1 << 30  # of a copy, whatever its ratio
_PIECE = 1 << 20
_NAME = "lingbot-live-unpacked"


@dataclass(slots=True)
class _Copy:
    folder: ExitStack
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
        _copies.pop(key).folder.close()


@atexit.register
def _forget_all() -> None:
    while _copies:
        _copies.popitem()[1].folder.close()


def _unpack(path: Path) -> _Copy:
    place, folder = Path(tempfile.gettempdir()), ExitStack()
    try:
        file = folder.enter_context(temporary_folder(_NAME)) / path.stem
        with path.open("rb") as packed, file.open("wb") as target:
            _decompress(packed, target, path)
        return _Copy(folder.pop_all(), file)
    except zstandard.ZstdError as error:
        raise CorruptRecordingError(
            f"{path}: not packed with Zstandard, or damaged ({error}); copy it again"
        ) from error
    except OSError as error:
        raise RecordingError(
            f"{path}: cannot be unpacked into {place} ({error.strerror}); make room there, or "
            "unpack it yourself with `zstd -d`"
        ) from error
    finally:
        folder.close()  # empty where the copy is whole


def _decompress(packed: BinaryIO, target: BinaryIO, path: Path) -> None:
    most = max(_ALWAYS_BYTES, MOST_RATIO * path.stat().st_size)
    written = 0
    with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as pieces:
        while piece := pieces.read(_PIECE):
            written += target.write(piece)
            if written > most:
                raise CorruptRecordingError(
                    f"{path}: unpacks to more than {most / 1e9:.1f} GB, {MOST_RATIO} times its "
                    "size; if you trust it, unpack it yourself with `zstd -d`"
                )
