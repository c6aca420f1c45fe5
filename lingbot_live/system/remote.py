"""Files by fsspec: ``s3://``, ``gs://`` and others are copied here and back; local paths stay."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from lingbot_live.errors import ConfigError, LingbotLiveError
from lingbot_live.system.outputs import local_path

INSTALL = 'pip install "lingbot-live[cluster]"'
_REMOTE = re.compile(r"(s3|gs|gcs|abfs|abfss|az|hf|memory)://")


class RemoteError(LingbotLiveError):
    """A remote file cannot be read or written."""


def is_remote(path: str) -> bool:
    """Whether a path names a file in some store, and not one here."""
    return _REMOTE.match(path) is not None


def exists(path: str) -> bool:
    """Whether a file is there, here or in a store."""
    if not is_remote(path):
        return local_path(path).exists()
    with _told(path):
        return bool(_store(path).exists(path))


def local_copy(path: str) -> Path:
    """Return a local file's own path, or that of a copy, fetched once while it does not change.

    Raises:
        RemoteError: it cannot be fetched.
    """
    if not is_remote(path):
        return local_path(path)
    with _told(path):
        store = _store(path)
        told = {k: str(v) for k, v in store.info(path).items() if k in _IDENTITY}
        key = hashlib.sha256(f"{path} {sorted(told.items())}".encode()).hexdigest()[:16]
        copy = platformdirs.user_cache_path("lingbot-live") / "remote" / key / Path(path).name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(copy.with_suffix(".lock")):
            if not copy.exists():
                part = copy.with_suffix(".part")
                store.get(path, str(part))
                part.replace(copy)
    return copy


def local_address(address: str) -> str:
    """Return a camera's address as it is, or that of a copy where it is a file in a store.

    Raises:
        RemoteError: it cannot be fetched.
    """
    return str(local_copy(address)) if is_remote(address) else address


def put(local: Path, path: str) -> None:
    """Give a whole local file its place, here or in a store, where it appears whole.

    Raises:
        RemoteError: it cannot be written.
    """
    if is_remote(path):
        with _told(path):
            _store(path).put(str(local), path)
    else:
        local.replace(local_path(path))


def remove(path: str) -> None:
    """Delete a file."""
    if is_remote(path):
        with _told(path):
            _store(path).rm(path)
    else:
        local_path(path).unlink()


_IDENTITY = ("size", "ETag", "etag", "LastModified", "mtime", "updated", "created")


def _store(path: str) -> Any:
    if importlib.util.find_spec("fsspec") is None:
        raise ConfigError(f"{path}: fsspec is not installed. Run: {INSTALL}")
    import fsspec

    scheme = path.partition("://")[0]
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        words = " ".join(str(error).split())
        raise ConfigError(f"{path}: nothing here reads {scheme}:// ({words})") from error


class _told:  # noqa: N801 - reads as a word of its with statement
    """Turns what a store raises into one line with the path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, LingbotLiveError):
            words = " ".join(str(error).split()) or type(error).__name__
            raise RemoteError(f"{self._path}: {words}; check the address and the keys") from error
