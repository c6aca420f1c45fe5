"""Where output may go: never over, into or around what is read, nor over what others wrote."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from urllib.request import url2pathname

from lingbot_live import __version__
from lingbot_live.errors import ConfigError

MARK = f"lingbot-live {__version__}"
"""Every file that this app writes over on a later run says so in its first or last bytes."""

_OURS = re.compile(rb"lingbot-live")
_LOOK = 1 << 16  # bytes at either end
_FILE = re.compile(r"file:(?://[^/]*)?(?=/)", re.IGNORECASE)
_STORE = re.compile(r"(s3|gs|gcs|abfs|abfss|az|hf|memory):/")


def local_path(text: str | Path) -> Path:
    """Return the path that a text names, as people write one: with ``~``, or ``file:///``."""
    given = str(text)
    address = _FILE.match(given)
    path = Path(url2pathname(given[address.end() :]) if address else given)
    try:
        return path.expanduser()
    except RuntimeError:  # ~somebody who has no home: a file may be called so
        return path


def is_in_store(path: str | Path) -> bool:
    """Whether a path names a file in some store that fsspec knows, and not one here."""
    return _STORE.match(path.as_posix() if isinstance(path, Path) else path) is not None


def understood(word: str) -> str:
    """Return a word of a command line with the path in it as `local_path` reads it."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    if value.startswith("~") or _FILE.match(value):
        value = str(local_path(value))
    return option + equals + value


def check_apart(output: Path, inputs: Iterable[Path]) -> None:
    """Raise ConfigError where ``output`` is an input by whatever name, or lies in or around one.

    Or where it lies in a store: what is written there goes by `lingbot_live.system.remote`.
    """
    if is_in_store(output):
        raise ConfigError(
            f"{output}: export, grasps, reconstruct, track and refine --ray write to a store, this "
            "does not; name a file or folder here"
        )
    out = _real(output)
    for given in inputs:
        read = _real(given)
        if out == read or _is_same_file(output, given):
            raise ConfigError(f"{output}: it is the input {given}; choose another name")
        if read in out.parents:
            raise ConfigError(f"{output}: it lies inside of the input {given}; choose another")
        if out in read.parents:
            raise ConfigError(f"{output}: the input {given} lies in it; choose another")


def check_replaceable(output: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise ConfigError where a file ``output`` is an input, or is there and not by this app."""
    check_apart(output, inputs)
    if os.path.lexists(output) and not is_ours(output):
        raise ConfigError(
            f"{output}: it exists, and this app did not write it; choose another name or remove it"
        )


def marked_png(data: bytes) -> bytes:
    """Return a PNG that names this app as its software (PNG specification, 11.3.3.2 tEXt)."""
    text = b"tEXtSoftware\0" + MARK.encode()
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    head = 8 + 25  # the signature and IHDR, which always comes first
    return data[:head] + chunk + data[head:]


def is_ours(path: Path) -> bool:
    """Whether a file says that this app wrote it."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            data = file.read(_LOOK)
            file.seek(max(0, path.stat().st_size - _LOOK))
            return _OURS.search(data + file.read()) is not None
    except OSError:
        return False


def _real(path: Path) -> Path:
    return Path(os.path.realpath(local_path(path)))


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)  # hard links, and names that differ in case alone
    except OSError:
        return False
