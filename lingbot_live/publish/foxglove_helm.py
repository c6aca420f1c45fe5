"""What Foxglove's viewers ask for: who looks on, parameters, services. On the server's threads."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from lingbot_live.errors import LingbotLiveError
from lingbot_live.publish.steering import Service, Steering
from lingbot_live.system.worker import Worker

T = TypeVar("T")

_REQUEST = {"type": "object", "properties": {"text": {"type": "string"}}}
_REPLY = {
    "type": "object",
    "properties": {"success": {"type": "boolean"}, "message": {"type": "string"}},
}


class ViewerCount:
    """Counts clients by their subscriptions."""

    server: Any = None

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: Counter[int] = Counter()

    @property
    def count(self) -> int:
        """Clients with a subscription."""
        with self._lock:
            return sum(number > 0 for number in self._subscriptions.values())

    def on_subscribe(self, client: Any, channel: Any) -> None:
        """Called by the server."""
        with self._lock:
            self._subscriptions[client.id] += 1

    def on_unsubscribe(self, client: Any, channel: Any) -> None:
        """Called by the server, also for each subscription of a client that is gone."""
        with self._lock:
            self._subscriptions[client.id] -= 1


class Helm(ViewerCount):
    """Answers for parameters, too; what cannot be done is told to all viewers as a status."""

    def __init__(self, sdk: Any, steering: Steering) -> None:
        super().__init__()
        self._sdk, self._steering = sdk, steering

    def on_get_parameters(self, client: Any, names: list[str], request: str | None) -> list[Any]:
        """Return the parameters of these names, all without any."""
        values = _on_own_thread(self._steering.values)
        wanted = [name for name in names if name in values] if names else list(values)
        return [self._sdk.Parameter(name, value=values[name]) for name in wanted]

    def on_set_parameters(self, client: Any, asked: list[Any], request: str | None) -> list[Any]:
        """Change parameters; returns all as they are after that."""
        for parameter in asked:
            change = partial(self._steering.change, parameter.name, parameter.get_value())
            try:
                _on_own_thread(change)
            except (LingbotLiveError, OSError) as error:
                text = " ".join(str(error).split())
                self.server.publish_status(text, self._sdk.StatusLevel.Error)
        return self.on_get_parameters(client, [], request)


def abilities(sdk: Any, steering: Steering) -> dict[str, Any]:
    """Return the arguments by which a server offers parameters and services."""
    from foxglove.websocket import Capability

    services = [_service(sdk, name, call) for name, call in steering.services.items()]
    return {
        "capabilities": [Capability.Parameters, Capability.Services],
        "supported_encodings": ["json"],
        "services": services,
    }


def _service(sdk: Any, name: str, call: Service) -> Any:
    def answer(request: Any) -> bytes:
        try:
            done, text = True, _on_own_thread(partial(call, _text(request.payload)))
        except (LingbotLiveError, OSError) as error:
            done, text = False, " ".join(str(error).split())
        return json.dumps({"success": done, "message": text}).encode()

    def schema(kind: str, of: dict[str, Any]) -> Any:
        told = sdk.Schema(
            name=f"lingbot_live.{kind}", encoding="jsonschema", data=json.dumps(of).encode()
        )
        return sdk.websocket.MessageSchema(encoding="json", schema=told)

    about = sdk.websocket.ServiceSchema(
        name=f"lingbot_live.{name}",
        request=schema("Ask", _REQUEST),
        response=schema("Done", _REPLY),
    )
    return sdk.websocket.Service(f"/{name}", schema=about, handler=answer)


def _text(payload: bytes) -> str:
    """Return the word that came with a call; anything but a JSON object with ``text`` is none."""
    try:
        told = json.loads(payload or b"{}")
    except ValueError:
        return ""
    return str(told.get("text", "")) if isinstance(told, dict) else ""


def _on_own_thread(call: Callable[[], T]) -> T:
    """Call on a thread that ends with it; Python would list the server's for ever once they log."""
    answer: Future[T] = Future()
    Worker("foxglove call", lambda stop: answer.set_result(call()), answer.set_exception).start()
    return answer.result()
