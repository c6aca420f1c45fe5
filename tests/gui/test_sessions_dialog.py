"""Browsing the sessions of a folder, and opening one."""

from __future__ import annotations

import pytest
from gui_wait import wait_for
from sessions import NoisyCamera, record

from ui.dialogs.sessions import COLUMNS, SessionsDialog
from ui.shell.files import RecordChoices

pytest.importorskip("pyarrow")


def cells(dialog, row):
    return [dialog.table.item(row, column).text() for column in range(len(COLUMNS))]


def test_sessions_are_listed_with_pictures_filtered_and_opened(window, tmp_path):
    record(tmp_path / "desk.mcap", NoisyCamera("left", 9))
    record(tmp_path / "room.mcap", NoisyCamera("right", 7), NoisyCamera("top", 6))
    (tmp_path / "bad.mcap").write_bytes(b"nothing")
    window.saving.use(RecordChoices(folder=str(tmp_path)))
    window.actions_["sessions"].trigger()
    (dialog,) = window.findChildren(SessionsDialog)
    wait_for(lambda: dialog.table.rowCount() == 4)
    assert dialog.text.text() == f"3 sessions in {tmp_path}"
    assert dialog.table.horizontalScrollBar().maximum() == 0, "nothing lies beside what is seen"
    assert dialog.filter.hasFocus()
    by_name = {tuple(cells(dialog, row)[:2]): row for row in range(4)}
    assert ("bad.mcap", "cannot be read") in by_name
    desk = by_name["desk.mcap", "Noisy left"]
    assert cells(dialog, desk)[4] == "9"
    assert not dialog.table.item(desk, 0).icon().isNull()
    dialog.filter.setText("noisy TOP")
    hidden = [dialog.table.isRowHidden(row) for row in range(4)]
    assert hidden.count(False) == 1
    dialog.filter.setText("desk")
    assert not dialog.open_button.isEnabled()
    dialog.table.selectRow(desk)
    dialog.open_button.click()
    wait_for(lambda: window.replay.lead is not None)
    assert window.stage.asked == (str(tmp_path / "desk.mcap"),)
