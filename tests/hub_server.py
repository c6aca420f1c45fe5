"""A model hub on 127.0.0.1: the parts of Hugging Face's and ModelScope's HTTP that are used."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves ``files`` of one repository; the other attributes make it misbehave."""

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        self.repo = repo
        self.files = files
        self.lie_about: str | None = None  # a file whose listed checksum is wrong
        self.stop_after: int | None = None  # bytes sent per answer before the line breaks
        self.refuse_status: int | None = None  # answer to every transfer
        self.answers = 0  # transfers that were answered
        self.good_answers: int | None = None  # transfers answered before `refuse_status` applies
        self.ignore_range = False
        self.is_portal = False  # every answer is a login page, as in a hotel
        self.gate: threading.Event | None = None  # waited for in the middle of an answer
        self.halfway: Callable[[], None] | None = None  # called in the middle of an answer
        self.seen: list[tuple[str, str | None]] = []  # path, Range
        self.tokens: list[str | None] = []

        hub = self

        class Handler(_Handler):
            def handle_request(self) -> None:
                hub._answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that close waits for them
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        if self.gate:
            self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def ranges(self) -> list[str | None]:
        return [span for path, span in self.seen if "/resolve/" in path or "FilePath" in path]

    def sha256(self, name: str) -> str:
        if name == self.lie_about:
            return "0" * 64
        return hashlib.sha256(self.files[name]).hexdigest()

    def _answer(self, request: _Handler) -> None:
        self.seen.append((request.path, request.headers.get("Range")))
        self.tokens.append(request.headers.get("Authorization"))
        if self.is_portal:
            request.send_page("<html>Please log in</html>")
            return
        path = urlsplit(request.path)
        query = parse_qs(path.query)
        if path.path in (f"/api/models/{self.repo}", f"/api/models/{self.repo}/revision/main"):
            request.send_json(200, self._huggingface_info())
        elif path.path == f"/api/v1/models/{self.repo}/repo/files":
            request.send_json(200, self._modelscope_files())
        elif path.path == f"/api/v1/models/{self.repo}/repo":
            self._send_file(request, query["FilePath"][0])
        elif path.path.startswith(f"/{self.repo}/resolve/{COMMIT}/"):
            self._send_file(request, path.path.rpartition("/")[2])
        else:
            request.send_json(404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})

    def _huggingface_info(self) -> dict[str, object]:
        return {
            "id": self.repo,
            "modelId": self.repo,
            "sha": COMMIT,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [self._sibling(name) for name in self.files],
        }

    def _sibling(self, name: str) -> dict[str, object]:
        content = self.files[name]
        entry: dict[str, object] = {
            "rfilename": name,
            "size": len(content),
            "blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
        }
        if not name.endswith(".json"):
            entry["lfs"] = {"sha256": self.sha256(name), "size": len(content), "pointerSize": 134}
        return entry

    def _modelscope_files(self) -> dict[str, object]:
        files = [
            {"Name": n, "Path": n, "Type": "blob", "Size": len(c), "Sha256": self.sha256(n)}
            for n, c in self.files.items()
        ]
        return {"Code": 200, "Success": True, "Data": {"Files": files}}

    def _send_file(self, request: _Handler, name: str) -> None:
        self.answers += 1
        late = self.good_answers is not None and self.answers > self.good_answers
        if self.refuse_status and (late or self.good_answers is None):
            request.send_json(self.refuse_status, {"error": "no"})
            return
        content, start = self.files[name], 0
        span = request.headers.get("Range")
        if span and not self.ignore_range:
            start = int(span.removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.send_header("Connection", "close")
        request.end_headers()
        self._send_body(request, content[start:])

    def _send_body(self, request: _Handler, body: bytes) -> None:
        if self.stop_after is not None:
            request.wfile.write(body[: self.stop_after])
            return
        middle = len(body) // 2
        request.wfile.write(body[:middle])
        request.wfile.flush()
        if self.halfway:
            self.halfway()
        if self.gate:
            self.gate.wait(30)
        request.wfile.write(body[middle:])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_request(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self.close_connection = True  # a kept line would hold up `close`; each answer says so
        try:
            self.handle_request()
        except (BrokenPipeError, ConnectionResetError):
            self.log_message("the client stopped, as a test wants it to")

    def send_json(
        self, status: int, content: object, headers: dict[str, str] | None = None
    ) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        ends = {"Content-Length": str(len(body)), "Connection": "close"}
        for key, value in {**(headers or {}), **ends}.items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def send_page(self, page: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Connection", "close")
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""
