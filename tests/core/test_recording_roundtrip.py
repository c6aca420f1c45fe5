"""What went in comes out: every pixel, every number."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import TURN, HalfRefiner, NoisyCamera, calibration, record

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.errors import RecordingError
from lingbot_live.recording.format import from_levels, to_levels
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions, RecorderState

# RealSense's float32 millimetre, plain millimetres, L515 0.25 mm, Orbbec 0.1 mm, odd units.
SCALES = (float(np.float32(0.001)), 0.001, 0.00025, 0.0001, 1 / 3000)


@pytest.mark.parametrize("scale_m", SCALES)
@pytest.mark.parametrize("lossless", [False, True])
def test_frames_come_back_bit_for_bit(tmp_path, scale_m, lossless):
    path = tmp_path / "a.mcap"
    options = RecorderOptions(lossless=lossless)
    witness, recorder = record(
        path, NoisyCamera(scale_m=scale_m, with_imu=True), options=options
    )  # fmt: skip
    assert recorder.state is RecorderState.STOPPED
    given = witness.frames["noisy:left"]
    with Recording(path) as recording:
        assert recording.damage == ()
        assert len(recording) == len(given) == 12
        for want, got in zip(given, recording, strict=True):
            assert np.array_equal(want.depth_raw, got.depth_raw)
            assert got.depth_scale_m == scale_m
            assert (want.index, want.timestamp_ns) == (got.index, got.timestamp_ns)
            assert want.device_timestamp_us == got.device_timestamp_us
            assert want.device_index == got.device_index
            assert (want.label, want.alignment) == (got.label, got.alignment)
            assert len(want.imu) == 3
            assert want.imu == got.imu
            assert got.calibration == want.calibration == calibration()
            if lossless:
                assert np.array_equal(want.color, got.color)
            else:
                error = np.abs(want.color.astype(int) - got.color)
                assert error.mean() < 12  # worst case for JPEG: blocks of saturated noise


def test_refined_depth_comes_back_within_half_a_step(tmp_path):
    witness, recorder = record(tmp_path / "a.mcap", NoisyCamera(count=30, period_s=0.005))
    given = {r.frame.index: r for r in witness.refined["noisy:left"]}
    assert recorder.stats().refined == len(given) > 0
    with Recording(tmp_path / "a.mcap") as recording:
        track = recording.track()
        found = {i: track.refined(i) for i in range(len(track))}
        assert sum(r is not None for r in found.values()) == len(given)
        assert len(track.refined_times_ns) == len(given)
        for index, refined in given.items():
            got = found[index]
            assert_within_half_a_step(got.depth_m, refined.depth_m)
            assert np.array_equal(got.mask, refined.mask)
            assert got.refiner == HalfRefiner().info
            assert (got.started_ns, got.finished_ns) == (refined.started_ns, refined.finished_ns)
            assert np.array_equal(got.frame.depth_raw, refined.frame.depth_raw)


def test_inertial_readings_come_back_with_their_frames(tmp_path):
    witness, _ = record(tmp_path / "a.mcap", NoisyCamera("left", 6, with_imu=True))
    given = [frame.imu for frame in witness.frames["noisy:left"]]
    assert all(given)
    with Recording(tmp_path / "a.mcap") as recording:
        assert [frame.imu for frame in recording] == given
    with registry.create_camera(str(tmp_path / "a.mcap"), OFFLINE) as camera:
        assert [frame.imu for frame in every_frame(camera)] == given


def assert_within_half_a_step(got_m, given_m):
    """By the step that docs/session-format.md states."""
    is_near = (given_m > 0) & (given_m < 10_000 / 65_535)
    of_one_m = 4000 if is_near.mean() > 0.001 else 10_000
    reachable_m = np.maximum(given_m, np.float32(of_one_m / 65_535))
    assert np.array_equal(got_m == 0, given_m == 0)
    off_m = np.abs(got_m - reachable_m)[given_m > 0]
    allowed_m = (reachable_m**2 / (2 * of_one_m) + reachable_m * 1e-6)[given_m > 0]
    assert (off_m <= allowed_m * 1.01 + reachable_m[given_m > 0] ** 3 / of_one_m**2).all()


def test_a_step_of_refined_depth_is_a_tenth_of_a_millimetre_at_one_metre():
    rng = np.random.default_rng(0)
    depth_m = rng.uniform(0.2, 12, (60, 80)).astype(np.float32)
    depth_m[rng.random((60, 80)) < 0.2] = 0
    assert_within_half_a_step(from_levels(*to_levels(depth_m)), depth_m)
    near_one = np.linspace(0.99, 1.01, 480, dtype=np.float32).reshape(2, 240)
    assert np.abs(from_levels(*to_levels(near_one)) - near_one).max() < 0.000052


def test_a_few_points_before_the_lens_cost_the_others_nothing():
    depth_m = np.full((100, 100), 1.2345, np.float32)
    depth_m[0, :10] = 0.02
    back = from_levels(*to_levels(depth_m))
    assert np.abs(back[1:] - 1.2345).max() < 0.0001
    assert back[0, 0] == pytest.approx(10_000 / 65_535)
    depth_m[:50] = 0.08  # a camera for what is near
    assert np.abs(from_levels(*to_levels(depth_m)) - depth_m).max() < 0.0003


def test_refined_depth_at_its_extremes():
    depth_m = np.array([[0, 0.0004, 1.23456, 65.4, 70.0, 1e6]] * 200, np.float32)
    back = from_levels(*to_levels(depth_m))
    assert back[0, 0] == 0
    assert back[0, 1] == pytest.approx(4000 / 65_535)
    assert back[0, 3] == pytest.approx(65.4, rel=0.01)
    assert back[0, 5] == 0


def test_lossless_keeps_refined_depth_exactly(tmp_path):
    witness, _ = record(tmp_path / "a.mcap", NoisyCamera(), options=RecorderOptions(lossless=True))
    with Recording(tmp_path / "a.mcap") as recording:
        for refined in witness.refined["noisy:left"]:
            got = recording.refined(refined.frame.index)
            assert np.array_equal(got.depth_m, refined.depth_m)


def test_raw_only_holds_no_refined_depth(tmp_path):
    _, recorder = record(tmp_path / "a.mcap", NoisyCamera(), options=RecorderOptions(refined=False))
    assert recorder.stats().refined == 0
    with Recording(tmp_path / "a.mcap") as recording:
        assert recording.refined(3) is None


def test_two_cameras_by_name_by_time_and_as_one_sequence(tmp_path):
    witness, _ = record(
        tmp_path / "a.mcap", NoisyCamera("left", 9), NoisyCamera("right", 14, 0.00025, seed=1)
    )
    with Recording(tmp_path / "a.mcap") as recording:
        assert set(recording.tracks) == {"noisy:left", "noisy:right"}
        assert len(recording) == 23
        assert (np.diff(recording.times_ns) >= 0).all()
        assert {recording[i].camera for i in range(23)} == set(recording.tracks)
        right = recording.track("noisy:right")
        assert right.info.name == "Noisy right"
        assert right.info.serial == "0042"
        for row, frame in enumerate(witness.frames["noisy:right"]):
            time_ns = int(right.times_ns[row])
            assert right.index_at(time_ns) == right.index_at(time_ns + 1) == row
            assert np.array_equal(right[row].depth_raw, frame.depth_raw)
        assert right.index_at(0) == 0
        assert np.array_equal(right[-1].depth_raw, right[13].depth_raw)
        assert recording[0].calibration.T_color_depth == TURN
        with pytest.raises(IndexError, match="frame 14 of 14"):
            right[14]
        with pytest.raises(RecordingError, match="Did you mean 'noisy:right'"):
            recording.track("noisy:rigth")


def test_to_numpy_is_as_documented(tmp_path):
    witness, _ = record(tmp_path / "a.mcap", NoisyCamera(), options=RecorderOptions(refined=False))
    with Recording(tmp_path / "a.mcap") as recording:
        arrays = recording.to_numpy(frames=slice(2, 8, 2))
        assert arrays["color"].shape == (3, 30, 40, 3)
        assert arrays["times_ns"].tolist() == recording.track().times_ns[2:8:2].tolist()
        want = [witness.frames["noisy:left"][i].depth_m for i in (2, 4, 6)]
        assert np.array_equal(arrays["depth_m"], want)
        assert "refined_m" not in arrays


def test_markers_pauses_and_drops_are_events(tmp_path):
    def during(session, recorder):
        session.feeds[0].stats.count_drop("for the test")
        recorder.marker("cup moved")
        recorder.pause()
        recorder.pause()
        recorder.resume()

    _, recorder = record(tmp_path / "a.mcap", NoisyCamera(count=30), during=during)
    with Recording(tmp_path / "a.mcap") as recording:
        events = recording.events
        assert [e.text for e in events if e.kind == "marker"] == ["cup moved"]
        assert [e.kind for e in events if e.kind in ("pause", "resume")] == ["pause", "resume"]
        drops = {e.text: e.count for e in events if e.kind == "drop"}
        assert drops["not refined: for the test"] == 1
        assert recording.metadata["lingbot_live.settings"] == {"model": "none"}
    assert recorder.stats().elapsed_s > 0


def test_paused_frames_are_left_out(tmp_path):
    witness, recorder = record(
        tmp_path / "a.mcap", NoisyCamera(), during=lambda _, recorder: recorder.pause()
    )
    assert recorder.stats().frames < len(witness.frames["noisy:left"])


@pytest.mark.parametrize("split", [{"split_bytes": 100_000}, {"split_s": 0.02}])
def test_split_parts_hold_every_frame_once(tmp_path, split):
    options = RecorderOptions(**split)
    _, recorder = record(
        tmp_path / "a.mcap", NoisyCamera(count=60), NoisyCamera("right", 60), options=options
    )
    parts = sorted(tmp_path.glob("*.mcap"))
    assert recorder.stop() == parts
    assert len(parts) > 2
    assert parts[0].name == "a_000.mcap"
    found: dict[str, list[int]] = {"noisy:left": [], "noisy:right": []}
    for part in parts:
        with Recording(part) as recording:
            for frame in recording:
                found[frame.camera].append(frame.index)
    assert found == {name: list(range(60)) for name in found}
