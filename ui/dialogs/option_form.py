"""A form made from a table of options, one fitting field each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from lingbot_live.cameras.controls import Control, ControlKind, ControlValue
from ui.shell.language import told


class OptionForm(QWidget):
    """Shows options and reads what the user made of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # Never squeezed: a number cut in half cannot be read.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._readers: dict[str, Callable[[], ControlValue]] = {}
        self.fields: dict[str, QWidget] = {}

    def show_options(self, options: Sequence[Control]) -> None:
        """Replace what is shown by these."""
        while self._form.rowCount():
            self._form.removeRow(0)
        self._readers.clear()
        self.fields.clear()
        for option in options:
            self._add(option)

    @property
    def values(self) -> dict[str, ControlValue]:
        """What the fields say now, by the options' names."""
        return {name: read() for name, read in self._readers.items()}

    def _add(self, option: Control) -> None:
        name = told(words_of(option))
        field: QWidget
        if option.kind is ControlKind.BOOL:
            box = QCheckBox(told(option.help) or name)
            box.setChecked(bool(option.value))
            self._readers[option.name], field = box.isChecked, box
        elif option.kind is ControlKind.CHOICE:
            choice = QComboBox()
            for each in option.choices:
                choice.addItem(told(each), each)
            choice.setCurrentIndex(choice.findData(str(option.value)))
            self._readers[option.name], field = choice.currentData, choice
        else:
            number = _number_field(option)
            self._readers[option.name], field = number.value, number
        field.setToolTip(told(option.help))
        field.setAccessibleName(name)
        self.fields[option.name] = field
        if option.kind is not ControlKind.BOOL and option.help:
            note = QLabel(told(option.help))
            note.setEnabled(False)
            self._form.addRow(name, field)
            self._form.addRow("", note)
        else:
            self._form.addRow(name, field)


def words_of(option: Control) -> str:
    """Return an option's name in plain words: its unit stands behind the number."""
    name = option.name.removesuffix(f"_{option.unit}") if option.unit else option.name
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _number_field(option: Control) -> QSpinBox | QDoubleSpinBox:
    field: QSpinBox | QDoubleSpinBox
    if option.kind is ControlKind.INT or option.step == int(option.step) > 0:
        field = QSpinBox()
        field.setRange(int(option.minimum), int(option.maximum))
        field.setValue(int(option.value))
    else:
        field = QDoubleSpinBox()
        field.setRange(option.minimum, option.maximum)
        field.setDecimals(_decimals(option))
        field.setSingleStep(option.step or 0.1)
        field.setValue(float(option.value))
    if option.unit:
        field.setSuffix(f" {option.unit}")
    return field


def _decimals(option: Control) -> int:
    """Return how many decimals the option's smallest number needs, two at least."""
    numbers = [abs(float(n)) for n in (option.minimum, option.step, option.value) if n]
    return max(2, *(math.ceil(-math.log10(n)) for n in numbers)) if numbers else 2
