"""Commands that are only to be listed, without the work that their options make."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import typer


def command_names(app: typer.Typer) -> set[str]:
    """Return the names of all commands and groups of commands."""
    names = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    return names | {group.name for group in app.registered_groups if group.name}


def only(app: typer.Typer, wanted: str | None) -> typer.Typer:
    """Return the app with the options of one command; the others have their name and help alone.

    Typer reads the annotations of every command before it runs one or prints the list of them,
    which takes as long as importing typer.
    """
    light = copy.copy(app)
    light.registered_commands = []
    for command in app.registered_commands:
        callback = command.callback
        if callback is not None and (command.name or callback.__name__) != wanted:
            command = copy.copy(command)
            command.callback = _bare(callback)
        light.registered_commands.append(command)
    light.registered_groups = []
    for group in app.registered_groups:
        members = group.typer_instance
        if members is not None and group.name != wanted:
            group = copy.copy(group)
            group.typer_instance = only(members, None)
        light.registered_groups.append(group)
    return light


def _bare(callback: Callable[..., Any]) -> Callable[[], None]:
    def bare() -> None: ...

    bare.__name__, bare.__doc__ = callback.__name__, callback.__doc__
    return bare
