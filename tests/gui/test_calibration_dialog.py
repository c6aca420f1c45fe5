"""The calibration dialog on recordings of a board, as a user works with it."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from boards import LEFT, write_board_pair
from gui_wait import pass_time, wait_for
from PySide6.QtWidgets import QFileDialog
from rgbd_folder import write_examples

from lingbot_live.calibration.rig import Rig, RigCamera, move_of
from lingbot_live.geometry import scaled
from ui.dialogs.nudging import Nudging

HOLD = 30  # frames of each pose
BESIDE = move_of((0.12, 0.01, 0.02), (1.0, -9.0, 2.0))


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    small = scaled(LEFT, 320, 240)
    return write_board_pair(
        tmp_path_factory.mktemp("pair"), BESIDE, small, hold=HOLD, distance_m=0.55
    )


def opened(window, addresses):
    window.stage.open(tuple(addresses))
    wait_for(lambda: all(panel.refined.has_image for panel in window.panels))
    window.actions_["calibrate"].trigger()
    return window.dialogs.calibration


def show_together(window, number):
    """Play both recordings from one frame on, for a second: a busy machine drives them apart."""
    for feed in window.stage.session.feeds:
        feed.playback.seek_frame(number)
    pass_time(900)


def test_a_board_before_two_cameras_gives_their_rig(window, addresses, tmp_path, monkeypatch):
    dialog = opened(window, addresses)
    assert not dialog.solve_button.isEnabled()
    dialog.look_button.click()
    boards = dialog._work.watch.boards
    poses = itertools.cycle(range(7))
    deadline = time.monotonic() + 60
    while len(boards.views) < 5:
        assert time.monotonic() < deadline, f"{len(boards.views)} views were taken"
        show_together(window, HOLD * next(poses))
    wait_for(lambda: "corners" in dialog.table.texts(0)[1])
    wait_for(lambda: dialog.solve_button.isEnabled() and int(dialog.table.texts(1)[2]) >= 5)
    assert "views" in dialog.status.text()
    dialog.solve_button.click()
    wait_for(lambda: window.rows.rig is not None)
    found = window.rows.rig.camera(addresses[1])
    assert np.linalg.norm(np.subtract(found.pose.translation_m, BESIDE.translation_m)) < 0.004
    assert (found.pose.inverse() @ BESIDE).angle_deg < 0.2
    texts = dialog.table.texts(1)
    assert texts[5] == f"{found.residual_px:.2f}"
    assert texts[3].split() == [f"{1000 * n:+.1f}" for n in found.pose.translation_m]

    dialog.nudging.boxes[1].setValue(5.0)
    moved = window.rows.rig.camera(addresses[1]).pose.translation_m
    assert moved[1] == pytest.approx(found.pose.translation_m[1] + 0.005)
    path = tmp_path / "rig.toml"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(path), ""))
    dialog.save_button.click()
    assert Rig.load(path).camera(addresses[1]).pose.translation_m == pytest.approx(moved)
    dialog.nudging.zero_button.click()
    assert window.rows.rig.camera(addresses[1]).pose == found.pose

    wait_for(lambda: len(dialog._work.watch.frames()) == 2)
    dialog.close()
    assert window.dialogs.calibration is None
    assert window.stage.session._taps == ()


def test_icp_runs_in_a_child_and_can_be_cancelled(window, addresses):
    dialog = opened(window, addresses)
    window.rigging.use(Rig((RigCamera(addresses[0]), RigCamera(addresses[1], BESIDE))))
    wait_for(lambda: len(dialog._work.watch.frames()) == 2)
    dialog.icp_button.click()
    wait_for(lambda: dialog.icp_button.text() == "Cancel")
    dialog.icp_button.click()
    wait_for(lambda: "cancelled" in dialog.notice.text)
    assert window.rows.rig.camera(addresses[1]).pose == BESIDE
    wait_for(lambda: dialog.icp_button.text() == "Refine by ICP")
    dialog.close()


def test_it_says_what_is_missing(window, tmp_path):
    window.stage.open((f"folder:{write_examples(tmp_path / 'one', 2)}",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    window.actions_["calibrate"].trigger()
    dialog = window.dialogs.calibration
    assert "at least two cameras" in dialog.status.text()
    assert not dialog.look_button.isEnabled()
    window.stage.add(f"folder:{write_examples(tmp_path / 'two', 2)}")
    wait_for(lambda: dialog.look_button.isEnabled())
    dialog.board_box.setEditText("chessboard:8x6:20mm")
    dialog.look_button.click()
    assert "upside down" in dialog.notice.text
    dialog.clock_button.click()
    wait_for(lambda: "seen for" in dialog.notice.text)
    window.stage.stop()
    assert "at least two cameras" in dialog.status.text()
    dialog.close()


def test_the_boards_picture_is_saved(window, tmp_path, monkeypatch):
    window.actions_["calibrate"].trigger()
    dialog = window.dialogs.calibration
    path = tmp_path / "board.png"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(path), ""))
    dialog.draw_button.click()
    wait_for(path.exists)
    wait_for(lambda: window.tasks.finish(0.1))
    dialog.close()


def test_nudges_of_two_cameras_add_up(qapp):
    nudging, told = Nudging(), []
    nudging.nudged.connect(told.append)
    nudging.set_rig(Rig((RigCamera("a"), RigCamera("b", BESIDE), RigCamera("c"))))
    nudging.boxes[0].setValue(2.0)
    nudging.camera_box.setCurrentText("c")
    assert nudging.boxes[0].value() == 0
    nudging.boxes[4].setValue(1.5)
    rig = told[-1]
    assert rig.camera("b").pose.translation_m[0] == pytest.approx(0.122)
    assert rig.camera("c").pose.angle_deg == pytest.approx(1.5)
    nudging.deleteLater()
