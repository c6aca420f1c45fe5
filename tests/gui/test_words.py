"""Words that people use: minutes, names of files, plain labels; a demo without banners."""

from __future__ import annotations

import pytest
from gui_wait import wait_for
from rgbd_folder import write_examples

from lingbot_live.export.formats import FORMATS
from lingbot_live.quality.metric import METRICS
from ui.dialogs.option_form import words_of
from ui.panels.quality_plot import PLOTTED
from ui.shell import theme
from ui.shell.files import short_name
from ui.shell.readout import Reading, duration
from ui.views.compare_pictures import Mode
from ui.views.lines import stat_beside


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.4, "4 s"), (119.0, "119 s"), (1273.0, "21 min 13 s"), (7500.0, "2 h 05 min")],
)
def test_long_times_are_in_minutes(seconds, text):
    assert duration(seconds) == text
    assert duration(4.44, 1) == "4.4 s"
    assert duration(1273.04, 3) == "21 min 13 s"


def test_the_cross_hair_gives_the_error_beside_the_truth():
    text = Reading(1.482, 1.479, 1.4805).refined_text
    assert text.index("error") < text.index("truth"), "a narrow pane cuts off the end"
    assert "mm" in text.partition("error")[2].partition("truth")[0]
    assert Reading(1.482, 1.479).error_mm is None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/takes/desk.mcap", "desk.mcap"),
        ("folder:/data/desk", "desk"),
        ("session:/data/desk.mcap#left", "desk.mcap#left"),
        ("synthetic:stereo", "synthetic:stereo"),
        ("realsense:f1234", "realsense:f1234"),
    ],
)
def test_files_go_by_their_names(address, name):
    assert short_name(address) == name


def test_the_title_holds_the_files_name(window, tmp_path):
    place = write_examples(tmp_path / "a" / "long" / "way" / "desk", 1)
    window.stage.open((f"folder:{place}",))
    wait_for(lambda: window.windowTitle() == "lingbot-live – desk")


def test_a_file_that_cannot_be_opened_goes_by_its_name_too(window, tmp_path):
    window.stage.open((str(tmp_path / "nowhere.mcap"),))
    wait_for(lambda: window.panels and window.panels[0].view.feed.error)
    window.docks.name(window.rows.view)
    assert window.docks.compare.windowTitle().endswith("nowhere.mcap")
    assert str(tmp_path) not in window.docks.compare.windowTitle()


def test_labels_of_exports_are_plain(show):
    labels = [words_of(option) for kind in FORMATS.values() for option in kind.options]
    assert labels
    for label in labels:
        assert "_" not in label
        assert label[0].isupper()
        assert label.split()[-1] not in ("m", "mm", "s"), "the unit stands in the field"


def test_the_plot_begins_with_a_number_that_every_scene_has():
    assert PLOTTED[0] == "fill_share"
    assert METRICS[PLOTTED[0]].title


def test_kept_changed_and_filled_are_never_signs(window, tmp_path):
    window.stage.open((f"folder:{write_examples(tmp_path / 'desk', 2)}",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    wait_for(lambda: window.panels[0].refined._stats)
    pane = window.panels[0].refined
    room = pane.width() - 4 * theme.GRID_PX
    shown = stat_beside(pane.fontMetrics(), room, pane._title, pane._stats)
    assert all(word in shown for word in ("kept", "changed", "filled")), "at 1280x720, too"
    for text in pane._stats:
        assert "filled" in text
        assert "±" not in text
        assert "+" not in text


@pytest.mark.parametrize("mode", [Mode.CHANGE, Mode.DIFFERENCE, Mode.BLINK])
def test_a_demo_sweeps_in_every_mode_without_a_banner_and_comes_back(window, mode):
    window.layouts.everything()
    window.compare.set_mode(mode)
    window.desk.show_error("the disk is full")
    window.actions_["full_screen"].trigger()
    assert window.compare.mode is Mode.WIPE
    assert window.compare.sweep_button.isChecked()
    wait_for(lambda: window.message.height() == 0 or not window.message.isVisible())
    window.desk.say("a camera is there")
    wait_for(lambda: window.desk.news.height() == 0 or not window.desk.news.isVisible())
    window.demo.leave()
    assert window.compare.mode is mode
    assert not window.compare.sweep_button.isChecked()
    wait_for(lambda: window.message.height() > 0)
    assert window.message.text == "the disk is full"
