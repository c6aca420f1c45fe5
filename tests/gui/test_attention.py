"""Clicks into the refined picture ask the network what it looked at there."""

from __future__ import annotations

import pytest
from gui_wait import wait_for
from made_network import save_made
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from rgbd_folder import write_examples

from lingbot_live.config import RefinerConfig


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_made(tmp_path_factory.mktemp("made") / "model.pt")


@pytest.fixture
def window(window, tmp_path):
    window.stage.open((f"folder:{write_examples(tmp_path / 'examples')}",))
    wait_for(lambda: window.panels[0].refined.has_image)
    return window


def use(window, config):
    window.refining.use(config)

    def is_at_work():
        refined = window.panels[0].view.refined
        return refined is not None and refined.refiner.name == config.name

    wait_for(is_at_work)


def click(window, x, y):
    pane = window.panels[0].refined
    at = pane.position_of(QPointF(x, y)).toPoint()
    QTest.mouseClick(pane, Qt.MouseButton.LeftButton, pos=at)


def overlaid(window):
    return window.panels[0].color.grab().toImage()


def test_only_with_a_network(window):
    use(window, RefinerConfig("none"))
    window.actions_["attention"].trigger()
    assert not window.perceiving.attention.is_on
    assert not window.actions_["attention"].isChecked()
    assert "LingBot-Depth" in window.desk.news.text
    click(window, 0.5, 0.5)
    assert not window.panels[0].color.above


def test_a_click_lays_attention_over_the_colour(window, checkpoint):
    use(window, RefinerConfig("lingbot", str(checkpoint), tokens=48, device="cpu"))
    before = overlaid(window)
    window.actions_["attention"].trigger()
    bar = window.perceiving.attention.bar
    assert bar.isVisibleTo(window)
    click(window, 0.4, 0.6)
    wait_for(lambda: bar.words.text().startswith("Token"))
    mean = overlaid(window)
    assert mean != before
    bar.kind_box.setCurrentIndex(1)
    rollout = overlaid(window)
    assert rollout != mean
    bar.kind_box.setCurrentIndex(2)
    assert bar.layer_box.isVisibleTo(window)
    assert bar.head_box.maximum() == 5
    bar.head_box.setValue(4)
    assert overlaid(window) not in (mean, rollout)
    window.actions_["attention"].trigger()
    assert not bar.isVisibleTo(window)
    assert not window.panels[0].color.above


def test_another_refiner_says_that_it_has_none(window, checkpoint):
    use(window, RefinerConfig("lingbot", str(checkpoint), tokens=48, device="cpu"))
    window.actions_["attention"].trigger()
    use(window, RefinerConfig("none"))
    click(window, 0.4, 0.6)
    wait_for(lambda: "has no attention" in window.perceiving.attention.bar.words.text())
    assert not window.panels[0].color.above
