"""The time line steers recordings of every make, through their real SDKs."""

from __future__ import annotations

import pytest
import sdks
from gui_wait import wait_for

RECORDINGS = {
    "realsense .db3": "data/realsense/virtual_d435.db3",
    "realsense .bag": "data/realsense/d435_single_frame.bag",
    "orbbec .bag": "data/orbbec/virtual_gemini335.bag",
    "kinect .mkv": "data/azure_kinect/recording.mkv",
    "folder": "data/lingbot_examples",
}


@pytest.mark.testdata
@pytest.mark.parametrize("name", list(RECORDINGS))
def test_it_pauses_steps_seeks_and_goes_on(window, testdata, name):
    sdks.need(name.split()[0])
    window.stage.open((str(testdata / RECORDINGS[name]),))
    wait_for(lambda: window.replay.lead is not None and window.timeline.isVisible())
    playback = window.replay.lead
    window.replay.pause()
    wait_for(lambda: window.panels[0].color.has_image)
    assert playback.is_paused

    def held_us() -> int:
        """Stamp of the frame that is held, once it came again."""
        first = window.panels[0].view.frame
        wait_for(lambda: window.panels[0].view.frame.index > first.index + 1)
        return window.panels[0].view.frame.device_timestamp_us

    last = playback.frames - 1
    window.replay.seek_frame(last)
    wait_for(lambda: playback.frame >= last - 1)
    stamp_us = held_us()
    if last > 2:
        window.actions_["step_back"].trigger()
        wait_for(lambda: playback.frame < last)
        assert held_us() < stamp_us
        window.actions_["step_on"].trigger()
        wait_for(lambda: window.panels[0].view.frame.device_timestamp_us >= stamp_us)
    window.actions_["to_start"].trigger()
    wait_for(lambda: playback.position_s == 0.0 and playback.frame == 0)
    window.replay.set_speed(4.0)
    count = window.stage.bridge.rate.count
    window.replay.play()
    wait_for(lambda: window.stage.bridge.rate.count > count + 3 and not playback.is_paused)
    window.actions_["loop"].trigger()
    assert not playback.loop
    wait_for(lambda: playback.is_paused)
    assert window.stage.is_running, "it holds its last frame"
    wait_for(lambda: playback.preview(0.0) is not None)
