"""Without a mouse: Tab finds every control, Space and Return work it, the cross-hair has keys."""

from __future__ import annotations

import pytest
from gui_wait import wait_for
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QFocusFrame,
    QToolButton,
    QWidget,
)

from ui.dialogs.keys import KeysDialog
from ui.shell.reach import controls_of, fields_of, spoken_name
from ui.shell.view_link import CROSS_STEP


@pytest.fixture
def full(window):
    window.layouts.everything()
    window.docks.quality.show()
    window.docks.controls.show()
    QApplication.processEvents()
    return window


def test_tab_comes_to_every_control_and_each_says_what_it_is_for(full):
    found = controls_of(full)
    assert len(found) > 20
    for control in found:
        where = f"{type(control).__name__} {control.objectName()} {control.toolTip()!r}"
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, where
        assert control.accessibleName(), where


def test_names_say_the_use_and_not_the_value(full):
    names = [control.accessibleName() for control in controls_of(full)]
    assert full.compare.mode_box.accessibleName() == "How to compare"
    assert full.bar.refiner_box.accessibleName() == "Refiner"
    assert "Close Quality" in names
    assert full.compare.mode_box.currentText() not in names


def test_tab_goes_round_through_the_tool_bar(full):
    seen = set()
    full.bar.start_button.setFocus()
    for _ in range(60):
        seen.add(QApplication.focusWidget())
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    buttons = [full.bar.start_button, full.record_bar.button, full.compare.mode_box]
    assert [b for b in buttons if b not in seen] == []


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return])
def test_space_and_return_press_the_button_that_has_the_focus(full, key):
    pressed = []
    button = next(
        b for b in controls_of(full.scale) if isinstance(b, QAbstractButton) and b.isCheckable()
    )
    button.clicked.connect(lambda: pressed.append(button))
    button.setFocus()
    assert button.hasFocus()
    QTest.keyClick(button, key)
    assert pressed == [button]
    assert not full.stage.is_running, "the key's command stays out of it"


def test_space_is_still_a_command_elsewhere(window):
    window.bar.set_address("synthetic:stereo")
    window.setFocus()
    QTest.keyClick(window, Qt.Key.Key_Space)
    assert window.stage.is_running


def test_the_cross_hair_moves_by_key_and_stays_in_the_picture(window):
    alt = Qt.KeyboardModifier.AltModifier
    QTest.keyClick(window, Qt.Key.Key_Right, alt)
    assert window.link.cursor == QPointF(0.5 + CROSS_STEP, 0.5)
    QTest.keyClick(window, Qt.Key.Key_Up, alt)
    assert window.link.cursor.y() == pytest.approx(0.5 - CROSS_STEP)
    for _ in range(200):
        window.link.step_cursor(-CROSS_STEP, CROSS_STEP)
    assert window.link.cursor is not None
    assert 0 <= window.link.cursor.x() < CROSS_STEP


def test_a_question_mark_shows_all_keys_on_a_small_screen(window):
    QTest.keyClick(window, Qt.Key.Key_Question)
    dialog = window.findChild(KeysDialog)
    assert dialog.isVisible()
    assert dialog.width() <= 1280 - 8
    assert dialog.height() <= 720 - 36
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def can_use(control):
    return control.isVisible() and control.isEnabled() and control.focusPolicy()


@pytest.mark.parametrize(
    "key",
    ["add_camera", "models", "record_options", "export", "calibrate", "palette",
     "sessions", "log"],
)  # fmt: skip
def test_tab_goes_round_in_every_dialog_and_a_ring_shows_where_it_is(window, key):
    window.actions_[key].trigger()
    wait_for(lambda: any(dialog.isVisible() for dialog in window.findChildren(QDialog)))
    dialog = next(dialog for dialog in window.findChildren(QDialog) if dialog.isVisible())
    dialog.activateWindow()
    wait_for(lambda: QApplication.focusWidget() in dialog.findChildren(QWidget))
    usable = [control for control in (*controls_of(dialog), *fields_of(dialog)) if can_use(control)]
    seen = set()
    for _ in range(60):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        focused = QApplication.focusWidget()
        rings = [ring.widget() for ring in dialog.findChildren(QFocusFrame) if ring.isVisible()]
        assert rings == [focused] or isinstance(focused, QToolButton), focused
        seen |= {focused, focused.parentWidget()}  # a combo box whose line has the focus
    for control in filter(can_use, usable):  # what was there all along
        where = f"{type(control).__name__} {control.objectName()} {control.toolTip()!r}"
        assert spoken_name(control), where
        assert control in seen, where
    dialog.close()
