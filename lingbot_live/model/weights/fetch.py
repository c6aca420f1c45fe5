"""Model hubs: what they list, and the resumable, checked transfer of one file.

huggingface_hub answers what a repository holds, by which checksum, and with which token. The
bytes travel here, because its own download (as of 2.4) throws away what an interrupted run had
fetched, compares no checksum, and can be stopped only between chunks of 10 MB.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from lingbot_live.errors import WeightsError
from lingbot_live.model.weights.files import (
    Progress,
    check_cancel,
    disk_error,
    hash_file,
    megabytes,
    new_hash,
    put_in_place,
)
from lingbot_live.system.worker import IMPORTS

log = logging.getLogger(__name__)

TIMEOUT_S = (10.0, 20.0)  # to connect, and between two pieces of an answer
RETRY_WAITS_S = (0.5, 1.0, 2.0)  # between attempts that bring nothing
_CHUNK_BYTES = 1 << 17
# What the clients raise for a login page in a hub's place, and for a proxy that they cannot use:
# no JSON, other JSON, an unknown scheme, a package that SOCKS would need.
_ODD_ANSWERS = (ImportError, ValueError, KeyError, TypeError, AttributeError)
_RETRIED = (408, 429)  # of the 4xx answers: these pass


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository; ``checksum`` is ``sha256:HEX``, ``git:HEX``, or empty if untold."""

    name: str
    size: int
    checksum: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a hub says a repository holds; ``headers`` (a token, if any) go with each request."""

    hub: str
    repo: str
    revision: str
    files: tuple[HubFile, ...]
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def list_huggingface(repo: str, endpoint: str | None = None) -> Listing:
    """Ask Hugging Face, or the mirror that ``HF_ENDPOINT`` names.

    Raises:
        WeightsError: offline, unreachable, or no such repository.
    """
    with IMPORTS:
        from huggingface_hub import HfApi, hf_hub_url
        from huggingface_hub.errors import (
            GatedRepoError,
            HTTPError,  # of requests, httpx or httpx2, whichever the installed version uses
            RepositoryNotFoundError,
        )
        from huggingface_hub.utils import build_hf_headers

    _refuse_offline(repo)
    api = HfApi(endpoint=endpoint)
    try:
        info = api.model_info(repo, files_metadata=True, timeout=TIMEOUT_S[0])
    except GatedRepoError as error:
        raise WeightsError(
            f"{repo}: accept its terms at {api.endpoint}/{repo}, then set HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise WeightsError(
            f"{repo}: {api.endpoint} has no such model, or it is private (then set HF_TOKEN)"
        ) from error
    except (HTTPError, OSError, *_ODD_ANSWERS) as error:
        raise _unreachable(repo, api.endpoint, error) from error
    files = tuple(
        _huggingface_file(
            entry, hf_hub_url(repo, entry.rfilename, revision=info.sha, endpoint=endpoint)
        )
        for entry in info.siblings or ()
    )
    return Listing("huggingface", repo, str(info.sha), files, build_hf_headers())


def _huggingface_file(entry: Any, url: str) -> HubFile:
    if entry.lfs:
        return HubFile(entry.rfilename, entry.lfs.size, f"sha256:{entry.lfs.sha256}", url)
    checksum = f"git:{entry.blob_id}" if entry.blob_id else ""
    return HubFile(entry.rfilename, entry.size or 0, checksum, url)


def list_modelscope(repo: str, endpoint: str | None = None) -> Listing:
    """Ask ModelScope by its public web interface.

    Raises:
        WeightsError: offline, unreachable, or no such repository.
    """
    import requests

    _refuse_offline(repo)
    base = endpoint or "https://" + os.environ.get("MODELSCOPE_DOMAIN", "www.modelscope.cn")
    url = f"{base}/api/v1/models/{repo}/repo"
    try:
        answer = requests.get(
            f"{url}/files", params={"Revision": "master", "Recursive": "true"}, timeout=TIMEOUT_S
        )
        if answer.status_code in (401, 403, 404):
            raise WeightsError(f"{repo}: {base} has no such model, or it is private")
        answer.raise_for_status()
        entries = answer.json()["Data"]["Files"]
        files = tuple(_modelscope_file(entry, url) for entry in entries if entry["Type"] != "tree")
    except requests.RequestException as error:
        raise _unreachable(repo, base, error) from error
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{repo}: {base} gave an answer that is not a file list") from error
    return Listing("modelscope", repo, "master", files)


def _modelscope_file(entry: dict[str, Any], url: str) -> HubFile:
    query = urlencode({"Revision": "master", "FilePath": entry["Path"]})
    checksum = f"sha256:{entry['Sha256']}" if entry.get("Sha256") else ""
    return HubFile(str(entry["Path"]), int(entry["Size"]), checksum, f"{url}?{query}")


HUBS: dict[str, Callable[[str, str | None], Listing]] = {
    "huggingface": list_huggingface,
    "modelscope": list_modelscope,
}


def _refuse_offline(repo: str) -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise WeightsError(f"{repo}: HF_HUB_OFFLINE is set, so nothing is downloaded")


def _unreachable(repo: str, base: str, error: Exception) -> WeightsError:
    reason = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, ImportError) or "scheme" in reason or "SOCKS" in reason:
        reason = f"its proxy cannot be used: {reason}; set an http:// proxy, or none"
    elif isinstance(error, (ValueError, KeyError, TypeError, AttributeError)):
        reason = "the answer is no list of files; does this network want a login first?"
    return WeightsError(f"{repo}: {base} cannot be reached ({reason})")


def _reason(error: Any) -> str:
    import requests

    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer for {TIMEOUT_S[1]:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return "the answer was cut"


def partial_path(target: Path, file: HubFile) -> Path:
    """Return where the arrived part of a file is kept; a new version of it gets another name."""
    version = file.checksum.partition(":")[2][:16] or str(file.size)
    return target.with_name(f"{target.name}.{version}.part")


class Transfer:
    """Brings one file to ``target``, going on where an earlier transfer stopped.

    ``progress`` is told the bytes of this file. The file appears under its name only when its
    size and checksum are right.
    """

    def __init__(
        self,
        file: HubFile,
        target: Path,
        headers: dict[str, str],
        progress: Progress,
        cancel: threading.Event | None = None,
    ) -> None:
        self._file = file
        self._target = target
        self._part = partial_path(target, file)
        self._headers = headers
        self._progress = progress
        self._cancel = cancel or threading.Event()
        self._hash = new_hash(file.checksum, file.size)
        self._done = 0
        self._failure = "no answer"

    def run(self) -> None:
        """Transfer, check, and put in place.

        Raises:
            DownloadCancelledError: ``cancel`` was set; what has arrived is kept.
            WeightsError: the hub refuses or stays away (what has arrived is kept), the disk is
                full (the same), or size or checksum are wrong (it is removed).
        """
        try:
            self._take_up()
            for wait_s in self._attempts():
                self._cancel.wait(wait_s)
                check_cancel(self._cancel, self._file.name)
                self._stream()
            self._check()
            put_in_place(self._part, self._target)
        except OSError as error:
            raise disk_error(self._target, error) from error

    def _take_up(self) -> None:
        if self._part.exists():
            if self._part.stat().st_size > self._file.size:
                self._part.unlink()
            else:
                hash_file(self._part, self._hash, cancel=self._cancel)
                self._done = self._part.stat().st_size
        self._part.touch()
        self._progress(self._done, self._file.size)

    def _attempts(self) -> Iterator[float]:
        """Yield the wait before each attempt until the file is complete."""
        waits = iter((0.0, *RETRY_WAITS_S))
        while self._done < self._file.size:
            wait_s = next(waits, None)
            if wait_s is None:
                raise WeightsError(
                    f"{self._file.name}: the connection broke after {megabytes(self._done)} of "
                    f"{megabytes(self._file.size)} ({self._failure}). Run it again to go on"
                )
            before = self._done
            yield wait_s
            if self._done > before:
                waits = iter(RETRY_WAITS_S)

    def _stream(self) -> None:
        import requests

        # identity: a packed answer could not be taken up in the middle
        headers = {**self._headers, "Accept-Encoding": "identity"}
        if self._done:
            headers["Range"] = f"bytes={self._done}-"
        try:
            with requests.get(
                self._file.url, headers=headers, stream=True, timeout=TIMEOUT_S
            ) as answer:
                self._accept(answer)
        except requests.RequestException as error:
            self._failure = _reason(error)
            log.warning("%s: %s", self._file.name, self._failure)

    def _accept(self, answer: Any) -> None:
        status = answer.status_code
        if status == 416:
            self._restart()
            return
        if 400 <= status < 500 and status not in _RETRIED:
            raise WeightsError(
                f"{self._file.name}: {self._file.url} answers {status} {answer.reason}"
            )
        answer.raise_for_status()
        if str(answer.headers.get("Content-Type", "")).startswith("text/html"):
            raise WeightsError(
                f"{self._file.name}: {self._file.url} answers with a web page; does this network "
                "want a login first? What has arrived is kept"
            )
        if self._done and not self._goes_on(answer):
            self._restart()
        with self._part.open("ab") as part:
            for chunk in answer.iter_content(_CHUNK_BYTES):
                check_cancel(self._cancel, self._file.name)
                part.write(chunk)
                part.flush()
                self._hash.update(chunk)
                self._done += len(chunk)
                self._refuse_excess()
                self._progress(self._done, self._file.size)

    def _goes_on(self, answer: Any) -> bool:
        span = str(answer.headers.get("Content-Range", ""))
        return answer.status_code == 206 and span.startswith(f"bytes {self._done}-")

    def _restart(self) -> None:
        log.warning("%s: the server cannot go on in the middle; starting anew", self._file.name)
        os.truncate(self._part, 0)
        self._hash = new_hash(self._file.checksum, self._file.size)
        self._done = 0

    def _refuse_excess(self) -> None:
        if self._done > self._file.size:
            self._part.unlink()
            raise WeightsError(
                f"{self._file.name}: more than the {self._file.size} bytes that the hub lists "
                "arrived; they were removed. A proxy may have answered in the hub's place"
            )

    def _check(self) -> None:
        kind, _, expected = self._file.checksum.partition(":")
        if not expected:
            log.warning("%s: the hub tells no checksum; only its size is known", self._file.name)
            return
        if self._hash.hexdigest() != expected.lower():
            self._part.unlink()
            raise WeightsError(
                f"{self._file.name}: the {kind} checksum is {self._hash.hexdigest()}, the hub says "
                f"{expected}; the file was removed. Download it again"
            )
