"""``--publish``: what the commands say of the targets that they serve."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from lingbot_live.errors import ConfigError

if TYPE_CHECKING:
    from lingbot_live.cli.serving import Keeper
    from lingbot_live.config import RefinerConfig
    from lingbot_live.pipeline.session import Session
    from lingbot_live.publish.place import Place
    from lingbot_live.publish.publisher import Publisher
    from lingbot_live.recording.recorder import Recorder

_LETS_GO_S = 5.0


def places(
    targets: Sequence[str] | None, bind: str | None, token: str | None = None
) -> list[Place]:
    """Return the targets, read; warns where other machines can look on.

    Raises:
        ConfigError: one is not written as it should be.
    """
    if not targets:
        if bind is not None or token is not None:
            raise ConfigError("--bind and --token are of use beside --publish alone")
        return []
    from lingbot_live.publish.table import parse_place

    found = [parse_place(target, bind, _checked(token)) for target in targets]
    if token is not None and not any(place.token for place in found):
        raise ConfigError("--token is of use beside --publish foxglove alone")
    for place in found:
        if place.is_open:
            typer.echo(
                f"publish {place.text}: whoever reaches {place.host} "
                f"{'and has the token ' if place.token else ''}sees all pictures; there is "
                f"{'' if place.token else 'no password and '}no encryption. Use it in networks "
                "that you trust",
                err=True,
            )
    return found


def _checked(token: str | None) -> str:
    if token is not None and not re.fullmatch(r"[\w.~-]{8,}", token, re.ASCII):
        raise ConfigError("--token: write 8 or more letters, digits, or - . _ ~")
    return token or ""


@contextmanager
def publishing(
    session: Session,
    targets: Sequence[Place],
    config: RefinerConfig,
    recorder: Recorder | None = None,
) -> Iterator[Publishing]:
    """Publish a session meanwhile; viewers on this machine may steer it."""
    publishers: list[Publisher] = []
    keeper: Keeper | None = None
    if targets:
        from lingbot_live.cli.serving import Keeper
        from lingbot_live.publish.publisher import Publisher

        keeper = Keeper(session, config, recorder)
        publishers = [Publisher(place, steering=keeper.steering()) for place in targets]
    watched = Publishing(publishers)
    for publisher in publishers:
        publisher.start(session)
    try:
        yield watched
    finally:
        for publisher in publishers:
            if not publisher.stop(_LETS_GO_S):
                watched.hung.append(f"publish {publisher.place.text}: the viewer does not let go")
        if keeper is not None:
            keeper.close()
        watched.say()


class Publishing:
    """Says each target's address, and why one failed, once, on stderr."""

    def __init__(self, publishers: Sequence[Publisher]) -> None:
        self._publishers = publishers
        self._said: set[str] = set()
        self.hung: list[str] = []

    def say(self) -> bool:
        """Say what is new; always True, as a command's tick wants it."""
        for publisher in self._publishers:
            stats = publisher.stats()
            if stats.error is not None:
                self._once(" ".join(str(stats.error).split()))
            elif stats.where:
                self._once(f"publishing to {stats.where}")
        return True

    def problems(self) -> list[str]:
        """What was not as it should be, a line each."""
        failed = [p.place.text for p in self._publishers if p.error is not None]
        return [*(f"publish {text} failed" for text in failed), *self.hung]

    def tell(self) -> None:
        """Say what was sent."""
        for publisher in self._publishers:
            stats = publisher.stats()
            drops = ", ".join(f"{count} {cause}" for cause, count in stats.drops.items()) or "none"
            typer.echo(
                f"{stats.target}: {stats.frames} frames, {stats.refined} refined sent, "
                f"drops: {drops}",
                err=True,
            )

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            typer.echo(text, err=True)
