"""LingBot-Depth's published weights: which there are, where they lie, how they get here.

Each model has a folder ``models/ORG--NAME`` in the cache folder, with its file under its own name,
so that a file fetched by other means can be put there by hand. A file of that name is complete:
downloads grow under another name until size and checksum are right. Models that other programs
fetched into Hugging Face's own cache are found as well, and never changed. Nothing here imports
torch, and nothing downloads without being asked.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lingbot_live.errors import WeightsError
from lingbot_live.model.half_cache import (
    find_half_cache,
    half_cache_bytes,
    remove_half_cache,
    write_half_cache,
)
from lingbot_live.model.weights.fetch import HUBS, HubFile, Listing, Transfer, partial_path
from lingbot_live.model.weights.files import (
    Progress,
    cache_folder,
    check_cancel,
    disk_error,
    hash_file,
    megabytes,
    new_hash,
    require_space,
    whole_file,
)
from lingbot_live.model.weights.hub_cache import in_huggingface_cache
from lingbot_live.model.weights.zoo import (
    FILE_NAMES,
    HUB_ID,
    RECOMMENDED,
    ZOO,
    Published,
    hub_id,
    model_folder,
    published,
    takes_any,
)
from lingbot_live.system.inputs import from_json, read_text, refuse_special

__all__ = [
    "RECOMMENDED", "ZOO", "Published", "Status", "Verdict", "cache_folder", "download",
    "find_half_cache", "known", "model_folder", "published", "remove", "resolve", "status",
    "verify", "write_half_cache",
]  # fmt: skip

log = logging.getLogger(__name__)

_MANIFEST = "download.json"


@dataclass(frozen=True, slots=True)
class Status:
    """What is here of a model.

    ``state`` is ``present``, ``partial`` (an interrupted download), ``damaged`` (not the size
    that was downloaded) or ``absent``; ``path`` is where the file lies or belongs; ``origin`` a
    hub's name, ``huggingface cache`` or ``by hand``; ``half_bytes`` the size of its fp16 copy.
    """

    name: str
    state: str
    path: Path
    size_bytes: int = 0
    origin: str = ""
    half_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of `verify`: ``ok`` is None where nothing is known to compare with."""

    name: str
    path: Path
    checksum: str
    ok: bool | None
    against: str


def resolve(name_or_path: str = "") -> Path:
    """Return the checkpoint file of a short name, a hub id, a file or a folder; "" is the best.

    Raises:
        WeightsError: there is no such file; says how to get it. Nothing is downloaded.
    """
    name = name_or_path or RECOMMENDED
    path = Path(name).expanduser()
    if not published(name) and path.exists():
        _refuse_special(path)
        return _in_folder(path) if path.is_dir() else path
    if not published(name) and (path.suffix in (".pt", ".safetensors") or path.is_absolute()):
        raise WeightsError(f"{name}: no such file or folder")
    found = status(name)
    if found.state == "present":
        return found.path
    raise WeightsError(f"{name}: {_missing(name, found)}")


def _refuse_special(path: Path) -> None:
    try:
        refuse_special(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error


def _in_folder(folder: Path) -> Path:
    path = _weights_in(folder)
    if path is None:
        raise WeightsError(f"{folder}: holds neither {' nor '.join(FILE_NAMES)}")
    return path


def _weights_in(folder: Path) -> Path | None:
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def _missing(name: str, found: Status) -> str:
    is_what = {
        "absent": "its weights are not here",
        "partial": f"its download stopped after {megabytes(found.size_bytes)}",
        "damaged": f"{found.path} has changed since it was downloaded",
    }[found.state]
    return f"{is_what}. Run: lingbot-live models download {name}\n{_by_hand(name)}"


def _by_hand(name: str) -> str:
    return (
        f"Without a network, put {FILE_NAMES[0]} of https://huggingface.co/{hub_id(name)} "
        f"at {model_folder(name) / FILE_NAMES[0]}"
    )


def status(name: str) -> Status:
    """Return what is here of a model, by short name or hub id."""
    folder = model_folder(name)
    path = _weights_in(folder)
    if path is not None:
        manifest = _read_manifest(folder)
        state = "present" if _sizes_fit(folder, manifest) else "damaged"
        origin = manifest.hub if manifest else "by hand"
        return Status(name, state, path, path.stat().st_size, origin, half_cache_bytes(path))
    path = in_huggingface_cache(name)
    if path is not None:
        size, half = path.stat().st_size, half_cache_bytes(path)
        return Status(name, "present", path, size, "huggingface cache", half)
    partial_bytes = sum(part.stat().st_size for part in folder.glob("*.part"))
    state = "partial" if partial_bytes else "absent"
    return Status(name, state, folder / FILE_NAMES[0], partial_bytes)


def known() -> list[Status]:
    """Return the status of every published model, then of all others in the cache folder."""
    found = [status(entry.name) for entry in ZOO]
    listed = {model_folder(entry.name) for entry in ZOO}
    folders = sorted((cache_folder() / "models").glob("[!.]*--*"))
    others = [folder.name.replace("--", "/", 1) for folder in folders if folder not in listed]
    return found + [status(name) for name in others]


def _read_manifest(folder: Path) -> Listing | None:
    try:
        data = from_json(read_text(folder / _MANIFEST))
        files = tuple(HubFile(**entry) for entry in data["files"])
        return Listing(data["hub"], data["repo"], data["revision"], files)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s: cannot be read (%s)", folder / _MANIFEST, error)
        return None


def _write_manifest(folder: Path, listing: Listing) -> None:
    data = {
        "hub": listing.hub,
        "repo": listing.repo,
        "revision": listing.revision,
        "files": [asdict(file) for file in listing.files],
    }
    with whole_file(folder / _MANIFEST) as temporary:
        temporary.write_text(json.dumps(data, indent=1), encoding="utf-8")


def _sizes_fit(folder: Path, manifest: Listing | None) -> bool:
    return manifest is None or all(
        (folder / file.name).is_file() and (folder / file.name).stat().st_size == file.size
        for file in manifest.files
    )


def download(
    name: str,
    hub: str = "huggingface",
    *,
    endpoint: str | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    any_weights: bool = False,
) -> Path:
    """Bring a model's weights here, if they are not, and return their path.

    ``progress`` is called from this thread with (bytes done, bytes in all), ``cancel`` stops it
    (within 20 s if the line is dead). An interrupted download goes on where it stopped. Safe to
    run twice at once: the second waits for the first.

    Raises:
        DownloadCancelledError: ``cancel`` was set.
        WeightsError: no network, no such model, wrong checksum, disk full; or the hub has other
            weights than this program knows, which ``any_weights`` accepts.
    """
    if hub not in HUBS:
        raise WeightsError(f"no hub is called {hub!r}. Known: {', '.join(HUBS)}")
    folder = model_folder(name)
    with _alone_with(folder, cancel):
        found = status(name)
        if found.state == "present":
            return found.path
        if found.state == "damaged":
            found.path.unlink()
        listing = _wanted(name, _listing(name, hub, endpoint), any_weights)
        _transfer(folder, listing, progress, cancel)
        return folder / listing.files[-1].name


def _listing(name: str, hub: str, endpoint: str | None) -> Listing:
    entry = published(name)
    repo = entry.modelscope if entry and hub == "modelscope" else hub_id(name)
    try:
        return HUBS[hub](repo, endpoint)
    except WeightsError as error:
        raise WeightsError(f"{error}.\n{_by_hand(name)}") from error


def _wanted(name: str, listing: Listing, any_weights: bool) -> Listing:
    """Keep what the network needs of a repository, the weights last."""
    by_name = {file.name: file for file in listing.files}
    weights = next((by_name[n] for n in FILE_NAMES if n in by_name), None)
    if weights is None:
        raise WeightsError(
            f"{listing.repo}: holds neither {' nor '.join(FILE_NAMES)}, so it is not a "
            "LingBot-Depth model"
        )
    if not (any_weights or takes_any()):
        weights = _pinned(name, weights)
    beside = ["config.json"] if weights.name.endswith(".safetensors") else []
    files = [by_name[n] for n in beside if n in by_name]
    return Listing(listing.hub, listing.repo, listing.revision, (*files, weights), listing.headers)


def _pinned(name: str, weights: HubFile) -> HubFile:
    """Return the file with the checksum that this program knows; WeightsError for another's."""
    entry = published(name)
    if entry is None or not entry.sha256:
        return weights
    known = f"sha256:{entry.sha256}"
    if weights.name != FILE_NAMES[0] or weights.checksum not in ("", known):
        raise WeightsError(
            f"{name}: the hub's {weights.name} has the checksum {weights.checksum or 'unknown'}, "
            f"this program knows {known}. If the model was published anew, add --any"
        )
    return replace(weights, checksum=known)


def _transfer(
    folder: Path,
    listing: Listing,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> None:
    folder.mkdir(exist_ok=True)
    total = sum(file.size for file in listing.files)
    parts = {partial_path(folder / file.name, file) for file in listing.files}
    for stale in set(folder.glob("*.part")) - parts:
        stale.unlink()
    arrived = sum(part.stat().st_size for part in parts if part.exists())
    require_space(folder, total - arrived)
    before = 0
    for file in listing.files:

        def tell(done: int, _: int, before: int = before) -> None:
            if progress:
                progress(before + done, total)

        if file is listing.files[-1]:
            # before the weights, whose presence says that all is here
            _write_manifest(folder, listing)
        Transfer(file, folder / file.name, listing.headers, tell, cancel).run()
        before += file.size


@contextmanager
def _alone_with(folder: Path, cancel: threading.Event | None, wait: bool = True) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder.parent / f".{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0.2 if wait else 0)
            except Timeout:
                if not wait:
                    raise WeightsError(f"{folder.name}: is being downloaded right now") from None
                check_cancel(cancel, folder.name)
        yield
    except OSError as error:
        raise disk_error(folder, error) from error
    finally:
        lock.release()


def verify(
    name: str,
    *,
    endpoint: str | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Verdict:
    """Read a model's file and compare its checksum with the hub's.

    Raises:
        WeightsError: the model is not here.
    """
    path = resolve(name)
    size = path.stat().st_size
    expected, against = _expected(name, path, endpoint)
    digest = new_hash(expected, size)
    hash_file(path, digest, progress, cancel)
    checksum = f"{expected.partition(':')[0] or 'sha256'}:{digest.hexdigest()}"
    return Verdict(name, path, checksum, checksum == expected if expected else None, against)


def _expected(name: str, path: Path, endpoint: str | None) -> tuple[str, str]:
    """Return the checksum that a file should have and who says so; both empty if nobody does."""
    manifest = _read_manifest(path.parent)
    for file in manifest.files if manifest else ():
        if file.name == path.name and file.checksum:
            return file.checksum, f"{manifest.hub if manifest else ''} at download"
    # Hugging Face's cache names a file by its checksum and links to it
    blob = path.resolve().name
    if path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob):
        return f"sha256:{blob}", "huggingface cache"
    if Path(name).exists() or not (published(name) or HUB_ID.fullmatch(name)):
        return "", "nothing known"
    return _from_hub(name, path, endpoint)


def _from_hub(name: str, path: Path, endpoint: str | None) -> tuple[str, str]:
    try:
        listing = HUBS["huggingface"](hub_id(name), endpoint)
    except WeightsError as error:
        log.warning("%s", error)
        entry = published(name)
        known_sum = entry.sha256 if entry and path.name == FILE_NAMES[0] else ""
        return (f"sha256:{known_sum}", "this program") if known_sum else ("", "nothing known")
    sums: dict[str, Any] = {file.name: file.checksum for file in listing.files}
    return sums.get(path.name, ""), "huggingface now"


def remove(name: str) -> int:
    """Remove what this program keeps of a model and return the bytes that freed.

    For a path, only its fp16 copy goes; for a model in Hugging Face's own cache likewise.

    Raises:
        WeightsError: there is no such model, or it is being downloaded.
    """
    path = Path(name).expanduser()
    if not published(name) and path.exists():
        return remove_half_cache(_in_folder(path) if path.is_dir() else path)
    folder = model_folder(name)
    freed = remove_half_cache(status(name).path)
    if folder.exists():
        with _alone_with(folder, None, wait=False):
            freed += sum(path.stat().st_size for path in folder.iterdir())
            shutil.rmtree(folder)
    return freed
