"""Every control by keyboard and ear: Tab finds it, Space and Return work it, it has a name."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QDockWidget,
    QMenu,
    QWidget,
)

from ui.shell.language import tr

_PRESS = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_MOVE = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)
_CONTROLS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox)


def controls_of(root: QWidget) -> list[QWidget]:
    """Return what a user works inside a widget."""
    found = [child for kind in _CONTROLS for child in root.findChildren(kind)]
    return [child for child in found if isinstance(child, QWidget) and _is_for_users(child)]


def make_reachable(root: QWidget) -> None:
    """Let Tab come to every control, and name those that have neither name nor words."""
    for control in controls_of(root):
        if not control.focusPolicy() & Qt.FocusPolicy.TabFocus:
            control.setFocusPolicy(control.focusPolicy() | Qt.FocusPolicy.TabFocus)
        dock = control.parent()
        if isinstance(dock, QDockWidget):
            closes = control.objectName() == "qt_dockwidget_closebutton"
            name = tr("Close {title}") if closes else tr("Float {title}")
            control.setAccessibleName(name.format(title=dock.windowTitle()))
        elif not control.accessibleName():
            control.setAccessibleName(_words_of(control))


def wants_key(focused: QWidget | None, event: QEvent) -> bool:
    """Whether this asks for a key that is also a command's, and the focused control needs it."""
    if event.type() != QEvent.Type.ShortcutOverride or not isinstance(event, QKeyEvent):
        return False
    if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
        return False
    key = event.key()
    if isinstance(focused, QAbstractButton):
        return key in _PRESS
    return isinstance(focused, QComboBox | QAbstractSlider) and key in (*_PRESS, *_MOVE)


def press(focused: QWidget | None, event: QKeyEvent) -> bool:
    """Press the focused button on Return, which Qt leaves to dialogs; True if that was done."""
    if event.key() in _PRESS[1:] and isinstance(focused, QAbstractButton):
        focused.click()
        return True
    return False


def _words_of(control: QWidget) -> str:
    tip = control.toolTip().partition("\n")[0]
    text = control.text() if isinstance(control, QAbstractButton) else ""
    return tip or text


def _is_for_users(control: QWidget) -> bool:
    """Leave out inner parts: a table's corner, a bar's scrollers, a plot's hidden menu."""
    name = control.objectName()
    return not name.startswith(("qt_tableview", "qt_menubar", "qt_toolbar", "qt_scrollarea")) and (
        type(control).__name__ != "QScrollBar" and not _is_in_menu(control)
    )


def _is_in_menu(control: QWidget) -> bool:
    around = control.parentWidget()
    while around is not None and not isinstance(around, QMenu):
        around = around.parentWidget()
    return around is not None
