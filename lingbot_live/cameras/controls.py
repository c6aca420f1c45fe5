"""Settings of a sensor that can be read and changed while it streams."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from lingbot_live.errors import ConfigError, did_you_mean

ControlValue = bool | int | float | str
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class ControlKind(str, Enum):
    """What values a control takes."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Control:
    """One setting as the device tells of it; `value` is what holds now.

    Its type follows `kind`: bool, int, float, or one of `choices`. Limits, `step` and `default`
    are in `unit`; they mean nothing for bool and choice. Names are ``SENSOR.SETTING``, such as
    ``color.exposure``.
    """

    name: str
    value: ControlValue
    kind: ControlKind
    minimum: float = 0.0
    maximum: float = 1.0
    step: float = 0.0
    default: ControlValue | None = None
    unit: str = ""
    read_only: bool = False
    choices: tuple[str, ...] = ()
    help: str = ""

    @property
    def span(self) -> str:
        """The values it takes, in words."""
        if self.kind is ControlKind.BOOL:
            return "on or off"
        if self.kind is ControlKind.CHOICE:
            return "one of " + ", ".join(self.choices)
        unit = f" {self.unit}" if self.unit else ""
        if self.step:
            return f"{self.minimum:g} to {self.maximum:g}{unit} in steps of {self.step:g}"
        return f"{self.minimum:g} to {self.maximum:g}{unit}"

    def checked(self, value: ControlValue, who: str) -> ControlValue:
        """Return ``value``, also given as text, in the control's type and on its steps.

        Raises:
            ConfigError: it is read-only, or does not take this value; says which it takes.
        """
        if self.read_only:
            raise ConfigError(f"{who}: {self.name} is {self.value} and cannot be changed here")
        found = self._converted(value)
        if found is None:
            raise ConfigError(f"{who}: {self.name} {value!r}; it takes {self.span}")
        return found

    def _converted(self, value: ControlValue) -> ControlValue | None:
        if self.kind is ControlKind.BOOL:
            word = str(value).lower()
            return word in _YES if word in (*_YES, *_NO) else None
        if self.kind is ControlKind.CHOICE:
            return next((c for c in self.choices if c.lower() == str(value).lower()), None)
        return self._on_step(value)

    def _on_step(self, value: ControlValue) -> int | float | None:
        try:
            number = float(value)
        except ValueError:
            return None
        if not self.minimum <= number <= self.maximum:  # also refuses nan
            return None
        if self.step:
            steps = round((number - self.minimum) / self.step)
            number = min(self.minimum + steps * self.step, self.maximum)
        return round(number) if self.kind is ControlKind.INT else number


def control_named(controls: Iterable[Control], name: str, who: str) -> Control:
    """Return the control of this name.

    Raises:
        ConfigError: there is none; names the nearest and all there are.
    """
    known = {control.name: control for control in controls}
    if name in known:
        return known[name]
    there = ", ".join(known) or "none; open the camera first if it has some"
    raise ConfigError(f"{who}: no control {name!r}.{did_you_mean(name, known)} It has: {there}")
