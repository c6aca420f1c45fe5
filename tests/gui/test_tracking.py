"""Points clicked in the colour picture are followed: trails in picture and 3D view, numbers."""

from __future__ import annotations

import numpy as np
import pytest
from gui_wait import wait_for
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest

from lingbot_live.config import RefinerConfig
from lingbot_live.perception.tracks import Lifted, Tracked
from ui.controllers.tracking import Step, Trails


@pytest.fixture
def table(window):
    window.stage.refiner = RefinerConfig("none")
    window.stage.open(("synthetic:table",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image, 60)
    return window


def click(window, x, y):
    pane = window.panels[0].color
    at = pane.position_of(QPointF(x, y)).toPoint()
    QTest.mouseClick(pane, Qt.MouseButton.LeftButton, pos=at)


def test_clicked_points_are_followed(table):
    tracking = table.perceiving.tracking
    click(table, 0.5, 0.8)
    assert not tracking.trails.steps, "not before it is on"
    table.actions_["follow"].trigger()
    assert tracking.bar.isVisibleTo(table)
    click(table, 0.5, 0.8)
    wait_for(lambda: len(tracking.trails.steps) > 3)
    click(table, 0.3, 0.85)
    wait_for(lambda: len(tracking.trails.distance_m) == 2 and len(tracking.trails.steps) > 3)
    step = tracking.trails.steps[-1]
    assert step.tracked.visible.all()
    start = np.array([[0.5 * 640, 0.8 * 480], [0.3 * 640, 0.85 * 480]])
    assert np.abs(step.tracked.pixels - start).max() < 3, "the table stands still"
    assert (step.lifted.points_m[:, 2] > 0.4).all()
    assert "2 of 2 points seen" in tracking.bar.words.text()
    assert table.panels[0].color.above
    assert table.cloud.view.lines
    wait_for(lambda: tracking.bar.plot is not None)
    table.actions_["follow"].trigger()
    assert not table.panels[0].color.above
    assert not table.cloud.view.lines
    assert not tracking.trails.steps


def test_trails_begin_anew_where_a_recording_does():
    trails, place = Trails(), np.zeros((1, 3), np.float32)
    tracked = Tracked(np.zeros((1, 2), np.float32), np.ones(1, bool))
    for time_s in (4.0, 5.0, 0.5, 0.6):
        lifted = Lifted(place + np.float32(time_s), place, np.ones(1, np.float32))
        trails.add(Step(None, time_s, tracked, lifted))
    assert [step.time_s for step in trails.steps] == [0.5, 0.6]
    assert [told[0] for told in trails.history] == [0.5, 0.6]
    assert trails.distance_m[0] == pytest.approx(0.1 * np.sqrt(3), abs=1e-4)


def test_stopping_forgets_points(table):
    tracking = table.perceiving.tracking
    table.actions_["follow"].trigger()
    click(table, 0.5, 0.8)
    wait_for(lambda: tracking.trails.steps)
    table.stage.stop()
    assert not tracking.trails.steps
    table.actions_["follow"].trigger()
