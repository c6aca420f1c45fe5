"""Recordings in the window: steered by mouse, keys and fields, all cameras together."""

from __future__ import annotations

import time

import numpy as np
import pytest
from foreign_files import OtherProgram, color_image, depth_image, stamp_ns
from gui_wait import pass_time, wait_for
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from rgbd_folder import write_examples
from sessions import NoisyCamera, record

from lingbot_live.cameras.playback import Mark
from ui.panels.timeline import clock, parse_clock
from ui.panels.timeline_track import TimelineTrack, describe

COUNT = 40


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    def during(session, recorder):
        time.sleep(0.4)
        recorder.marker("cup moved")

    path = tmp_path_factory.mktemp("take") / "two cameras.mcap"
    witness, _ = record(
        path,
        NoisyCamera("left", COUNT, period_s=0.025, size=(160, 120)),
        NoisyCamera("right", COUNT, 0.00025, period_s=0.025, size=(160, 120), seed=1),
        during=during,
    )
    return path, witness


def show_paused(window, path):
    """Open a recording and hold it."""
    window.stage.open((str(path),))
    wait_for(lambda: window.replay.lead is not None)
    window.replay.pause()
    wait_for(lambda: all(panel.color.has_image for panel in window.panels))
    pass_time(50)  # for the bar to be laid out
    return window.replay.lead


def enter(field, text):
    """Type into a field as a user does."""
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def shown(window, panel, given):
    """Whether a panel shows this frame."""
    frame = window.panels[panel].view.frame
    return frame is not None and np.array_equal(frame.depth_raw, given.depth_raw)


def in_order(window, witness):
    """The frames that were recorded, for each panel."""
    return [witness.frames[panel.view.feed.name.partition("#")[2]] for panel in window.panels]


def test_a_session_has_all_its_cameras_and_a_time_line(window, take):
    path, witness = take
    assert not window.timeline.isVisible()
    playback = show_paused(window, path)
    assert len(window.panels) == 2
    assert {address.partition("#")[2] for address in window.stage.addresses} == set(witness.frames)
    assert window.bar.address == str(path)
    assert window.timeline.isVisible()
    assert window.focusWidget() is window, "keys steer; no field takes them"
    assert all(feed.playback is playback for feed in window.stage.session.feeds)
    wait_for(lambda: any(mark.kind == "marker" for mark in window.timeline.track.marks))
    window.stage.stop()
    wait_for(lambda: not window.timeline.isVisible())
    window.toggle_streaming()
    wait_for(lambda: len(window.panels) == 2 and window.timeline.isVisible())


def test_seeking_takes_both_cameras_to_the_frame(window, take):
    path, witness = take
    show_paused(window, path)
    given = in_order(window, witness)
    field = window.timeline.frame_field
    for number in (25, 3):
        enter(field, str(number))
        wait_for(lambda number=number: shown(window, 0, given[0][number]))
        at_ns = given[0][number].timestamp_ns
        near = [f for f in given[1] if abs(f.timestamp_ns - at_ns) < 90_000_000]
        wait_for(lambda near=near: any(shown(window, 1, frame) for frame in near))
    enter(field, "no number")
    assert "no frame number" in window.desk.news.text
    wait_for(lambda: field.text().strip() == "3")


def test_seeking_by_time(window, take):
    path, _ = take
    playback = show_paused(window, path)
    field = window.timeline.time_field
    enter(field, "0:00.5")
    wait_for(lambda: abs(playback.position_s - 0.5) < 0.01)
    wait_for(lambda: field.text() == "00:00.500")
    enter(field, "noon")
    assert "write such as" in window.desk.news.text


def test_keys_pause_step_and_go_on(window, take):
    path, witness = take
    window.stage.open((str(path),))
    wait_for(lambda: window.replay.lead is not None)
    playback = window.replay.lead
    window.activateWindow()
    window.setFocus()
    QTest.keyClick(window, Qt.Key.Key_Space)
    wait_for(lambda: playback.is_paused)
    window.replay.seek_frame(10)
    wait_for(lambda: all(panel.color.has_image for panel in window.panels))
    given = in_order(window, witness)[0]
    for key, number in ((Qt.Key.Key_Right, 11), (Qt.Key.Key_Right, 12), (Qt.Key.Key_Left, 11)):
        QTest.keyClick(window, key)
        wait_for(lambda number=number: shown(window, 0, given[number]))
        wait_for(lambda number=number: window.timeline.frame_field.text().strip() == str(number))
    QTest.keyClick(window, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    wait_for(lambda: shown(window, 0, given[-1]))
    QTest.keyClick(window, Qt.Key.Key_Space)
    wait_for(lambda: not playback.is_paused)
    wait_for(lambda: not shown(window, 0, given[-1]))
    assert window.stage.is_running


def test_space_still_stops_a_live_camera(window):
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.panels[0].color.has_image, 30)
    assert not window.timeline.isVisible()
    assert not window.actions_["step_on"].isEnabled()
    window.actions_["play"].trigger()
    assert not window.stage.is_running


def test_dragging_scrubs_and_shows_thumbnails(window, take):
    path, _ = take
    playback = show_paused(window, path)
    window.replay.play()
    track, peek = window.timeline.track, window.timeline.peek
    pictures = []
    window.timeline.thumbnails.ready.connect(lambda image: pictures.append(image))
    middle = track.height() // 2
    QTest.mousePress(track, Qt.MouseButton.LeftButton, pos=QPoint(20, middle))
    assert playback.is_paused, "while it is held"
    for x in (60, 200, track.width() // 2):
        QTest.mouseMove(track, QPoint(x, middle))
        pass_time(20)
    wait_for(lambda: pictures and not pictures[-1].isNull())
    assert peek.isVisible()
    assert window.rect().contains(peek.geometry())
    want_s = track.time_at(track.width() // 2)
    wait_for(lambda: playback.position_s == pytest.approx(want_s, abs=0.01))
    QTest.mouseRelease(track, Qt.MouseButton.LeftButton, pos=QPoint(track.width() // 2, middle))
    assert not playback.is_paused, "it goes on where it was let go"


def test_speed_and_loop(window, take):
    path, witness = take
    playback = show_paused(window, path)
    window.timeline.speed_box.setValue(0.25)
    assert playback.speed == 0.25
    window.actions_["faster"].trigger()
    assert playback.speed == 0.5
    for _ in range(9):
        window.actions_["slower"].trigger()
    assert playback.speed == 0.1
    window.replay.set_speed(0.333)
    window.timeline.show_state()
    assert playback.speed == 0.333, "shown rounded, not set to that"
    window.replay.set_speed(4.0)
    assert playback.loop
    window.actions_["loop"].trigger()
    assert not playback.loop
    window.replay.play()
    wait_for(lambda: playback.is_paused)
    given = in_order(window, witness)
    wait_for(lambda: shown(window, 0, given[0][-1]) and shown(window, 1, given[1][-1]))
    assert window.stage.is_running, "it stays at the end and can be steered back"
    window.play_or_stream()
    wait_for(lambda: not shown(window, 0, given[0][-1]))


def test_refined_depth_is_shown_as_recorded_or_made_anew(window, take):
    path, witness = take
    show_paused(window, path)
    switch = window.actions_["as_recorded"]
    assert switch.isVisible()
    assert switch.isChecked()
    name = window.panels[0].view.feed.name.partition("#")[2]
    done = {r.frame.device_timestamp_us: r for r in witness.refined[name]}
    numbers = [n for n, f in enumerate(witness.frames[name]) if f.device_timestamp_us in done]
    window.replay.seek_frame(numbers[len(numbers) // 2])
    view = window.panels[0].view

    def error():
        want = done.get(view.frame.device_timestamp_us)
        ours = view.refined
        if (
            want is None
            or ours is None
            or ours.frame.device_timestamp_us != want.frame.device_timestamp_us
        ):
            return np.inf
        seen = (want.depth_m > 0.1) & (want.depth_m < 10)
        return np.abs(1 / ours.depth_m[seen] - 1 / want.depth_m[seen]).max()

    wait_for(lambda: error() < 3e-4)  # recorded in steps of inverse depth
    switch.trigger()
    wait_for(lambda: 1e-2 < error() < np.inf)  # the passthrough's own
    switch.trigger()
    wait_for(lambda: error() < 3e-4)
    window.refining.choose("guided")
    assert not switch.isChecked()
    wait_for(lambda: view.refined and view.refined.refiner.name == "guided")


def test_a_damaged_session_shows_what_is_left_and_says_so(window, take, tmp_path):
    path, _ = take
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    playback = show_paused(window, cut)
    assert 0 < playback.frames < COUNT
    wait_for(lambda: "damaged" in window.message.text)
    assert "repair" in window.message.text


def test_what_is_assumed_of_another_programs_file_is_said(window, tmp_path):
    path = tmp_path / "other.mcap"
    with OtherProgram(path) as file:
        for row in range(8):
            t = stamp_ns(row)
            file.camera("/k/rgb/camera_info", t, "rgb")
            file.image("/k/rgb/image_raw", t, "rgb", "rgb8", color_image(row))
            file.camera("/k/depth/camera_info", t, "depth", (60.0, 60.0, 40.0, 30.0))
            if row == 2:
                file.put("/k/depth/image_raw", "sensor_msgs/msg/Image", t, b"damaged")
            else:
                file.image("/k/depth/image_raw", t, "depth", "16UC1", depth_image(row))
    window.stage.open((str(path),))
    wait_for(lambda: "no transform from depth (depth)" in window.message.text)
    (feed,) = window.stage.session.feeds
    wait_for(lambda: feed.stats.missed["damaged"] > 0)
    wait_for(lambda: window.panels[0].color.has_image)
    assert feed.error is None


def test_a_folder_of_pictures_has_a_time_line_too(window, tmp_path):
    folder = write_examples(tmp_path / "examples")
    playback = show_paused(window, folder)
    assert window.timeline.isVisible()
    assert not window.actions_["as_recorded"].isVisible()
    window.replay.to_end()
    wait_for(lambda: playback.frame == playback.frames - 1)
    pictures = []
    window.timeline.thumbnails.ready.connect(lambda image: pictures.append(image))
    window.timeline.thumbnails.ask(0.0)
    wait_for(lambda: pictures and not pictures[-1].isNull())


def test_only_the_newest_thumbnail_is_decoded(window, take):
    path, _ = take
    show_paused(window, path)
    thumbnails = window.timeline.thumbnails
    asked = []

    class Counting:
        duration_s = 60.0

        def preview(self, position_s):
            asked.append(position_s)
            time.sleep(0.1)
            return np.zeros((4, 4, 3), np.uint8)

    thumbnails.follow(Counting())
    for second in range(60):
        thumbnails.ask(float(second))
    pictures = []
    thumbnails.ready.connect(lambda image: pictures.append(image))
    wait_for(lambda: len(asked) == 2 and pictures)
    assert asked == [0.0, 59.0]
    thumbnails.ask(59.0)
    assert len(pictures) == 2
    assert len(asked) == 2, "kept"


def test_marks_are_found_under_the_mouse(show):
    track = show(TimelineTrack(), 400, 28)
    track.show_position(0.0, 100.0)
    track.set_marks(
        [Mark(50.2, "drop", "not recorded: disk too slow", 12), Mark(50.0, "marker", "cup moved")]
    )
    assert describe(track.mark_near(50.0)) == "⚑ cup moved"
    assert track.mark_near(80.0) is None
    track.set_marks([Mark(50.0, "drop", "not recorded: disk too slow", 12)])
    assert describe(track.mark_near(50.5)) == "12 frames not recorded: disk too slow"
    assert describe(Mark(1.0, "drop", "not refined: replaced", 3)) == (
        "3 frames not refined (newer came)"
    )
    assert track.time_at(track.x_of(30.0)) == pytest.approx(30.0)
    assert not track.grab().toImage().isNull()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("62.5", 62.5), ("1:02.5", 62.5), ("0:01:02", 62.0), (" 7 ", 7.0), ("-3", None), ("", None)],
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert parse_clock(text) == seconds


def test_times_have_a_fixed_width():
    assert clock(62.5) == "01:02.500"
    assert clock(0.0) == "00:00.000"
    assert clock(59.9999) == "01:00.000"
    assert clock(3723.004) == "1:02:03.004"


def test_a_session_beside_a_camera_brings_all_its_rows_and_is_there_after_a_restart(
    window, take, tmp_path
):
    path, _ = take
    folder = write_examples(tmp_path / "examples")
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.panels[0].color.has_image)
    window.stage.add(str(path))
    wait_for(lambda: len(window.panels) == 3)
    wait_for(lambda: len(window.replay.playbacks) == 2)
    window.replay.pause()
    assert all(playback.is_paused for playback in window.replay.playbacks)
    window.toggle_streaming()
    window.toggle_streaming()
    wait_for(lambda: len(window.panels) == 3 and window.stage.is_running)


@pytest.mark.parametrize("way", ["dialog", "drop"])
def test_ways_to_open_a_session(window, take, way, monkeypatch):
    path, _ = take
    if way == "dialog":
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a, **k: (str(path), ""))
        window.actions_["open_file"].trigger()
        assert window.settings.text("open_folder") == str(path.parent)
    else:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        window.dropEvent(
            QDropEvent(
                QPointF(9, 9), Qt.DropAction.CopyAction, data,
                Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier,
            )
        )  # fmt: skip
    wait_for(lambda: len(window.panels) == 2 and window.timeline.isVisible())
