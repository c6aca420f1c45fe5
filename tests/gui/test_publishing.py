"""The window publishes what is on the screen, session after session."""

from __future__ import annotations

import psutil
import pytest
from gui_wait import wait_for
from rgbd_folder import write_examples

from lingbot_live.publish.publisher import PublishState
from lingbot_live.publish.table import parse_place


@pytest.fixture
def folders(tmp_path):
    return [f"folder:{write_examples(tmp_path / name)}" for name in ("one", "two")]


def test_a_target_without_its_sdk_or_port_is_said_and_the_window_goes_on(window, folders):
    window.publishing.start([parse_place("rerun:connect 127.0.0.1:1")])
    window.stage.open((folders[0],))
    wait_for(lambda: "publish rerun:connect" in window.desk.message.text)
    wait_for(lambda: window.stage.bridge.rate.count > 2)


def test_viewers_stay_while_the_cameras_change(window, folders):
    pytest.importorskip("foxglove", reason="foxglove-sdk serves it")
    window.publishing.start([parse_place("foxglove:0")])
    (publisher,) = window.publishing.publishers
    window.stage.open((folders[0],))
    wait_for(lambda: publisher.stats().frames > 2)
    address = publisher.stats().where
    window.stage.open((folders[1],))
    before = publisher.stats().frames
    wait_for(lambda: publisher.stats().frames > before + 2)
    assert publisher.stats().where == address
    window.close()
    assert publisher.state is PublishState.STOPPED


def test_the_menu_starts_and_ends_it_and_tells_who_looks_on(window, folders):
    pytest.importorskip("foxglove", reason="foxglove-sdk serves it")
    action = window.actions_["publish_foxglove"]
    window.stage.open((folders[0],))
    window.publishing.toggle("foxglove:0")
    (publisher,) = window.publishing.publishers
    wait_for(lambda: action.isChecked() and "foxglove: 0 viewers" in window.status.text())
    wait_for(lambda: publisher.stats().frames > 0)
    action.trigger()
    wait_for(lambda: publisher.state is PublishState.STOPPED)
    wait_for(lambda: "foxglove" not in window.status.text() and not action.isChecked())
    assert window.publishing.publishers == ()


def test_nothing_listens_unless_that_is_asked_for(window, folders):
    before = _listening()
    window.stage.open((folders[0],))
    wait_for(lambda: window.stage.bridge.rate.count > 2)
    assert _listening() == before


def _listening() -> set[tuple[str, int]]:
    return {
        (c.laddr.ip, c.laddr.port)
        for c in psutil.Process().net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    }
