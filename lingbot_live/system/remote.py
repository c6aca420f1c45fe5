"""Files by fsspec: ``s3://``, ``gs://`` and others are copied here and back; local paths stay."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs
from filelock import FileLock

from lingbot_live.errors import ConfigError, LingbotLiveError
from lingbot_live.system.outputs import is_in_store, local_path
from lingbot_live.system.scratch import temporary_folder

INSTALL = 'pip install "lingbot-live[cluster]"'


class RemoteError(LingbotLiveError):
    """A remote file cannot be read or written."""


def is_remote(path: str) -> bool:
    """Whether a path names a file in some store, and not one here."""
    return "://" in path and is_in_store(path)


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


class Delivery:
    """Local places for what a command writes; what is meant for a store goes there at the end.

    Files go in the order in which they were written, none after an error, and none stays where not
    all could go.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._places: list[tuple[Path, str]] = []  # a folder here, and where its content goes

    def __enter__(self) -> Delivery:
        return self

    def place(self, name: str, made: Sequence[str] = ()) -> Path:
        """Return the path here that stands for ``name``, a file or folder that is to be written.

        ``made`` are all names that come of it, where it is not itself.

        Raises:
            ConfigError: one of them is in the store already.
            RemoteError: the store does not answer.
        """
        if not is_remote(name):
            return local_path(name)
        for one in made or [name]:
            if exists(one):
                raise ConfigError(f"{one}: it is there already; remove it or choose another name")
        folder = self._stack.enter_context(temporary_folder("lingbot-live-store"))
        base, _, last = name.rstrip("/").rpartition("/")
        self._places.append((folder, base))
        return folder / last

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if error is None:
                self._put_all()
            elif isinstance(error, LingbotLiveError):
                error.args = tuple(self._named(arg) for arg in error.args)

    def _put_all(self) -> None:
        done: list[str] = []
        try:
            for folder, base in self._places:
                files = (path for path in folder.rglob("*") if path.is_file())
                for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
                    done.append(f"{base}/{path.relative_to(folder).as_posix()}")
                    put(path, done[-1])
        except BaseException:
            for name in done:
                with suppress(RemoteError):
                    remove(name)
            raise

    def _named(self, text: object) -> object:
        """Return an error's words with the names that people gave."""
        if isinstance(text, str):
            for folder, base in self._places:
                text = text.replace(str(folder), base)
        return text


def beside(name: str, other: str) -> str:
    """Return a file or folder ``other`` where ``name`` lies."""
    if is_remote(name):
        return f"{name.rstrip('/').rpartition('/')[0]}/{other}"
    return str(local_path(name).parent / other)


def absolute(name: str) -> str:
    """Return a file's or folder's name as any process knows it."""
    return name if is_remote(name) else str(local_path(name).absolute())


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
