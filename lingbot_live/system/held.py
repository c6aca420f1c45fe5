"""Attributes that their owner has for a while: between open and close, or from a start on."""

from __future__ import annotations

from typing import Generic, TypeVar, overload

from lingbot_live.errors import SessionStateError

T = TypeVar("T")


class Held(Generic[T]):
    """An attribute that cannot be None where it is read.

    Assigning None lets go of what is held. Reading it then raises SessionStateError, which says
    whose part is missing; `peek` tells without an error.

    Example::

        class Player:
            _file = Held[File]()
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name, self._slot = name.strip("_").replace("_", " "), f"_held{name}"

    @overload
    def __get__(self, owner: None, kind: type) -> Held[T]: ...

    @overload
    def __get__(self, owner: object, kind: type) -> T: ...

    def __get__(self, owner: object | None, kind: type) -> Held[T] | T:
        if owner is None:
            return self
        held = self.peek(owner)
        if held is None:
            who = type(owner).__name__
            raise SessionStateError(f"{who} has no {self._name}: it is not open")
        return held

    def __set__(self, owner: object, value: T | None) -> None:
        owner.__dict__[self._slot] = value

    def peek(self, owner: object) -> T | None:
        """Return what is held, None where nothing is."""
        held: T | None = owner.__dict__.get(self._slot)
        return held
