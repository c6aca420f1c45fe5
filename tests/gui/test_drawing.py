"""Pictures are made beside the main thread, which only copies them and what else changed."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from gui_wait import pass_time, wait_for
from PySide6.QtCore import QPointF
from rgbd_folder import write_examples

from lingbot_live.colormap import DepthRange
from lingbot_live.pipeline.latest import Latest
from ui.shell import bridge
from ui.shell.bridge import Bridge, FeedView
from ui.views import drawing, image_view
from ui.views.compose import Colors, Depths, Plan, compose
from ui.views.image_view import ImageView


@pytest.fixture
def streaming(window, tmp_path):
    window.stage.open((f"folder:{write_examples(tmp_path / 'examples')}",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    return window


def shown(window):
    return window.stage.stats()["feeds"][window.stage.addresses[0]]["shown"]


def settle(window):
    """Wait until panes keep their size and words: a busy machine lays out late."""

    def look():
        return [(pane.plan(), pane._title, pane._stats) for pane in window.panels[0].views]

    wait_for(lambda: shown(window) > 3)
    before = None
    while before != (before := look()):
        pass_time(300)


def test_the_main_thread_makes_no_picture_of_a_stream(streaming, monkeypatch):
    makers = []

    def noting(source, plan):
        makers.append(threading.current_thread().name)
        return compose(source, plan)

    settle(streaming)
    monkeypatch.setattr(drawing, "compose", noting)
    monkeypatch.setattr("ui.views.image_view.compose", noting)
    before = shown(streaming)
    wait_for(lambda: shown(streaming) > before + 5)
    assert len(makers) > 10
    assert {name.split()[0] for name in makers} == {"draw"}


def test_the_main_thread_makes_no_metres_of_a_stream(streaming, monkeypatch):
    makers, metres = [], Depths.depth_m

    def noting(self, step=1):
        makers.append(threading.current_thread())
        return metres(self, step)

    settle(streaming)
    monkeypatch.setattr(Depths, "depth_m", noting)
    pane = streaming.panels[0].raw
    wait_for(lambda: len(makers) > 10)
    assert pane._source.depth.dtype == np.uint16
    assert threading.main_thread() not in makers


@pytest.mark.parametrize("step", [1, 2, 3])
def test_raw_depth_has_the_colours_of_its_metres(step):
    raw = np.random.default_rng(0).integers(0, 65_536, (31, 40)).astype(np.uint16)
    metres, scale = raw * np.float32(0.00025), DepthRange(0.3, 12)
    own, given = (Depths(depth, scale, "turbo", unit)
                  for depth, unit in ((raw, 0.00025), (metres, 1.0)))  # fmt: skip
    assert own.size == given.size == (40, 31)
    np.testing.assert_array_equal(own.depth_m(step), metres[::step, ::step])
    np.testing.assert_array_equal(own.pixels(step), given.pixels(step))


def test_where_a_picture_stands_is_found_once_while_nothing_moves(streaming, monkeypatch):
    settle(streaming)
    found = []
    find = ImageView._find_plan
    monkeypatch.setattr(ImageView, "_find_plan", lambda *of: found.append(of) or find(*of))
    before = shown(streaming)
    wait_for(lambda: shown(streaming) > before + 5)
    assert len(found) <= 4  # those that had not been asked before
    pane = streaming.panels[0].color
    wide = pane.plan()
    pane.resize(pane.width() - 30, pane.height())
    assert pane.plan().width < wide.width


def test_a_picture_made_beside_equals_one_made_at_once(streaming):
    panel = streaming.panels[0]
    wait_for(lambda: shown(streaming) > 3)
    streaming.stage.bridge.follow(None)
    wait_for(lambda: not panel.view.is_drawing)
    for pane in panel.views:
        assert pane._canvas is not None
        assert pane._canvas == compose(pane._source, pane.plan())


def test_other_colours_are_made_beside_the_main_thread_even_of_a_still_picture(
    streaming, monkeypatch
):
    panel, makers, new = streaming.panels[0], [], DepthRange(0.5, 1.0)
    settle(streaming)  # the very first picture is made where it is painted
    streaming.stage.bridge.follow(None)
    wait_for(lambda: not panel.view.is_drawing)
    before = panel.raw.grab().toImage()

    def noting(source, plan):
        if getattr(source, "scale", None) == new:
            makers.append(threading.current_thread().name.split()[0])
        return compose(source, plan)

    monkeypatch.setattr(drawing, "compose", noting)
    monkeypatch.setattr("ui.views.image_view.compose", noting)
    streaming.scale.set_range(new)
    wait_for(lambda: panel.raw._source.scale == panel.refined._source.scale == new)
    assert panel.raw.grab().toImage() != before
    assert set(makers) == {"draw"}


def test_zooming_shows_at_once_though_the_next_picture_was_planned_before(streaming):
    pane = streaming.panels[0].color
    streaming.stage.bridge.follow(None)
    wait_for(lambda: not streaming.panels[0].view.is_drawing)
    source, old = pane._source, pane.plan()
    streaming.link.show_at(QPointF(0.5, 0.5), 4)
    pane.show_composed(source, old, compose(source, old))
    pane.grab()
    assert pane._canvas == compose(source, pane.plan())


def test_header_and_footer_are_painted_when_their_words_change(streaming, monkeypatch):
    pane, counts = streaming.panels[0].color, dict.fromkeys(("picture", "header", "footer"), 0)
    settle(streaming)
    for owner, name in (
        (pane, "_paint_picture"), (image_view, "paint_header"), (image_view, "paint_footer"),
    ):  # fmt: skip
        paint = getattr(owner, name)

        def counting(painter, *what, name=name, paint=paint):
            counts[name.rpartition("_")[2]] += painter.device() is pane
            paint(painter, *what)

        monkeypatch.setattr(owner, name, counting)
    wait_for(lambda: counts["picture"] > 8)
    assert counts["header"] == counts["footer"] == 0
    pane.set_title("Another name")
    wait_for(lambda: counts["header"] > 0)
    assert counts["footer"] == 0


def test_what_goes_wrong_while_drawing_is_said_and_drawing_goes_on(streaming, monkeypatch, caplog):
    def failing(source, plan):
        raise ValueError("no such colour")

    panel = streaming.panels[0]
    with monkeypatch.context() as broken:
        broken.setattr(drawing, "compose", failing)
        wait_for(lambda: "no such colour" in panel.notice.text)
    before = shown(streaming)
    wait_for(lambda: shown(streaming) > before + 2)
    assert "no such colour" in caplog.text


def test_the_thread_that_draws_ends_with_its_row(streaming):
    def drawers():
        return [thread for thread in threading.enumerate() if thread.name.startswith("draw ")]

    assert drawers()
    streaming.rows.show([])
    assert not drawers()


@pytest.mark.parametrize(("zoom", "limit"), [(0.25, 3), (0.3, 3), (0.8, 3), (1.0, 0), (3.7, 0)])
def test_a_picture_lies_where_its_plan_says(zoom, limit):
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[20:40, 30:50] = (200, 100, 50)
    left, top, width, height = 10.0, 5.0, 80 * zoom, 60 * zoom
    image = compose(Colors(rgb), Plan(400, 300, 1.0, (left, top, width, height), "#112233"))

    def at(x, y):
        place = QPointF(left + x * zoom, top + y * zoom).toPoint()
        return image.pixelColor(place).getRgb()[:3]

    np.testing.assert_allclose(at(40, 30), (200, 100, 50), atol=limit)
    np.testing.assert_allclose(at(15, 30), (0, 0, 0), atol=limit)
    assert image.pixelColor(2, 2).name() == "#112233"
    assert image.pixelColor(399, 299).name() == "#112233"


def test_a_picture_wholly_outside_its_pane_leaves_the_ground():
    source = Colors(np.full((60, 80, 3), 255, np.uint8))
    for left in (-500.0, 500.0):
        for width in (40.0, 160.0):
            plan = Plan(100, 80, 1.0, (left, 0.0, width, width * 0.75), "#112233")
            image = compose(source, plan)
            assert {image.pixelColor(x, 40).name() for x in range(0, 100, 9)} == {"#112233"}


def made_view(monkeypatch, now):
    monkeypatch.setattr(bridge, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return FeedView(made_feed())


def made_feed():
    return SimpleNamespace(frames=Latest(), refined=Latest(), playback=None)


def made_frame(stamp_s):
    stamp_ns = int(stamp_s * 1e9)
    return SimpleNamespace(
        timestamp_ns=stamp_ns, device_timestamp_us=stamp_ns, device_index=0, label=""
    )


def test_live_pictures_are_fewer_while_results_lag_and_none_is_lost(monkeypatch):
    now = [100.0]
    view = made_view(monkeypatch, now)
    view.shows_live = True
    view.feed.frames.put(made_frame(0))
    assert view.pull()
    assert not view.is_thinned, "without any result every picture is shown"
    view.feed.refined.put(SimpleNamespace(frame=view.frame))
    assert view.pull()
    seen = 0
    for step in range(30):  # a second, no result
        now[0] += 1 / 30
        view.feed.frames.put(made_frame(1 + step / 30))
        seen += view.pull()
    assert view.is_thinned
    assert 9 <= seen <= 11
    last = made_frame(3)
    view.feed.frames.put(last)
    view.pull()
    now[0] += 0.2
    assert view.frame is last or (view.waits and view.pull() and view.frame is last)
    result = SimpleNamespace(frame=last)
    view.feed.refined.put(result)
    assert view.pull()
    assert view.refined is result
    assert not view.is_thinned


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="threads have no priority here")
def test_the_refiner_has_the_priority_of_the_window(streaming):
    """Nothing that is shown may come before it; only comparisons and the cloud come after."""
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    nice = {
        thread.name: os.getpriority(os.PRIO_PROCESS, thread.native_id)
        for thread in threading.enumerate()
    }
    assert nice["inference"] == ours
    assert {n for name, n in nice.items() if name.startswith(("draw", "capture"))} == {ours}


def test_slow_drawing_makes_rounds_fewer_but_never_below_ten_a_second(qapp):
    shown_by = Bridge()
    view = FeedView(made_feed())
    shown_by.views = [view]
    assert shown_by.period_s == pytest.approx(1 / 60)
    assert shown_by.reduced == ""
    for _ in range(50):
        view.drew(0.03)
    assert shown_by.period_s == pytest.approx(0.06, rel=0.05)
    assert "17 a second" in shown_by.reduced
    for _ in range(50):
        view.drew(3.0)
    assert shown_by.period_s == pytest.approx(0.1)
    view.is_thinned = True
    assert "refining comes first" in shown_by.reduced
