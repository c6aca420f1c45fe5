"""Where something is published."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from lingbot_live.errors import PublishError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """A target of ``--publish``, read and checked."""

    text: str  # as it was written
    kind: str
    how: str  # "serve", "connect" or "save"
    bind: str = LOOPBACK  # IP address at which a server listens
    port: int = 0  # of a server; 0 takes any that is free
    url: str = ""  # to connect to
    path: Path = Path()  # to save to
    token: str = ""  # that viewers of a server have to bring; empty for none

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it."""
        return self.how == "serve" and not ipaddress.ip_address(self.bind).is_loopback

    @property
    def host(self) -> str:
        """The address as it stands in a URL."""
        return f"[{self.bind}]" if ":" in self.bind else self.bind


def free_port(place: Place) -> int:
    """Return the port of a place, any that is free for 0.

    Raises:
        PublishError: another program has it, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in place.bind else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((place.bind, place.port))
            port: int = probe.getsockname()[1]
            return port
    except OSError as error:
        raise PublishError(
            f"publish {place.text}: cannot listen at {place.host}:{place.port} "
            f"({error.strerror or error}); choose another port, such as {place.port + 1}"
        ) from error
