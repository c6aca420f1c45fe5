"""Comparing: pictures and numbers of two depths, in the window and by themselves."""

from __future__ import annotations

import dataclasses
import threading
import time

import numpy as np
import pytest
from gui_wait import pass_time, wait_for
from PySide6.QtCore import QPointF
from rgbd_folder import write_examples

from lingbot_live.calibration.rig import Rig, RigCamera
from lingbot_live.colormap import DepthRange
from lingbot_live.config import RefinerConfig
from lingbot_live.frame import Calibration, Extrinsics, Frame, Intrinsics, RefinedFrame, RefinerInfo
from lingbot_live.quality.depth_errors import CHANGE_RGB, Change
from ui.panels import compare_words
from ui.panels.compare_view import UNCALIBRATED
from ui.shell.background import Background
from ui.views.compare_pictures import Base, Mode, Side, Task, compare
from ui.views.compose import compose

WIDTH, HEIGHT = 80, 60
INTRINSICS = Intrinsics(WIDTH, HEIGHT, 80.0, 80.0, 39.5, 29.5)


def result(raw_mm, refined_m, reference_m=None) -> RefinedFrame:
    raw = np.broadcast_to(np.asarray(raw_mm, np.uint16), (HEIGHT, WIDTH)).copy()
    depth = np.broadcast_to(np.asarray(refined_m, np.float32), (HEIGHT, WIDTH)).copy()
    truth = None
    if reference_m is not None:
        truth = np.full((HEIGHT, WIDTH), reference_m, np.float32)
    color = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame = Frame("a", 0, 1, 0, color, raw, 0.001, Calibration(INTRINSICS), reference_m=truth)
    return RefinedFrame(frame, depth, depth > 0, RefinerInfo("made"), 0, 1)


def task(mode, base, shown, base_source=Base.RAW, T=None, limit_m=0.05) -> Task:
    return Task(
        mode,
        Side(base, base_source, "base"),
        Side(shown, Base.REFINED, "shown"),
        T or Extrinsics(),
        DepthRange(),
        "viridis",
        limit_m,
    )


def test_changes_have_colours_shares_and_a_median():
    raw = np.full((HEIGHT, WIDTH), 1000)
    raw[:, :20] = 0
    refined = np.ones((HEIGHT, WIDTH))
    refined[:, 60:70] = 1.2
    refined[:, 70:] = 0
    answer = compare(task(Mode.CHANGE, one := result(raw, refined), one))
    shares = {Change.FILLED: 0.25, Change.KEPT: 0.5, Change.CHANGED: 0.125, Change.INVALID: 0.125}
    assert answer.shares == pytest.approx(shares)
    assert answer.removed_share == pytest.approx(0.125)
    assert answer.changed_median_mm == pytest.approx(200, rel=1e-4)
    columns = {0: Change.FILLED, 40: Change.KEPT, 65: Change.CHANGED, 75: Change.INVALID}
    for column, kind in columns.items():
        assert tuple(answer.single[30, column]) == CHANGE_RGB[kind]


def test_the_error_is_signed_and_counts_only_what_both_know():
    one = result(0, np.linspace(0.9, 1.1, WIDTH), reference_m=1.0)
    answer = compare(task(Mode.DIFFERENCE, one, one, Base.TRUTH))
    error_mm = 1000 * (np.linspace(0.9, 1.1, WIDTH) - 1)
    assert answer.both_share == 1
    assert answer.median_mm == pytest.approx(0, abs=1e-3)
    assert answer.mean_abs_mm == pytest.approx(np.abs(error_mm).mean(), rel=1e-4)
    assert answer.rms_mm == pytest.approx(np.sqrt((error_mm**2).mean()), rel=1e-4)
    near, far = answer.single[0, 0], answer.single[0, -1]
    assert near[2] > near[0], "nearer than the truth is blue"
    assert far[0] > far[2], "farther is red"


def test_no_truth_no_error():
    one = result(1000, 1.0)
    assert compare(task(Mode.DIFFERENCE, one, one, Base.TRUTH)) is None


def test_another_camera_is_moved_into_the_view():
    ours = result(1000, 1.0)
    theirs = result(900, 0.9)  # 0.1 m in front of ours, so the wall is one and the same
    T = Extrinsics(translation_m=(0.0, 0.0, 0.1))
    answer = compare(task(Mode.DIFFERENCE, theirs, ours, Base.REFINED, T))
    assert answer.both_share > 0.7
    assert answer.median_mm == pytest.approx(0, abs=0.2)
    assumed = compare(task(Mode.DIFFERENCE, theirs, ours, Base.REFINED))
    assert assumed.median_mm == pytest.approx(100, abs=0.2)


def test_a_wipe_has_both_depths_in_the_window_s_colours():
    one = result(1000, 2.0)
    answer = compare(task(Mode.WIPE, one, one))
    left, right = answer.pair
    assert left.shape == right.shape == (HEIGHT, WIDTH)
    assert left[0, 0] != right[0, 0]
    holes = result(0, 2.0)
    assert compare(task(Mode.WIPE, holes, holes)).pair[0][0, 0] == 0, "holes let the hatch through"


def test_background_work_is_newest_first_and_tells_errors(qapp, caplog):
    seen, errors = [], []

    def work(item):
        if item == "bad":
            raise ValueError("bad item")
        return item * 2

    background = Background("test", work)
    background.done.connect(seen.append)
    background.failed.connect(errors.append)
    background.submit(21)
    wait_for(lambda: seen == [42])
    background.submit("bad")
    wait_for(lambda: errors)
    assert "bad item" in errors[0]
    background.submit(4)
    wait_for(lambda: seen == [42, 8])
    background.stop()
    background.stop()
    background.submit(5)
    wait_for(lambda: seen == [42, 8, 10])
    background.stop()


# ---- in the window ---------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path):
    return tuple(f"folder:{write_examples(tmp_path / name, 2)}" for name in ("one", "two"))


@pytest.fixture
def window(window):
    window.refining.use(RefinerConfig("guided"))
    window.docks.compare.show()
    return window


def open_two(window, folders):
    window.stage.open(folders)
    wait_for(lambda: len(window.panels) == 2 and all(p.refined.has_image for p in window.panels))


def test_it_follows_the_selected_camera_and_says_amounts(window, folders):
    open_two(window, folders)
    window.layouts.change()
    wait_for(lambda: "filled" in window.compare.legend.text())
    assert "removed" in window.compare.legend.text()
    bases = [window.compare.base_box.itemText(i) for i in range(window.compare.base_box.count())]
    assert bases[0] == "raw"
    assert all(text.startswith("2  ") for text in bases[1:])
    window.rows.select(window.panels[1])
    bases = [window.compare.base_box.itemText(i) for i in range(window.compare.base_box.count())]
    assert all(text.startswith("1  ") for text in bases[1:])


def test_it_takes_a_twentieth_of_a_processor_where_a_picture_takes_long(
    window, folders, monkeypatch
):
    made = []

    def slowly(task):
        until_s = time.thread_time() + 0.02
        while time.thread_time() < until_s:
            pass
        made.append(task)
        return compare(task)

    monkeypatch.setattr("ui.panels.compare_view.compare", slowly)
    window.stage.open(folders[:1])
    wait_for(lambda: len(made) > 2)
    made.clear()
    pass_time(2000)
    assert 0 < len(made) <= 2 / 0.4 + 1  # seconds, and those between two


def test_its_numbers_lose_words_before_they_are_cut(window):
    raw = np.full((HEIGHT, WIDTH), 1000)
    raw[:, :20] = 0
    refined = np.ones((HEIGHT, WIDTH))
    refined[:, 60:] = 1.2
    answer = compare(task(Mode.CHANGE, one := result(raw, refined), one))
    long, short, bare, lines = compare_words.legend(answer)
    assert "200 mm (median)" in long
    assert "median" not in short
    assert "200 mm" not in bare
    assert lines.replace("<br>", "&nbsp;&nbsp; ") == bare
    assert all(word in lines for word in ("kept", "changed", "filled", "removed"))
    pane = window.compare
    pane._set_legend(long, short)
    widest = pane.legend.sizeHint().width()
    for width, shown in ((widest, long), (widest - 1, short)):
        pane.image.resize(width, 200)
        pane._set_legend(long, short)
        assert (pane.legend.text(), pane.legend.toolTip()) == (shown, long)


@pytest.mark.parametrize("mode", [Mode.CHANGE, Mode.WIPE])
def test_its_pictures_are_made_beside_the_main_thread(mode, window, folders, monkeypatch):
    makers = []

    def noting(source, plan):
        makers.append(threading.current_thread().name)
        return compose(source, plan)

    open_two(window, folders)
    window.compare.set_mode(mode)
    wait_for(lambda: window.compare.image.has_image)
    monkeypatch.setattr("ui.views.pair_view.compose", noting)
    window.compare._submit()
    wait_for(lambda: makers[-4:] == 4 * ["compare"])  # once nothing moves any more


def test_two_cameras_without_calibration_are_said_to_be_assumed_in_one_place(window, folders):
    open_two(window, folders)
    window.layouts.difference()
    compare_view = window.compare
    other = next(t for t in map(compare_view.base_box.itemText, range(9)) if t.endswith("refined"))
    compare_view.base_box.setCurrentText(other)
    wait_for(lambda: "minus 2" in compare_view.image._title)
    assert compare_view.warning.isVisible()
    assert compare_view.warning.text() == UNCALIBRATED
    names = [panel.view.feed.name for panel in window.panels]
    window.rows.set_rig(Rig((RigCamera(names[0]), RigCamera(names[1]))))
    wait_for(lambda: not compare_view.warning.isVisible())
    moved = Extrinsics(translation_m=(0.0, 0.0, 0.25))
    window.rows.set_rig(Rig((RigCamera(names[0]), RigCamera(names[1], moved))))
    wait_for(lambda: compare_view._last is not None and compare_view._last.median_mm < -200)


def test_truth_is_offered_only_where_it_is_known(window, folders):
    window.stage.open((folders[0], "synthetic:tof"))
    wait_for(lambda: all(p.refined.has_image for p in window.panels), 60)
    box = window.compare.base_box
    wait_for(lambda: box.findText("truth") < 0)
    assert [box.itemText(i) for i in range(box.count())][-1].endswith("truth")
    window.rows.select(window.panels[1])
    window.layouts.difference()
    window.compare.base_box.setCurrentText("truth")
    wait_for(lambda: window.compare.image._title == "Error: refined minus truth")
    wait_for(lambda: "RMS" in window.compare.legend.text())


def test_the_wipe_follows_the_mouse_or_sweeps_by_itself(window, folders):
    window.stage.open((folders[0],))
    window.layouts.wipe()
    image = window.compare.image
    wait_for(lambda: image.has_image)
    window.link.set_cursor(QPointF(0.25, 0.5))
    assert image.split == 0.25
    window.actions_["sweep"].trigger()
    wait_for(lambda: image.split != 0.25)
    seen = {image.split}
    wait_for(lambda: seen.add(image.split) or len(seen) > 3)
    window.actions_["sweep"].trigger()
    window.link.set_cursor(QPointF(0.75, 0.5))
    assert image.split == 0.75


def test_blink_shows_one_and_then_the_other(window, folders):
    window.stage.open((folders[0],))
    window.layouts.blink()
    image = window.compare.image
    wait_for(lambda: image.has_image)
    wait_for(lambda: image.split == 1.0)
    wait_for(lambda: image.split == 0.0)
    left = image.grab().toImage()
    wait_for(lambda: image.split == 1.0)
    assert image.grab().toImage() != left


def test_nothing_runs_while_it_is_hidden(window, folders):
    window.stage.open((folders[0],))
    window.layouts.blink()
    wait_for(lambda: window.compare.image.has_image)
    window.docks.compare.hide()
    assert not window.compare._timer.isActive()
    assert dataclasses.is_dataclass(window.compare._last)
