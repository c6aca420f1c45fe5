"""The kinds of targets, and how one is written: ``foxglove:8765``, ``rerun:save desk.rrd``."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lingbot_live.errors import ConfigError, PublishError, did_you_mean
from lingbot_live.publish.foxglove import INSTALL as FOXGLOVE_INSTALL
from lingbot_live.publish.foxglove import FoxgloveSink
from lingbot_live.publish.place import LOOPBACK, Place
from lingbot_live.publish.rerun import RerunSink
from lingbot_live.publish.ros2 import Ros2Sink
from lingbot_live.publish.sink import Sink
from lingbot_live.publish.steering import Steering
from lingbot_live.recording.rerun_log import INSTALL as RERUN_INSTALL
from lingbot_live.ros2.wire import INSTALL as ROS2_INSTALL
from lingbot_live.ros2.wire import domain_id
from lingbot_live.system.outputs import local_path

RERUN_PORT, FOXGLOVE_PORT = 9876, 8765  # the viewers' own defaults
_MOST_PORT = 65535
_SPACE = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
_URL = re.compile(r"rerun(\+https?)?://\S+")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of target."""

    name: str
    form: str  # how it is written
    parse: Callable[[str, str, str], Place]  # of the whole text, what follows the name, and bind
    open: Callable[[Place, Steering | None], Sink]
    modules: tuple[str, ...]  # any of them serves
    install: str

    @property
    def unavailable(self) -> str:
        """Why it cannot be used here, and what to do; empty if it can."""
        if any(importlib.util.find_spec(module) is not None for module in self.modules):
            return ""
        return f"needs {self.modules[0]}, which is not installed. Run: {self.install}"


def parse_place(text: str, bind: str | None = None, token: str = "") -> Place:
    """Read a target; ``bind`` is the address at which servers listen, loopback by default.

    Viewers of Foxglove's have to bring ``token``, where there is one.

    Raises:
        ConfigError: it is not written as it should be, or ``bind`` is no address of a network card.
    """
    name, _, rest = text.strip().partition(":")
    if name not in KINDS:
        known = ", ".join(kind.form for kind in KINDS.values())
        near = did_you_mean(name, KINDS)
        raise ConfigError(f"--publish {text}: no target {name!r}.{near} Known: {known}")
    place = KINDS[name].parse(text, rest.strip(), _address(bind))
    return replace(place, token=token) if name == "foxglove" else place


def open_sink(place: Place, steering: Steering | None = None) -> Sink:
    """Begin to serve a target; what can take it lets viewers steer, but not strangers.

    Raises:
        PublishError: its SDK is missing, its port taken, or nobody there.
    """
    kind = KINDS[place.kind]
    if kind.unavailable:
        raise PublishError(f"publish {place.text}: {kind.unavailable}")
    is_known = bool(place.token) or not place.is_open  # whoever looks on
    return kind.open(place, steering if is_known else None)


def _rerun(text: str, rest: str, bind: str) -> Place:
    how, _, value = re.sub(r"^(\w+):", r"\1 ", rest).partition(" ")
    value = value.strip()
    if how in ("", "connect"):
        return Place(text, "rerun", "connect", bind, url=_url(text, value))
    if how == "serve":
        return Place(text, "rerun", "serve", bind, port=_port(text, value, RERUN_PORT))
    if how == "save" and value:
        return Place(text, "rerun", "save", bind, path=_new_file(text, value))
    raise ConfigError(
        f"--publish {text}: write rerun, 'rerun:connect HOST:PORT', 'rerun:serve PORT' or "
        "'rerun:save FILE.rrd'"
    )


def _foxglove(text: str, rest: str, bind: str) -> Place:
    return Place(text, "foxglove", "serve", bind, port=_port(text, rest, FOXGLOVE_PORT))


def _ros2(text: str, rest: str, bind: str) -> Place:
    space = rest.strip("/")
    if space and not _SPACE.fullmatch(space):
        raise ConfigError(
            f"--publish {text}: {rest!r} is no namespace of ROS; write letters, digits and _, "
            "such as ros2:/robot/desk"
        )
    domain_id()
    return Place(text, "ros2", "serve", bind, url=f"/{space}" if space else "")


def _port(text: str, value: str, otherwise: int) -> int:
    if not value:
        return otherwise
    if not (value.isascii() and value.isdigit() and int(value) <= _MOST_PORT):
        raise ConfigError(f"--publish {text}: {value!r} is no port; write 0 to {_MOST_PORT}")
    return int(value)


def _url(text: str, value: str) -> str:
    if _URL.fullmatch(value):
        return value
    host, colon, port = value.rpartition(":")
    if "/" in value or (colon and not host):
        raise ConfigError(f"--publish {text}: write HOST:PORT or rerun+http://HOST:PORT/proxy")
    number = _port(text, port if colon else "", RERUN_PORT)
    return f"rerun+http://{host if colon else value or LOOPBACK}:{number}/proxy"


def _new_file(text: str, value: str) -> Path:
    path = local_path(value)
    if os.path.lexists(path):
        raise ConfigError(f"--publish {text}: {path} exists; choose another name or remove it")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--publish {text}: the folder of {path} does not exist; make it first")
    return path


def _address(bind: str | None) -> str:
    try:
        return LOOPBACK if bind is None else str(ipaddress.ip_address(bind.strip("[]")))
    except ValueError:
        raise ConfigError(
            f"--bind {bind}: write the IP address of a network card, or 0.0.0.0 for all"
        ) from None


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "rerun",
            "rerun[:connect HOST:PORT|:serve PORT|:save FILE]",
            _rerun,
            lambda place, steering: RerunSink(place),
            ("rerun",),
            RERUN_INSTALL,
        ),
        Kind(
            "foxglove",
            "foxglove[:PORT]",
            _foxglove,
            FoxgloveSink,
            ("foxglove",),
            FOXGLOVE_INSTALL,
        ),
        Kind(
            "ros2",
            "ros2[:NAMESPACE]",
            _ros2,
            lambda place, steering: Ros2Sink(place),
            ("cyclonedds", "rclpy"),
            ROS2_INSTALL,
        ),
    )
}
