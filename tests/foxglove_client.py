"""A client of Foxglove's WebSocket protocol that is not ours: `websockets`, and protobuf by the
schemas that the server itself tells."""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from websockets import Subprotocol
from websockets.sync.client import ClientConnection, connect

PROTOCOL = "foxglove.sdk.v1"
_DATA, _REPLY = 1, 3  # opcodes of the server
_CALL = 2  # opcode of a client


class FoxgloveClient:
    """Subscribes to topics and keeps their messages."""

    def __init__(self, url: str, topics: Callable[[str], bool], timeout_s: float = 10.0) -> None:
        self._stack = ExitStack()
        self.socket: ClientConnection = self._stack.enter_context(
            connect(url, subprotocols=[Subprotocol(PROTOCOL)], max_size=1 << 26)
        )
        self.channels: dict[int, dict[str, Any]] = {}
        self.messages: dict[str, list[tuple[int, Any]]] = {}  # by topic: log time and message
        self.parameters: dict[str, Any] = {}
        self.services: dict[str, int] = {}
        self.replies: list[dict[str, Any]] = []
        self.statuses: list[str] = []
        self._wanted = topics
        self._types: dict[int, type] = {}
        self._timeout_s = timeout_s

    def read_until(self, condition: Callable[[FoxgloveClient], bool]) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not condition(self):
            assert time.monotonic() < deadline, f"waited in vain; got {self.counts()}"
            self._handle(self.socket.recv(timeout=self._timeout_s))

    def counts(self) -> dict[str, int]:
        return {topic: len(found) for topic, found in self.messages.items()}

    def get_parameters(self) -> None:
        self.socket.send(json.dumps({"op": "getParameters", "parameterNames": [], "id": "all"}))

    def set_parameter(self, name: str, value: Any) -> None:
        told = {"op": "setParameters", "parameters": [{"name": name, "value": value}], "id": name}
        self.socket.send(json.dumps(told))

    def call(self, service: str, payload: bytes) -> dict[str, Any]:
        """Call a service with JSON, or what is none; returns its answer."""
        head = struct.pack("<BIII", _CALL, self.services[service], 1, 4)
        self.socket.send(head + b"json" + payload)
        before = len(self.replies)
        self.read_until(lambda c: len(c.replies) > before)
        return self.replies[-1]

    def topics(self) -> dict[str, dict[str, Any]]:
        return {channel["topic"]: channel for channel in self.channels.values()}

    def close(self) -> None:
        self._stack.close()

    def _handle(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            if data[0] == _DATA:
                number, log_ns = struct.unpack_from("<IQ", data, 1)
                topic = self.channels[number]["topic"]
                message = self._types[number].FromString(data[13:])
                self.messages.setdefault(topic, []).append((log_ns, message))
            elif data[0] == _REPLY:
                length = struct.unpack_from("<I", data, 9)[0]
                self.replies.append(json.loads(data[13 + length :]))
            return
        told = json.loads(data)
        if told["op"] == "parameterValues":
            self.parameters = {p["name"]: p["value"] for p in told["parameters"]}
        elif told["op"] == "advertiseServices":
            self.services |= {s["name"]: s["id"] for s in told["services"]}
        elif told["op"] == "status":
            self.statuses.append(told["message"])
            if "nknown channel" in told["message"]:  # announced a moment before it was known
                time.sleep(0.2)
                self._subscribe([n for n in self._types if not self._heard(n)])
        if told["op"] == "advertise":
            found = [c for c in told["channels"] if c["encoding"] == "protobuf"]
            new = [c for c in found if self._wanted(c["topic"])]
            for channel in told["channels"]:
                self.channels[channel["id"]] = channel
            for channel in new:
                self._types[channel["id"]] = _message_type(channel)
            self._subscribe([c["id"] for c in new])

    def _heard(self, number: int) -> bool:
        return self.channels[number]["topic"] in self.messages

    def _subscribe(self, numbers: list[int]) -> None:
        if numbers:
            asked = [{"id": number, "channelId": number} for number in numbers]
            self.socket.send(json.dumps({"op": "subscribe", "subscriptions": asked}))


def _message_type(channel: dict[str, Any]) -> type:
    files = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(channel["schema"]))
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    found: type = message_factory.GetMessageClass(pool.FindMessageTypeByName(channel["schemaName"]))
    return found
