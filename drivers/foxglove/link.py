"""A client of Foxglove's WebSocket protocol, by websockets (github.com/foxglove/ws-protocol)."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import math
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from drivers.common.heard import Heard
from drivers.common.live import CAMERA_TOPIC
from lingbot_live.errors import CameraNotFoundError, DriverUnavailableError
from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.messages import Channel
from lingbot_live.system.worker import Worker

# A cut network is told by the camera, in one line rather than with a traceback.
_quiet = logging.getLogger(f"{__name__}.websockets")
_quiet.setLevel(logging.CRITICAL)

PROTOCOLS = ("foxglove.sdk.v1", "foxglove.websocket.v1")
_INSTALL = 'pip install "lingbot-live[foxglove]"'
_DATA = 1  # opcode of messages
_HEAD = struct.Struct("<BIQ")  # opcode, subscription, time
_MOST_BYTES = 1 << 28
_CONNECT_S = 4.0
_POLL_S = 0.2
_ALIVE_S = 2.0  # between pings, and for an answer
_AGAIN_S, _MOST_AGAIN = 0.3, 5  # from a server's error to asking again, and how often
_ERROR = 2  # level of a status
_BINARY = ("protobuf",)  # schemas that are sent as base64
_REFINED = "/refined/"  # what lingbot-live makes of depth, and we make ourselves


class FoxgloveLink:
    """Subscribes to images, calibrations and transforms, on a thread of its own."""

    def __init__(self, who: str, url: str, heard: Heard, is_wanted: Callable[[str], bool]) -> None:
        self._heard, self._is_wanted = heard, is_wanted
        self._numbers: dict[int, int] = {}  # channel by subscription
        self._again_s, self._again = math.inf, 0  # when to ask again, and how often that was done
        self._stack = ExitStack()
        self._socket = _connected(self._stack, who, url)
        self._worker = Worker(f"hear {who}", self._run, self._fail)
        self._worker.start()

    def keep(self, channels: set[int]) -> None:
        """Ask for no others from now on."""
        others = [number for number, channel in self._numbers.items() if channel not in channels]
        self._numbers = {n: channel for n, channel in self._numbers.items() if channel in channels}
        self._send({"op": "unsubscribe", "subscriptionIds": others})

    def round_trip_s(self) -> float:
        """Return the last ping's time."""
        return float(self._socket.latency)

    def close(self) -> None:
        """Close the connection; one that does not answer is cut."""
        self._worker.request_stop()
        self._worker.join(2.0)
        self._stack.close()

    # ---- on the link's thread ----------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if time.monotonic() > self._again_s:
                self._ask_again()
            try:
                data = self._socket.recv(timeout=_POLL_S)
            except TimeoutError:
                continue
            if isinstance(data, bytes):
                self._take(data)
            else:
                self._obey(json.loads(data))

    def _fail(self, error: BaseException) -> None:
        reason = " ".join(str(error).split()) or type(error).__name__
        self._heard.fail(f"the connection is lost ({reason})")

    def _take(self, data: bytes) -> None:
        if len(data) < _HEAD.size or data[0] != _DATA:
            return
        _, subscription, log_ns = _HEAD.unpack_from(data)
        if subscription in self._numbers:
            self._heard.put(self._numbers[subscription], log_ns, data[_HEAD.size :])

    def _obey(self, told: dict[str, Any]) -> None:
        if told.get("op") == "status" and told.get("level") == _ERROR:
            self._again_s = min(self._again_s, time.monotonic() + _AGAIN_S)
        if told.get("op") != "advertise":
            return
        asked = []
        for entry in told["channels"]:
            channel = _channel(entry)
            if channel is not None and self._is_wanted(channel.topic):
                self._heard.announce(channel)
                self._numbers[channel.number] = channel.number
                asked.append(channel.number)
        self._ask(asked)

    def _ask(self, channels: list[int]) -> None:
        if channels:
            asked = [{"id": number, "channelId": number} for number in channels]
            self._send({"op": "subscribe", "subscriptions": asked})

    def _ask_again(self) -> None:
        """Ask for what is silent: servers announce a channel a moment before they know it."""
        self._again_s = math.inf
        self._again += 1
        if self._again <= _MOST_AGAIN:
            self._ask([number for number in self._numbers if self._heard.newest(number) is None])

    def _send(self, told: dict[str, Any]) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            self._socket.send(json.dumps(told))
        except (ConnectionClosed, OSError) as error:
            self._fail(error)


def _connected(stack: ExitStack, who: str, url: str) -> Any:
    try:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect
    except ImportError as error:
        raise DriverUnavailableError(f"{who}: needs websockets. Run: {_INSTALL}") from error
    try:
        opened = connect(
            url, subprotocols=PROTOCOLS, max_size=_MOST_BYTES, open_timeout=_CONNECT_S,
            close_timeout=1.0, compression=None, ping_interval=_ALIVE_S, ping_timeout=_ALIVE_S,
            proxy=None, logger=_quiet,
        )  # fmt: skip
        return stack.enter_context(opened)
    except (OSError, WebSocketException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CameraNotFoundError(f"{who}: no Foxglove server answers there ({reason})") from error


def _channel(entry: dict[str, Any]) -> Channel | None:
    """Return an advertised channel if it may be of use; None for clouds, logs and the like."""
    topic, schema = str(entry.get("topic", "")), str(entry.get("schemaName", ""))
    encoding, text = str(entry.get("encoding", "")), str(entry.get("schema", ""))
    reader = decoder(encoding)
    is_told = encoding == "json" and topic.endswith(CAMERA_TOPIC)
    if _REFINED in topic or reader is None or not (is_told or reader.knows(schema)):
        return None
    try:
        definition = base64.b64decode(text) if encoding in _BINARY else text.encode()
    except binascii.Error:
        return None
    return Channel(int(entry["id"]), topic, schema, encoding, 0, definition)
