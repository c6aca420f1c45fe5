"""Playback of a recording whose frames the test makes; every promise a window relies on."""

from __future__ import annotations

import threading
import time

import pytest
from scripted import capture

from lingbot_live.cameras.base import Camera, CameraInfo
from lingbot_live.cameras.pace import Pace
from lingbot_live.cameras.playback import Playback
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraTimeoutError, ConfigError, EndOfStreamError

FPS = 50


class Film(Camera):
    """A hundred frames, numbered; ``costs_s`` is how long one takes to show."""

    def __init__(self, count=100, costs_s=0.0, **config):
        super().__init__(CameraInfo("film", "film", "film", is_recording=True),
                         CameraConfig(**config))  # fmt: skip
        self.count, self.costs_s, self.next = count, costs_s, 0
        self.on_thread = set()

    def _cam_open(self):
        self.next = 0
        self.playback = Pace(self, self, (self.count - 1) / FPS, 1 / FPS)

    def _cam_read(self, timeout_s):
        return self.playback.read(timeout_s)

    def _cam_close(self):
        self.playback = None

    def play_fetch(self, timeout_s):
        self.on_thread.add(threading.get_ident())
        if self.next >= self.count:
            raise EndOfStreamError("film: over")
        self.next += 1
        return (self.next - 1) / FPS, self.next - 1

    def play_show(self, item):
        time.sleep(self.costs_s)
        return capture(item, 1000 + item)

    def play_seek(self, position_s):
        self.next = max(0, int(position_s * FPS) - 3)  # a driver may land early


def numbers(camera, count, timeout_s=5.0):
    return [camera.read(timeout_s).device_index for _ in range(count)]


def test_a_film_is_a_playback():
    with Film() as film:
        playback: Playback = film.playback
        assert (playback.duration_s, playback.position_s) == (99 / FPS, 0.0)
        assert (playback.speed, playback.loop, playback.is_paused) == (1.0, True, False)
    assert film.playback is None


def test_every_frame_in_order_as_fast_as_read():
    with Film(realtime=False, loop=False) as film:
        assert numbers(film, 100) == list(range(100))
        for _ in range(2):
            with pytest.raises(EndOfStreamError):
                film.read(1)


def test_in_real_time_frames_keep_their_distance():
    with Film() as film:
        first = film.read(5)
        later = film.read(5)
        while later.device_index < 25:
            later = film.read(5)
    passed_s = (later.timestamp_ns - first.timestamp_ns) / 1e9
    assert passed_s >= (later.device_index - first.device_index) / FPS - 0.02


def test_what_comes_too_late_is_left_out_and_counted_apart():
    with Film(count=1000, costs_s=5 / FPS) as film:
        seen = numbers(film, 25)
    assert seen[-1] > 50, "keeps up with the recording's time"
    assert film.missed["late"] == seen[-1] + 1 - len(seen)
    assert not film.missed["sensor"]


def test_a_gap_in_the_recording_is_not_waited_for_and_told_once(caplog):
    film = Film(count=6)
    fetch = film.play_fetch

    def fetch_with_gap(timeout_s):
        position_s, number = fetch(timeout_s)
        return position_s + (1000 if number > 2 else 0), number

    film.play_fetch = fetch_with_gap
    with film:
        assert numbers(film, 6) == list(range(6))
    assert caplog.messages == ["film:film: at 0.0 s: 0:16:40 without a frame; passed over"]


def test_a_machine_that_is_much_too_slow_still_shows_frames():
    film = Film()
    fetch = film.play_fetch

    def slow_fetch(timeout_s):
        time.sleep(3 / FPS)
        return fetch(timeout_s)

    film.play_fetch = slow_fetch
    with film:
        assert len(numbers(film, 3, timeout_s=20)) == 3


def test_a_pause_holds_and_repeats_the_frame_and_play_goes_on():
    with Film(realtime=False) as film:
        numbers(film, 5)
        film.playback.pause()
        assert film.playback.is_paused
        held = film.read(5)
        again = film.read(5)
        assert (held.device_index, again.device_index) == (4, 4)
        assert again.index == held.index + 1
        assert again.timestamp_ns > held.timestamp_ns
        with pytest.raises(CameraTimeoutError):
            film.read(0.01)
        film.playback.play()
        assert numbers(film, 2) == [5, 6]
        assert not film.missed


def test_steps_forwards_and_backwards():
    with Film(realtime=False) as film:
        numbers(film, 10)
        film.playback.step()
        assert film.playback.is_paused
        assert numbers(film, 2) == [10, 10]
        film.playback.step(3)
        assert numbers(film, 4) == [11, 12, 13, 13]
        film.playback.step(-1)
        assert numbers(film, 2) == [12, 12]
        film.playback.step(-5)
        assert numbers(film, 1) == [7]
        film.playback.step(-50)
        assert numbers(film, 1) == [0]
        assert film.playback.position_s == 0.0
        assert not film.missed


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_seek_lands_on_its_frame(is_paused):
    with Film(realtime=False) as film:
        numbers(film, 2)
        if is_paused:
            film.playback.pause()
        for target_s, want in ((1.0, 50), (0.5, 25), (99.0, 99), (-3.0, 0), (0.6 / FPS, 1)):
            film.playback.seek(target_s)
            assert numbers(film, 1) == [want]
            assert film.playback.position_s == pytest.approx(want / FPS)
        assert not film.missed


def test_only_the_last_of_many_seeks_counts_and_the_reader_makes_it():
    with Film(realtime=False) as film:
        numbers(film, 1)
        asked = threading.Thread(target=lambda: [film.playback.seek(i / FPS) for i in range(80)])
        asked.start()
        asked.join()
        assert numbers(film, 1) == [79]
        assert film.on_thread == {threading.get_ident()}


def test_a_waiting_read_notices_a_seek_at_once():
    with Film() as film:
        film.playback.speed = 0.1
        numbers(film, 2)
        threading.Timer(0.05, film.playback.seek, (1.0,)).start()
        assert 50 in numbers(film, 3)


def test_speed_and_its_limits():
    with Film() as film:
        film.playback.speed = 4.0
        first, last = film.read(5), None
        while last is None or last.device_index < 90:
            last = film.read(5)
        assert (last.timestamp_ns - first.timestamp_ns) / 1e9 >= 88 / FPS / 4 - 0.02
        for value in (0.0, -1.0, 5.0, float("nan")):
            with pytest.raises(ConfigError, match=r"must lie in 0\.1 to 4"):
                film.playback.speed = value
        assert film.playback.speed == 4.0


def test_loop_can_be_changed_while_it_plays():
    with Film(count=5, realtime=False) as film:
        assert numbers(film, 12) == [0, 1, 2, 3, 4] * 2 + [0, 1]
        film.playback.loop = False
        assert numbers(film, 3) == [2, 3, 4]
        with pytest.raises(EndOfStreamError):
            film.read(1)


def test_at_the_end_a_pause_holds_and_play_begins_again():
    with Film(count=5, loop=False, realtime=False) as film:
        numbers(film, 2)
        film.playback.step(20)
        assert numbers(film, 4) == [2, 3, 4, 4]
        film.playback.play()
        assert numbers(film, 2) == [0, 1]


def test_it_can_begin_in_the_middle_at_another_speed():
    with Film(start_s=0.8, speed=2.0, realtime=False) as film:
        assert film.playback.speed == 2.0
        assert numbers(film, 2) == [40, 41]
    for bad in ({"speed": 9.0}, {"start_s": -1.0}):
        with pytest.raises(ConfigError, match="camera: s"):
            CameraConfig(**bad)


def test_an_empty_recording_that_loops_ends():
    with Film(count=0) as film, pytest.raises(EndOfStreamError):
        film.read(1)


def test_frames_are_counted_and_sought_by_number():
    with Film(realtime=False) as film:
        numbers(film, 3)
        playback = film.playback
        assert (playback.frame, playback.frames) == (2, 100)
        for number in (70, 7, 99):
            playback.seek_frame(number)
            assert numbers(film, 1) == [number]
            assert playback.frame == number
        playback.seek_frame(1000)
        assert numbers(film, 1) == [99]


def test_a_small_picture_is_kept_of_what_was_shown():
    with Film(realtime=False) as film:
        numbers(film, 20)
        assert film.playback.marks() == ()
        assert film.playback.preview(1.9) is None, "not shown yet"
        for number in (0, 5, 19):
            picture = film.playback.preview(number / FPS)
            assert abs(int(picture[0, 0, 0]) - number) <= 1


def test_with_hold_the_last_frame_stays_and_can_be_left():
    with Film(count=5, loop=False, hold=True, realtime=False) as film:
        assert numbers(film, 7) == [0, 1, 2, 3, 4, 4, 4]
        assert film.playback.is_paused
        film.playback.seek_frame(2)
        assert numbers(film, 2) == [2, 2]
        film.playback.play()
        assert numbers(film, 3) == [3, 4, 4]
        film.playback.play()
        assert numbers(film, 2) == [0, 1], "from the start where it had ended"


def test_paused_before_its_first_frame_it_shows_that_one():
    with Film() as film:
        film.playback.pause()
        assert numbers(film, 2) == [0, 0]
