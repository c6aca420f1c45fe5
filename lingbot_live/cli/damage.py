"""What is damaged in the recordings that a command read: said, and in its exit status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from lingbot_live.errors import LingbotLiveError

LOOK_S = 3.0  # into each file's chunks


def end_with_damage(addresses: Iterable[str], missed: Mapping[str, int] | None = None) -> None:
    """Say what is damaged in recordings among these addresses; raises typer.Exit with 1 then.

    ``missed`` are frames by cause that a camera counted, as `Camera.missed` is. A damaged one loses
    itself alone: it is told, and no failure.
    """
    damaged = (missed or {}).get("damaged", 0)
    if damaged:
        typer.echo(f"{damaged} damaged frames were passed over", err=True)
    if tell_damage(addresses, LOOK_S):
        raise typer.Exit(1)


def tell_damage(addresses: Iterable[str], look_s: float = 0.0) -> bool:
    """Say on stderr what is damaged in recordings among these addresses; whether anything is.

    Besides what is found when they are opened, ``look_s`` are spent in each on what it holds.
    """
    from lingbot_live.recording.recording import Recording

    told = False
    for path in dict.fromkeys(filter(None, map(_recording, addresses))):
        try:
            with Recording(path) as recording:
                if look_s:
                    recording.check(look_s)
                damage = recording.damage
        except LingbotLiveError as error:  # since the command read it
            damage = (str(error),)
        for text in damage:
            told = True
            typer.echo(f"{path}: damaged: {text}", err=True)
    return told


def _recording(address: str) -> Path | None:
    from lingbot_live.cli.session import session_path

    try:
        return session_path(address)
    except LingbotLiveError:  # no recording, or one that is gone
        return None
