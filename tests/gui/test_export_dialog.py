"""Exporting from the window, through the real child process."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from gui_wait import pass_time, wait_for
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from sessions import NoisyCamera, record

from lingbot_live.cameras.controls import Control, ControlKind
from lingbot_live.export.formats import FORMATS
from lingbot_live.export.shot import DepthSource
from ui.dialogs.export import ExportDialog, ExportInput
from ui.dialogs.option_form import OptionForm
from ui.shell.settings import Settings


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    path = tmp_path_factory.mktemp("take") / "desk.mcap"
    witness, _ = record(path, NoisyCamera("left", 30), NoisyCamera("right", 30, seed=1))
    return path, witness


@pytest.fixture
def dialog(window, take, tmp_path):
    path, _ = take
    window.stage.open((str(path),))
    wait_for(lambda: window.replay.lead is not None)
    window.actions_["export"].trigger()
    opened = window.dialogs.export
    opened.folder.line.setText(str(tmp_path / "exports"))
    return opened


def choose(dialog, name):
    dialog.format.setCurrentIndex(dialog.format.findData(name))


def test_a_session_is_exported_while_it_plays(window, dialog, take, tmp_path):
    path, witness = take
    assert dialog.input.text() == str(path)
    assert [dialog.camera.itemData(i) for i in range(3)][:1] == [""]
    assert {dialog.camera.itemData(i) for i in (1, 2)} == set(witness.frames)
    choose(dialog, "images")
    assert dialog.words.text() == FORMATS["images"].words
    assert dialog.depth_box.currentData() == DepthSource.REFINED
    dialog.depth_box.setCurrentIndex(0)
    dialog.camera.setCurrentIndex(dialog.camera.findData("noisy:left"))
    dialog.frames.setText("0:10:3")
    shown = window.stage.bridge.rate.count
    dialog.export_button.click()
    assert dialog.export_button.text() == "Cancel"
    wait_for(lambda: dialog.notice.text)
    assert dialog.notice.text.startswith("4 frames"), dialog.notice.text
    assert dialog.notice.buttons[0].text() == "Show folder"
    assert window.stage.bridge.rate.count > shown + 3, "playback went on"
    depths = sorted((tmp_path / "exports").rglob("raw_depth.png"))
    assert len(depths) == 4
    given = witness.frames["noisy:left"][9].depth_raw
    assert np.array_equal(cv2.imread(str(depths[-1]), cv2.IMREAD_UNCHANGED), given)
    assert Settings().text("export_format") == "images", "remembered"


def test_a_second_export_to_the_same_place_needs_permission(dialog):
    choose(dialog, "npz")
    dialog.depth_box.setCurrentIndex(0)  # not every frame was refined on a busy machine
    dialog.frames.setText("3")
    for can_replace, words in ((False, "2 frames"), (False, "exists"), (True, "2 frames")):
        dialog.force.setChecked(can_replace)
        dialog.notice.clear()
        dialog.export_button.click()
        wait_for(lambda: dialog.notice.text)
        assert words in dialog.notice.text


@pytest.mark.parametrize("field", ["format", "frames", "name", "input"])
def test_return_exports_from_every_field(dialog, field):
    choose(dialog, "npz")
    dialog.frames.setText("3")
    dialog.depth_box.setCurrentIndex(0)
    dialog.activateWindow()
    getattr(dialog, field).setFocus()
    QTest.keyClick(getattr(dialog, field), Qt.Key.Key_Return)
    wait_for(lambda: dialog.notice.text)
    assert "2 frames" in dialog.notice.text


def test_an_export_can_be_cancelled_and_leaves_nothing(dialog, tmp_path):
    choose(dialog, "ply")
    dialog.options.fields["normals"].setChecked(True)
    assert dialog.request.options["normals"] is True
    dialog.export_button.click()
    pass_time(200)
    dialog.export_button.click()
    wait_for(lambda: dialog.notice.text)
    assert "Cancelled" in dialog.notice.text
    assert dialog.export_button.text() == "Export"
    assert [*(tmp_path / "exports").iterdir()] == []


def test_closing_the_window_ends_an_export(window, dialog, tmp_path):
    choose(dialog, "ply")
    dialog.export_button.click()
    pass_time(100)
    window.close()
    assert window.dialogs.export is None
    assert [*(tmp_path / "exports").iterdir()] == []


def test_what_makes_no_sense_is_said_in_the_dialog(dialog):
    for field, text, words in (
        (dialog.frames, "5:3", "FIRST:END:STEP"),
        (dialog.input, "nowhere.mcap", "no such file"),
        (dialog.input, "", "name a recording"),
    ):
        field.setText(text)
        dialog.export_button.click()
        wait_for(lambda: dialog.notice.text)
        assert words in dialog.notice.text
        dialog.frames.clear()
        dialog.notice.clear()


def test_without_a_recording_on_the_screen_one_is_chosen(window, take, monkeypatch):
    path, _ = take
    window.actions_["export"].trigger()
    dialog = window.dialogs.export
    assert dialog.input.text() == ""
    assert not dialog.this_frame.isEnabled()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a, **k: (str(path), ""))
    dialog._choose_input()
    assert dialog.input.text() == str(path)
    assert dialog.name.text().startswith("desk")
    window.actions_["export"].trigger()
    assert window.dialogs.export is dialog, "one is enough"


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_can_be_asked_for(window, name):
    dialog = ExportDialog(ExportInput("a.mcap", frame=7), Settings(), window.tasks, window)
    dialog.show()
    choose(dialog, name)
    dialog.this_frame.click()
    request = dialog.request
    assert (request.format, request.span.first, request.span.end) == (name, 7, 8)
    assert FORMATS[name].settings(request.options) == FORMATS[name].settings({}), "the defaults"
    assert request.output.name.startswith("a")


def test_a_form_has_a_field_for_each_kind_of_option(show):
    form = show(OptionForm())
    form.show_options(
        [
            Control("on", True, ControlKind.BOOL),
            Control("count", 3, ControlKind.INT, 0, 9, 1),
            Control("size_mm", 2.5, ControlKind.FLOAT, 0, 10, unit="mm", help="edge"),
            Control("kind", "b", ControlKind.CHOICE, choices=("a", "b")),
        ]
    )
    assert form.values == {"on": True, "count": 3, "size_mm": 2.5, "kind": "b"}
    form.fields["kind"].setCurrentText("a")
    form.fields["count"].setValue(12)
    assert form.values["kind"] == "a"
    assert form.values["count"] == 9
    form.show_options([])
    assert form.values == {}


def test_fields_keep_their_size_while_it_works_and_tells(dialog):
    dialog.resize(dialog.width(), 300)  # of a low screen
    pass_time(50)
    fields = (dialog.input, dialog.format, dialog.frames, dialog.name)
    before = [(field.height(), field.mapTo(dialog, field.rect().topLeft())) for field in fields]
    dialog.bar.show()
    dialog.notice.show_offer("one\ntwo\nthree\nfour", ("Show folder", lambda: None))
    dialog._grow()
    pass_time(50)
    after = [(field.height(), field.mapTo(dialog, field.rect().topLeft())) for field in fields]
    assert after == before
    assert dialog.height() <= dialog.screen().availableGeometry().height()
    assert all(field.height() >= field.sizeHint().height() for field in fields)


def test_a_video_shows_both_depths_and_does_not_ask_which(dialog, take, tmp_path):
    import av

    choose(dialog, "ply")
    assert dialog.depth_box.isVisibleTo(dialog)
    assert dialog.no_flying.isVisibleTo(dialog)
    dialog.no_flying.setChecked(True)
    choose(dialog, "mp4")
    assert not dialog.depth_box.isVisibleTo(dialog)
    assert not dialog.no_flying.isVisibleTo(dialog)
    dialog.camera.setCurrentIndex(dialog.camera.findData("noisy:left"))
    dialog.export_button.click()
    wait_for(lambda: dialog.notice.text)
    assert "30 frames" in dialog.notice.text, "all of them, refined or not"
    (video,) = (tmp_path / "exports").glob("*.mp4")
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30
