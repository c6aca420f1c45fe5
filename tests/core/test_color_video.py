"""Colour as video: every frame found in any order, lost pictures told, other programs read it."""

from __future__ import annotations

import av
import numpy as np
import pytest
from sessions import HalfRefiner, NoisyCamera, Witness, create_half, record

from lingbot_live.errors import ConfigError, CorruptRecordingError, RecordingError
from lingbot_live.pipeline.session import Session
from lingbot_live.recording import video
from lingbot_live.recording.format import Role
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.pretrigger import PreTrigger
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions

SIZE = (320, 240)


class SmoothCamera(NoisyCamera):
    """Pictures that a video can hold: a slope whose brightness says which frame it is."""

    def _cam_read(self, timeout_s):
        capture = super()._cam_read(timeout_s)
        if capture is not None:
            slope = np.linspace(0, 60, capture.color.shape[1])[None, :, None]
            capture.color[:] = slope + 6 * (self.count % 30)
        return capture


def given_colors(witness, name="left"):
    return [frame.color for frame in witness.frames[f"noisy:{name}"]]


def off(one, other):
    return np.abs(one.astype(int) - other.astype(int)).mean()


@pytest.fixture(scope="module", params=["h264", "h265", "av1"])
def take(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("take") / "a.mcap"
    cameras = SmoothCamera("left", 40, size=SIZE), SmoothCamera("right", 20, size=SIZE, seed=1)
    witness, recorder = record(path, *cameras, options=RecorderOptions(color=request.param))
    assert recorder.stats().drops == {}
    return path, witness, request.param


def test_every_frame_is_right_in_any_order(take):
    path, witness, _ = take
    given = given_colors(witness)
    with Recording(path) as recording:
        track = recording.track("noisy:left")
        assert len(track) == len(given) == 40
        in_order = [track[row].color for row in range(40)]
        for row in (39, 17, 16, 15, 14, 0, 31, 32, 3):
            assert np.array_equal(track[row].color, in_order[row])
        for found, want in zip(in_order, given, strict=True):
            assert off(found, want) < 2.9  # brightness differs by 6 from frame to frame
        assert recording.track("noisy:right")[19].color.shape == (240, 320, 3)


def test_another_program_decodes_the_messages(take):
    path, witness, codec = take
    with Recording(path) as recording:
        track = recording.track("noisy:left")
        reader, channel = recording._reader, track._channels[Role.COLOR_VIDEO]
        schema = reader.index.schemas[reader.index.channels[channel].schema_id]
        assert schema.name == "foxglove_msgs/msg/CompressedVideo"
        payloads = [bytes(reader.payload(channel, row)) for row in range(40)]
    rosbags = pytest.importorskip("rosbags.typesys")
    store = rosbags.get_typestore(rosbags.Stores.ROS2_HUMBLE)
    store.register(rosbags.get_types_from_msg(schema.data.decode().split("=" * 80)[0], schema.name))
    decoder = av.CodecContext.create({"h265": "hevc", "av1": "libdav1d"}.get(codec, codec), "r")
    pictures = []
    for payload in payloads:
        message = store.deserialize_cdr(payload, schema.name)
        assert message.format == codec
        pictures += decoder.decode(av.Packet(bytes(message.data)))
    pictures += decoder.decode(None)
    assert len(pictures) == 40
    assert off(pictures[25].to_ndarray(format="rgb24"), given_colors(witness)[25]) < 2.9


def test_refined_again_it_is_copied_as_it_is(take, tmp_path):
    path, _, _ = take
    refine_file(path, tmp_path / "b.mcap", HalfRefiner())
    with Recording(path) as one, Recording(tmp_path / "b.mcap") as other:
        for row in (5, 33, 59):
            assert np.array_equal(one[row].color, other[row].color)


def test_a_picture_that_needs_a_lost_one_is_told():
    encoder = video.ColorEncoder("h264")
    packets = []
    for number in range(20):
        color = np.full((48, 64, 3), 5 * number, np.uint8)
        packets.append(encoder.encode(encoder.ticket(), color))
    del packets[3]
    decoder = video.ColorDecoder("h264", lambda row: packets[row])
    decoder.color(2)
    with pytest.raises(CorruptRecordingError, match="needs pictures that are missing"):
        decoder.color(3)
    assert decoder.color(14).mean() == pytest.approx(75, abs=3)  # the next that stands alone


def test_a_recording_begun_before_it_was_asked_for_begins_with_a_whole_picture(tmp_path):
    camera = SmoothCamera("left", 400, size=SIZE, period_s=0.01)
    session = Session([(camera.info.address, lambda: camera)], create_half)
    witness = Witness()
    session.add_tap(witness)
    ring = PreTrigger(session, RecorderOptions(color="h264", pre_trigger_s=0.4))
    ring.start()
    session.start(max_frames=150)
    session.wait(1.0)
    recorder = Recorder(tmp_path / "a.mcap", ring.options)
    recorder.start(ring)
    session.wait()
    session.stop()
    recorder.stop()
    ring.stop()
    colors = {frame.index: frame.color for frame in witness.frames["noisy:left"]}
    with Recording(tmp_path / "a.mcap") as recording:
        assert len(recording) > 20
        for frame in recording:
            assert off(frame.color, colors[frame.index]) < 2.9


def test_what_excludes_itself_is_said():
    for others in ({"lossless": True}, {"split_s": 5.0}, {"split_bytes": 10}):
        with pytest.raises(ConfigError, match="neither lossless nor split"):
            RecorderOptions(color="h264", **others)
    with pytest.raises(ConfigError, match="known: jpeg, h264"):
        RecorderOptions(color="vp9")


def test_a_codec_that_nothing_packs_is_said(monkeypatch):
    monkeypatch.setitem(video._ENCODERS, "h264", (("no_such_encoder", {}),))
    encoder = video.ColorEncoder("h264")
    with pytest.raises(RecordingError, match="nothing here packs colour as h264"):
        encoder.encode(encoder.ticket(), np.zeros((48, 64, 3), np.uint8))
