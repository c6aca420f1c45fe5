"""The pipeline: every frame accounted for, nobody delays anybody, everything ends."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from scripted import ScriptedCamera, SlowRefiner

from lingbot_live.cameras.base import CameraState
from lingbot_live.config import SessionConfig
from lingbot_live.errors import (
    CameraDisconnectedError,
    CameraError,
    CameraNotFoundError,
    CameraTimeoutError,
    RefinerError,
    SessionStateError,
    WeightsError,
)
from lingbot_live.frame import DepthMap, Frame, Mask, RefinedFrame, RefinerInfo
from lingbot_live.pipeline.inference import RefinerState
from lingbot_live.pipeline.session import Session
from lingbot_live.refiners.base import PassthroughRefiner, Refiner

QUICK = SessionConfig(
    read_timeout_s=0.02, stall_after_s=0.1, reconnect_first_s=0.01, reconnect_most_s=0.02
)


def wait_for(condition, timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def feed_stats(session: Session, name: str) -> dict:
    return session.stats().as_dict()["feeds"][name]  # type: ignore[index]


def test_every_captured_frame_is_refined_or_counted_as_a_drop():
    camera = ScriptedCamera(range(60), period_s=0.002)
    refiner = SlowRefiner(0.007)
    session = Session([("a", lambda: camera)], lambda: refiner, QUICK)
    with session:
        session.wait()
    stats = feed_stats(session, "a")
    assert stats["captured"] == 60
    assert stats["drops"]["replaced"] > 0
    assert stats["captured"] == stats["refined"] + sum(stats["drops"].values())
    assert refiner.seen[-1] == ("scripted:scripted", 59), "the newest frame is refined"
    assert refiner.closed
    assert stats["state"] == "ended"


def test_stop_in_mid_stream_accounts_for_the_waiting_frame():
    camera = ScriptedCamera(range(10_000), period_s=0.001)
    session = Session([("a", lambda: camera)], lambda: SlowRefiner(0.05), QUICK)
    with session:
        wait_for(lambda: session.feeds[0].stats.captured > 20)
    stats = feed_stats(session, "a")
    assert stats["captured"] == stats["refined"] + sum(stats["drops"].values())
    assert camera.log[-1] == "close"


def test_latency_is_stamped_per_stage():
    session = Session(
        [("a", lambda: ScriptedCamera(range(20), 0.003))], lambda: SlowRefiner(0.01), QUICK
    )
    with session:
        session.wait()
    stages = feed_stats(session, "a")["latency_ms"]
    assert set(stages) == {"camera", "wait", "refine", "until_refined"}
    assert stages["refine"]["p50"] >= 10
    assert stages["until_refined"]["p50"] >= stages["refine"]["p50"]
    assert stages["refine"]["p50"] <= stages["refine"]["p95"] <= stages["refine"]["max"]


class Mover(Refiner):
    """Agrees with the camera but for one corner, which it puts at twice the distance."""

    def __init__(self, factor: float) -> None:
        super().__init__(RefinerInfo("mover"))
        self._factor = np.float32(factor)

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        depth_m = frame.depth_m.copy()
        rows, columns = (slice(size // 2, None) for size in depth_m.shape)
        depth_m[rows, columns] *= self._factor
        return depth_m, depth_m > 0


@pytest.mark.parametrize(("factor", "words"), [(1.0, []), (2.0, ["25.0% of the picture"])])
def test_depth_that_a_refiner_moved_is_among_the_stats(factor, words):
    session = Session([("a", lambda: ScriptedCamera(range(5)))], lambda: Mover(factor), QUICK)
    with session:
        session.wait()
    warnings = feed_stats(session, "a")["warnings"]
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_a_dead_camera_fails_alone_and_keeps_its_error():
    error = CameraNotFoundError("gone:1: no such camera")
    dead = ScriptedCamera([])
    dead.open_errors.append(error)
    alive = ScriptedCamera(range(30), period_s=0.002)
    session = Session([("dead", lambda: dead), ("alive", lambda: alive)], PassthroughRefiner, QUICK)
    with session:
        session.wait()
    assert session.feeds[0].state is CameraState.FAILED
    assert session.feeds[0].error is error
    assert feed_stats(session, "alive")["refined"] > 0
    assert dead.log == ["open", "close"], "a failed open is undone"


def test_all_cameras_failing_raises_the_first_error():
    session = Session(
        [("a", lambda: ScriptedCamera([ValueError("broken SDK")]))], PassthroughRefiner, QUICK
    )
    with session, pytest.raises(CameraError, match="scripted: ValueError: broken SDK"):
        session.wait()


def test_a_slow_camera_does_not_delay_another():
    blocked = threading.Event()
    slow = ScriptedCamera([0, lambda: blocked.wait(3), 1])
    quick = ScriptedCamera(range(50), period_s=0.001)
    session = Session([("slow", lambda: slow), ("quick", lambda: quick)], PassthroughRefiner, QUICK)
    with session:
        wait_for(lambda: session.feeds[1].state is CameraState.ENDED)
        assert session.feeds[0].stats.captured == 1
        blocked.set()
        session.wait()


def test_the_refiner_is_shared_fairly():
    refiner = SlowRefiner(0.004)
    fast = ScriptedCamera(range(150), 0.001, "fast")
    calm = ScriptedCamera(range(15), 0.010, "calm")
    session = Session([("fast", lambda: fast), ("calm", lambda: calm)], lambda: refiner, QUICK)
    with session:
        session.wait()
    served = [camera for camera, _ in refiner.seen]
    assert served.count("scripted:calm") >= 13, "the calm camera loses almost nothing"


def test_unplugged_camera_reconnects_and_goes_on_counting():
    gone = CameraDisconnectedError("scripted: unplugged")
    camera = ScriptedCamera([0, 1, gone, 2, 3])
    states = []
    session = Session([("a", lambda: camera)], PassthroughRefiner, QUICK)
    session.on_update = lambda: states.append(session.feeds[0].state)
    frames: list[int] = []
    session.add_tap(lambda _n, item: frames.append(item.index) if isinstance(item, Frame) else None)
    camera_fails_once_more = CameraNotFoundError("not there yet")
    original = camera._cam_open

    def reopen() -> None:
        if camera.log.count("open") == 1:
            camera.open_errors.append(camera_fails_once_more)
        original()

    camera._cam_open = reopen  # type: ignore[method-assign]
    with session:
        session.wait()
    assert frames == [0, 1, 2, 3]
    assert CameraState.RECONNECTING in states
    assert feed_stats(session, "a")["reconnects"] == 1
    assert camera.log == ["open", "close", "open", "close", "open", "close"]


def test_reconnecting_gives_up_after_the_configured_tries():
    camera = ScriptedCamera([0, CameraDisconnectedError("unplugged")])
    config = SessionConfig(
        read_timeout_s=0.02, reconnect_first_s=0.01, reconnect_most_s=0.01, reconnect_tries=3
    )
    session = Session([("a", lambda: camera)], PassthroughRefiner, config)
    original = camera._cam_open

    def reopen() -> None:
        if camera.log:
            camera.open_errors.append(CameraNotFoundError("still gone"))
        original()

    camera._cam_open = reopen  # type: ignore[method-assign]
    with session, pytest.raises(CameraNotFoundError, match="still gone"):
        session.wait()
    assert camera.log.count("open") == 4


def test_silence_is_shown_as_a_stall_and_ends_with_the_next_frame():
    silent = [CameraTimeoutError("silent"), lambda: time.sleep(0.15), CameraTimeoutError("silent")]
    camera = ScriptedCamera([0, *silent, 1])
    states = []
    session = Session([("a", lambda: camera)], PassthroughRefiner, QUICK)
    session.on_update = lambda: states.append(session.feeds[0].state)
    with session:
        session.wait()
    stalled = states.index(CameraState.STALLED)
    assert CameraState.STREAMING in states[stalled:]


def test_a_recording_that_is_silent_for_a_while_has_no_cable():
    class Played:
        speed = 1.0

    silent = [lambda: time.sleep(0.15), CameraTimeoutError("silent"), 1]
    camera = ScriptedCamera([0, *silent])
    camera.playback = Played()
    session = Session([("a", lambda: camera)], PassthroughRefiner, QUICK)
    states = []
    session.on_update = lambda: states.append(session.feeds[0].state)
    with session:
        session.wait()
    assert CameraState.STALLED not in states


def test_gaps_in_device_numbers_are_counted_as_missed():
    session = Session([("a", lambda: ScriptedCamera([0, 1, 5, 6, 8]))], PassthroughRefiner, QUICK)
    with session:
        session.wait()
    stats = feed_stats(session, "a")
    assert stats["missed"] == {"sensor": 4}
    assert stats["captured"] == 5


def test_a_refiner_that_fails_on_a_frame_goes_on_with_the_next(caplog):
    camera = ScriptedCamera(range(10), period_s=0.01)
    session = Session([("a", lambda: camera)], lambda: SlowRefiner(fail_on=[3]), QUICK)
    with session:
        session.wait()
    stats = feed_stats(session, "a")
    assert stats["drops"]["refiner failed"] == 1
    assert stats["refined"] >= 7
    assert "frame 3 is bad" in caplog.text
    assert session.refiner_error is None, "a later success clears the error"


def test_a_refiner_that_cannot_start_is_an_error_and_another_can_take_over():
    def broken() -> Refiner:
        raise WeightsError("weights: none here; download them")

    camera = ScriptedCamera(range(100_000), period_s=0.002)
    session = Session([("a", lambda: camera)], broken, QUICK)
    with session:
        wait_for(lambda: session.refiner_state is RefinerState.FAILED)
        with pytest.raises(WeightsError, match="download"):
            session.wait()
        refiner = SlowRefiner()
        session.set_refiner(lambda: refiner)
        wait_for(lambda: session.feeds[0].stats.refined > 3)
        assert session.refiner_info is not None
        assert session.refiner_info.name == "slow"
    assert refiner.closed


def test_a_refiner_may_not_hand_out_nan():
    class Nan(SlowRefiner):
        def _refine(self, frame):
            depth, mask = super()._refine(frame)
            depth[0, 0] = float("nan")
            return depth, mask

    session = Session([("a", lambda: ScriptedCamera([0]))], Nan, QUICK)
    with session:
        session.wait()
    assert feed_stats(session, "a")["drops"] == {"refiner failed": 1}
    assert isinstance(session.refiner_error, RefinerError)


def test_taps_see_everything_and_can_leave():
    seen: list[object] = []

    def tap(name: str, item: Frame | RefinedFrame) -> None:
        seen.append(item)

    session = Session([("a", lambda: ScriptedCamera(range(5), 0.01))], PassthroughRefiner, QUICK)
    session.add_tap(tap)
    with session:
        session.wait()
    frames = [item.index for item in seen if isinstance(item, Frame)]
    refined = [item.frame.index for item in seen if isinstance(item, RefinedFrame)]
    assert frames == [0, 1, 2, 3, 4]
    assert refined
    assert set(refined) <= set(frames)
    session.remove_tap(tap)


def test_a_failed_feed_starts_again_on_request():
    cameras = [ScriptedCamera([0, ValueError("loose cable")]), ScriptedCamera([0, 1, 2])]
    other = ScriptedCamera(range(100_000), period_s=0.002)
    session = Session(
        [("a", lambda: cameras.pop(0)), ("b", lambda: other)], PassthroughRefiner, QUICK
    )
    with session:
        feed = session.feeds[0]
        wait_for(lambda: feed.state is CameraState.FAILED and feed.capture.is_done)
        session.restart(feed)
        wait_for(lambda: feed.state is CameraState.ENDED)
        assert feed.stats.captured == 4
        assert feed.error is None


def test_a_camera_comes_and_goes_while_the_others_stream():
    first = ScriptedCamera(range(10_000), period_s=0.002)
    second = ScriptedCamera(range(10_000), period_s=0.002, name="second")
    session = Session([("a", lambda: first)], lambda: SlowRefiner(0.001), QUICK)
    with pytest.raises(SessionStateError, match="not running"):
        session.add("b", lambda: second)
    with session:
        wait_for(lambda: session.feeds[0].stats.refined > 3)
        feed = session.add("a", lambda: second)
        assert feed.name == "a#2"
        wait_for(lambda: feed.stats.refined > 3)
        session.remove(feed)
        assert second.log[-1] == "close"
        assert [kept.name for kept in session.feeds] == ["a"]
        wait_for(lambda: feed.stats.captured == feed.stats.refined + sum(feed.lost.values()))
        count = session.feeds[0].stats.refined
        wait_for(lambda: session.feeds[0].stats.refined > count + 3)
        assert first.log == ["open"], "the first camera was never interrupted"
        with pytest.raises(SessionStateError, match="no camera of this session"):
            session.remove(feed)


def test_start_and_stop_are_guarded():
    session = Session([("a", lambda: ScriptedCamera([]))], PassthroughRefiner, QUICK)
    assert session.stop(), "stop before start is harmless"
    session.start()
    with pytest.raises(SessionStateError, match="starts once"):
        session.start()
    assert session.stop()
    assert session.stop()
    with pytest.raises(SessionStateError, match="not running"):
        session.restart(session.feeds[0])


def test_equal_addresses_get_names_of_their_own():
    cameras = [("a", lambda: ScriptedCamera([0])), ("a", lambda: ScriptedCamera([0]))]
    assert [f.name for f in Session(cameras, PassthroughRefiner).feeds] == ["a", "a#2"]


def test_max_frames_ends_each_feed():
    session = Session([("a", lambda: ScriptedCamera(range(100_000)))], PassthroughRefiner, QUICK)
    session.start(max_frames=7)
    session.wait()
    session.stop()
    assert feed_stats(session, "a")["captured"] == 7


def test_wait_tells_the_end_from_the_deadline():
    session = Session([("a", lambda: ScriptedCamera(range(9), 0.02))], PassthroughRefiner, QUICK)
    with session:
        assert session.wait(0.05) is False
        assert session.wait() is True
        time.sleep(0.06)
        assert session.wait(0.05) is False, "the time counts from the start"


def test_what_is_opened_anew_while_all_stops_is_not_started():
    """It would have had nobody to end it."""
    is_closing, may_close = threading.Event(), threading.Event()

    class Slow(ScriptedCamera):
        def _cam_close(self) -> None:
            is_closing.set()
            may_close.wait(10)
            super()._cam_close()

    first, second = Slow(range(10_000), 0.001), ScriptedCamera(range(10_000), 0.001)
    session = Session([("a", lambda: first)], PassthroughRefiner, QUICK)
    session.start()
    wait_for(lambda: session.feeds[0].stats.captured > 2)
    refused: list[SessionStateError] = []

    def reopen() -> None:
        try:
            session.reopen(session.feeds[0], lambda: second)
        except SessionStateError as error:
            refused.append(error)

    thread = threading.Thread(target=reopen)
    thread.start()
    assert is_closing.wait(5)
    session.stop(0.05)
    may_close.set()
    thread.join(10)
    assert len(refused) == 1
    assert second.log == [], "never opened"
