"""Lets through to a server on the loopback who brings the token; Foxglove's SDK asks for none.

The token stands in the address, ``ws://HOST:PORT/?token=...``, or in the header
``Authorization: Bearer ...``. All bytes but that first request pass unread.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
from urllib.parse import parse_qs, urlsplit

from lingbot_live.system.worker import Worker

_HEAD_S, _HEAD_BYTES = 5.0, 1 << 14  # for the first request, and of it
_PIECE = 1 << 18
_REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_POLL_S = 0.1


class Gate:
    """Listens at an address on a thread of its own, and passes on to a port of this machine."""

    def __init__(self, host: str, port: int, inner: int, token: str) -> None:
        self._host, self._port, self._inner, self._token = host, port, inner, token
        self._worker = Worker(f"gate {port}", lambda stop: asyncio.run(self._serve(stop)))
        self._worker.start()

    def close(self) -> None:
        """Cut all connections."""
        self._worker.request_stop()
        self._worker.join(2.0)

    async def _serve(self, stop: threading.Event) -> None:
        server = await asyncio.start_server(self._answer, self._host, self._port, limit=_HEAD_BYTES)
        while not stop.is_set():
            await asyncio.sleep(_POLL_S)
        server.close()  # asyncio.run ends what still passes

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_S)
            if not is_allowed(head, self._token):
                writer.write(_REFUSED)
                await writer.drain()
                return
            inner = await asyncio.open_connection("127.0.0.1", self._inner)
            inner[1].write(head)
            await asyncio.gather(_pass(reader, inner[1]), _pass(inner[0], writer))
        except (OSError, EOFError, asyncio.TimeoutError, asyncio.LimitOverrunError):
            return  # a visitor who speaks no HTTP, or left
        finally:
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def is_allowed(head: bytes, token: str) -> bool:
    """Whether the first request of a connection brings the token."""
    request, *headers = head.decode("latin-1").split("\r\n")
    words = request.split(" ")
    given = parse_qs(urlsplit(words[1]).query).get("token", []) if len(words) == 3 else []
    for line in headers:
        name, _, value = line.partition(":")
        if name.lower() == "authorization":
            given.append(value.strip().removeprefix("Bearer "))
    return any(hmac.compare_digest(one.encode(), token.encode()) for one in given)
