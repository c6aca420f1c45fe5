"""Every control by keyboard and ear: Tab finds it, Space and Return work it, it has a name."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAccessible, QColor, QKeyEvent, QPalette
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QFocusFrame,
    QHeaderView,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTextEdit,
    QToolButton,
    QWidget,
)
from shiboken6 import isValid

from ui.shell import theme
from ui.shell.language import tr

_PRESS = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_MOVE = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)
_CONTROLS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox)
# To write in, to choose from, to read.
_FIELDS = (QLineEdit, QAbstractItemView, QPlainTextEdit, QTextEdit)


class Reach(QObject):
    """Makes every window reachable that the focus comes to, and shows by a ring where it is.

    The ring is there from the first Tab on: who uses a mouse sees none.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._ring: QFocusFrame | None = None  # that is shown; it ends with its window
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._on_focus)

    def _on_focus(self) -> None:
        # Without the signal's widgets: one that is being deleted cannot be handed to Python.
        if self._ring is not None and isValid(self._ring):
            self._ring.setWidget(None)  # type: ignore[arg-type]  # the stubs know no none there
        self._ring, focused = None, QApplication.focusWidget()
        if focused is None:
            return
        window = focused.window()
        if window is not self.parent():  # whose controls are made reachable as they are made
            make_reachable(window)
        if _wants_ring(focused):
            self._ring = ring = window.findChild(QFocusFrame) or QFocusFrame(window)
            palette = ring.palette()
            palette.setColor(QPalette.ColorRole.WindowText, QColor(theme.current().accent))
            ring.setPalette(palette)
            ring.setWidget(focused)


def controls_of(root: QWidget) -> list[QWidget]:
    """Return what a user works inside a widget."""
    found = [child for kind in _CONTROLS for child in root.findChildren(kind)]
    return [child for child in found if isinstance(child, QWidget) and _is_for_users(child)]


def fields_of(root: QWidget) -> list[QWidget]:
    """Return where a user writes, chooses or reads inside a widget, but for parts of controls."""
    found = [child for kind in _FIELDS for child in root.findChildren(kind)]
    return [
        child
        for child in found
        if isinstance(child, QWidget)
        and not isinstance(child, QHeaderView)
        and not isinstance(child.parentWidget(), (QAbstractSpinBox, QComboBox))
        and child.window() is root.window()  # a combo box lists in a window of its own
    ]


def spoken_name(control: QWidget) -> str:
    """Return what a screen reader calls it: its own name, or the label before it."""
    told = QAccessible.queryAccessibleInterface(control)
    return told.text(QAccessible.Text.Name) if told is not None else ""


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
    for field in fields_of(root):
        if isinstance(field, QAbstractItemView):
            field.setTabKeyNavigation(False)  # arrows go from cell to cell, Tab goes on
        if not spoken_name(field):
            hint = field.placeholderText() if isinstance(field, QLineEdit) else ""
            field.setAccessibleName(field.toolTip() or hint or field.window().windowTitle())


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


def _wants_ring(focused: QWidget) -> bool:
    """Whether Tab was used, and the control does not show its focus itself."""
    by_key = focused.window().testAttribute(Qt.WidgetAttribute.WA_KeyboardFocusChange)
    shows = isinstance(focused, QToolButton) and not isinstance(focused.parent(), QDockWidget)
    return by_key and not shows and isinstance(focused, (*_CONTROLS, *_FIELDS, QAbstractScrollArea))
