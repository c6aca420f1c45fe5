"""``--publish``: what the commands say of the targets that they serve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from lingbot_live.errors import ConfigError

if TYPE_CHECKING:
    from lingbot_live.pipeline.session import Session
    from lingbot_live.publish.place import Place
    from lingbot_live.publish.publisher import Publisher

_LETS_GO_S = 5.0


def places(targets: Sequence[str] | None, bind: str | None) -> list[Place]:
    """Return the targets, read; warns where other machines can look on.

    Raises:
        ConfigError: one is not written as it should be.
    """
    if not targets:
        if bind is not None:
            raise ConfigError("--bind is of use beside --publish alone")
        return []
    from lingbot_live.publish.table import parse_place

    found = [parse_place(target, bind) for target in targets]
    for place in found:
        if place.is_open:
            typer.echo(
                f"publish {place.text}: whoever reaches {place.host} sees all pictures; there is "
                "no password and no encryption. Use it in networks that you trust",
                err=True,
            )
    return found


@contextmanager
def publishing(session: Session, targets: Sequence[Place]) -> Iterator[Publishing]:
    """Publish a session meanwhile."""
    publishers: list[Publisher] = []
    if targets:
        from lingbot_live.publish.publisher import Publisher

        publishers = [Publisher(place) for place in targets]
    watched = Publishing(publishers)
    for publisher in publishers:
        publisher.start(session)
    try:
        yield watched
    finally:
        for publisher in publishers:
            if not publisher.stop(_LETS_GO_S):
                watched.hung.append(f"publish {publisher.place.text}: the viewer does not let go")
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
