"""Colour, raw and refined depth are of one moment; where not, the window says so."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from gui_wait import wait_for
from rgbd_folder import write_examples

from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import CameraTimeoutError
from lingbot_live.frame import RefinedFrame, RefinerInfo
from lingbot_live.pipeline.session import Feed, Session
from lingbot_live.pipeline.stats import FeedStats
from lingbot_live.recording.recorder import Recorder
from ui.controllers.scenes import MISSING
from ui.shell.bridge import FeedView


class Paused:
    is_paused = True


@pytest.fixture(scope="module")
def frames():
    """Three frames, 300 ms apart."""
    with registry.create_camera("synthetic:stereo") as camera:
        first = camera.read(5.0)
    return [
        replace(
            first,
            index=n,
            timestamp_ns=first.timestamp_ns + n * 300_000_000,
            device_timestamp_us=1_000_000 + n * 300_000,
        )
        for n in range(3)
    ]


def refined_of(frame):
    return RefinedFrame(
        frame=frame,
        depth_m=frame.depth_m,
        mask=np.ones(frame.depth_raw.shape, bool),
        refiner=RefinerInfo("none", "CPU"),
        started_ns=frame.timestamp_ns,
        finished_ns=frame.timestamp_ns,
    )


@pytest.fixture
def view():
    return FeedView(Feed("a", lambda: None, FeedStats()))


def test_all_three_are_of_the_refined_frame_while_it_lags(view, frames):
    view.feed.frames.put(frames[0])
    assert view.pull()
    assert view.frame is frames[0], "nothing refined yet: what there is"
    view.feed.refined.put(refined_of(frames[0]))
    view.feed.frames.put(frames[2])
    view.pull()
    assert view.frame is frames[0]
    assert view.is_matched
    assert view.age_s == pytest.approx(0.6)


def test_results_that_are_late_or_rare_no_longer_hold_up_the_camera(view, frames):
    def at(seconds):
        stamp_us = round(seconds * 1e6)
        return replace(frames[0], timestamp_ns=1000 * stamp_us, device_timestamp_us=stamp_us)

    def show(newest_s, refined_s=None):
        view.feed.frames.put(at(newest_s))
        if refined_s is not None:
            view.feed.refined.put(refined_of(at(refined_s)))
        view.pull()
        time.sleep(0.11)  # so many live pictures are shown, and no more
        view.feed.frames.put(at(newest_s + 0.1))
        view.pull()
        return view.frame.timestamp_ns / 1e9

    assert show(10.9, 10.0) == 10.0
    assert show(12.0, 11.6) == 12.1, "not late, but the one before was shown for 2 s"
    assert view.is_thinned
    assert show(12.5, 12.4) == 12.6, "the one before was 0.9 s old: not to and fro"
    assert show(13.0, 12.9) == 12.9, "in time again: one moment"
    assert not view.is_thinned
    assert show(14.0) == 14.1, "no result for over a second"


def test_a_switch_shows_raw_live(view, frames):
    view.shows_live = True
    view.feed.refined.put(refined_of(frames[0]))
    view.feed.frames.put(frames[1])
    view.pull()
    assert view.frame is frames[1]
    assert not view.is_matched
    view.feed.refined.put(refined_of(frames[1]))
    view.pull()
    assert view.is_matched


@pytest.fixture
def held(view, monkeypatch):
    monkeypatch.setattr(Feed, "playback", property(lambda self: Paused()))
    return view


def test_a_held_frame_does_not_age(held, frames):
    held.feed.frames.put(frames[0])
    held.feed.refined.put(refined_of(frames[0]))
    held.pull()
    again = replace(frames[0], index=9, timestamp_ns=frames[0].timestamp_ns + 5_000_000_000)
    held.feed.frames.put(again)
    held.pull()
    assert held.age_s == 0
    assert held.refined is not None


def test_a_frame_that_was_stepped_to_is_shown_at_once_without_anothers_depth(held, frames):
    held.feed.frames.put(frames[0])
    held.feed.refined.put(refined_of(frames[0]))
    held.pull()
    held.feed.frames.put(frames[1])
    held.pull()
    assert held.frame is frames[1]
    assert held.refined is None


def test_the_window_says_the_age_and_remembers_the_switch(window):
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    assert not window.actions_["live_raw"].isChecked()
    window.actions_["live_raw"].trigger()
    assert window.panels[0].view.shows_live
    assert window.settings.text("live_raw") == "True"
    window.actions_["live_raw"].trigger()
    assert not window.panels[0].view.shows_live


def test_a_refiner_that_fails_leaves_no_picture_of_the_one_before(window, tmp_path):
    window.stage.open((f"folder:{write_examples(tmp_path / 'examples')}",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    window.refining.choose(f"lingbot:{tmp_path / 'nowhere.pt'}")
    wait_for(lambda: window.stage.session.refiner_error is not None)
    wait_for(lambda: not window.panels[0].refined.has_image)
    wait_for(lambda: window.panels[0].color.has_image)
    count = window.panels[0].view.frame.index
    wait_for(lambda: window.panels[0].view.frame.index > count)


@pytest.fixture(scope="module")
def partly_refined(tmp_path_factory):
    """A session whose first frames alone were refined."""
    path = tmp_path_factory.mktemp("take") / "partly.mcap"
    session = Session.of(["synthetic:stereo"], RefinerConfig("none"))
    with session:
        session.wait(duration_s=0.01)
        deadline = time.monotonic() + 30
        while session.feeds[0].stats.refined < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        recorder = Recorder(path)
        recorder.start(session)
        while recorder.stats().frames < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        session.set_refiner(_raise, RefinerConfig("none", model="x"))
        so_far = recorder.stats().frames
        while recorder.stats().frames < so_far + 12 and time.monotonic() < deadline:
            time.sleep(0.01)
        recorder.stop()
    return path


def _raise():
    raise RuntimeError("no refiner")


def test_an_error_that_ended_takes_no_newer_notice_along(window, monkeypatch):
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.panels and window.panels[0].color.has_image)
    panel, silence = window.panels[0], CameraTimeoutError("no frame for 3 s")
    monkeypatch.setattr(Feed, "error", property(lambda self: silence))
    panel.show_state("none", 0.0)
    assert panel.notice.text.startswith("no frame")
    panel.notice.show_offer(MISSING)
    monkeypatch.undo()
    panel.show_state("none", 0.0)
    assert panel.notice.text == MISSING


def test_a_frame_without_recorded_refinement_says_so_and_can_be_refined(window, partly_refined):
    window.refining.choose("guided")
    window.stage.open((str(partly_refined),))
    wait_for(lambda: window.replay.lead is not None and window.panels[0].color.has_image)
    assert window.refining.shows_recorded
    window.replay.to_end()
    panel = window.panels[0]
    wait_for(lambda: panel.notice.text == MISSING)
    wait_for(lambda: not panel.refined.has_image)
    wait_for(lambda: panel.refined._placeholder == "not refined when recorded")
    assert "as recorded: none on CPU" in panel.refined._title
    (button,) = panel.notice.buttons
    assert button.text() == "Refine this frame"
    button.click()
    wait_for(lambda: panel.view.refined is not None)
    assert panel.view.refined.refiner.name == "guided"
    assert np.count_nonzero(panel.view.refined.depth_m)
    wait_for(lambda: panel.notice.text == "")
    window.replay.to_start()
    window.replay.play()
    wait_for(lambda: window.refining.shows_recorded, 30)
