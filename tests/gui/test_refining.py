"""The refiner's side of the window, with a small made-up LingBot-Depth behind it."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import pytest
from gui_wait import pass_time, wait_for
from hub_server import Hub
from made_network import save_made
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog
from rgbd_folder import write_examples

from lingbot_live.config import RefinerConfig
from lingbot_live.frame import RefinerInfo
from lingbot_live.model.weights import store
from lingbot_live.pipeline.inference import RefinerState
from ui.dialogs.models import ModelsDialog
from ui.panels.camera_bar import TOKENS


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return save_made(tmp_path_factory.mktemp("made") / "model.pt")


@pytest.fixture
def window(window, tmp_path):
    window.stage.open((f"folder:{write_examples(tmp_path / 'examples')}",))
    wait_for(lambda: window.panels[0].refined.has_image)
    return window


def use(window, config: RefinerConfig) -> None:
    window.refining.use(config)
    wait_for(
        lambda: (
            window.stage.session.refiner_info and window.stage.session.refiner_info.name != "none"
        )
    )


def made_by(window):
    """Return who made what is shown, a nobody while nothing is."""
    shown = refined(window)
    return RefinerInfo("", precision="") if shown is None else shown.refiner


def refined_by(window):
    return made_by(window).name or None


def refined(window):
    return window.panels[0].view.refined


def drop(window, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    actions, buttons = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    modifiers = Qt.KeyboardModifier.NoModifier
    window.dropEvent(QDropEvent(QPointF(50, 50), actions, data, buttons, modifiers))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_weights_dropped_on_the_window_refine(window, checkpoint, what):
    window.refining.config = RefinerConfig("none", tokens=48, device="cpu")
    address = window.stage.addresses
    drop(window, checkpoint if what == "file" else checkpoint.parent)
    wait_for(lambda: refined_by(window) == "lingbot")
    assert window.stage.addresses == address
    assert window.bar.refiner_box.currentData().startswith("lingbot:")
    wait_for(lambda: "48 tokens" in window.bar.token_label.text())


def test_what_is_dropped_and_is_no_weights_is_streamed(window, tmp_path):
    drop(window, write_examples(tmp_path / "more", 2))
    wait_for(lambda: window.stage.addresses == (f"folder:{tmp_path / 'more'}",))
    assert window.refining.config.name == "none"


def test_a_dropped_folder_of_rosbag2_plays(window, tmp_path):
    pytest.importorskip("rosbags", reason="rosbags is in the dev extra")
    import ros_takes as made

    folder = made.ros2(tmp_path / "take", "sqlite3")
    drop(window, folder)
    wait_for(lambda: window.stage.addresses == (f"session:{folder}#{made.DEPTH}",))


def test_tokens_mask_and_raw_change_without_loading_anew(window, checkpoint):
    use(window, RefinerConfig("lingbot", str(checkpoint), tokens=48, device="cpu"))
    wait_for(lambda: refined_by(window) == "lingbot")
    loads = []
    window.stage.session._inference._load = loads.append  # the thread's own way to load
    holes = int((refined(window).depth_m == 0).sum())
    assert holes > 0
    wait_for(lambda: window.bar.token_slider.value() == TOKENS.index(48))
    window.bar.token_slider.setValue(TOKENS.index(100))
    wait_for(lambda: made_by(window).tokens not in (None, 48))
    wait_for(lambda: f"{refined(window).refiner.tokens} tokens" in window.bar.token_label.text())
    assert window.bar.token_label.text().endswith("ms")
    window.actions_["mask"].trigger()
    wait_for(lambda: (refined(window).depth_m == 0).sum() < holes)
    window.actions_["keep_raw"].trigger()
    raw_m = refined(window).frame.depth_m
    wait_for(lambda: (refined(window).depth_m == raw_m)[raw_m > 0].mean() > 0.99)
    assert refined(window).refiner.tokens != 48
    window.actions_["steady"].trigger()
    wait_for(lambda: made_by(window).finish == "steady")
    window.actions_["no_flying"].trigger()
    wait_for(lambda: made_by(window).finish == "steady, without flying points")
    assert window.actions_["steady"].isChecked()
    window.actions_["steady"].trigger()
    wait_for(lambda: made_by(window).finish == "without flying points")
    assert not window.actions_["steady"].isChecked()
    assert loads == []


def test_tokens_chosen_while_it_loads_hold(window, checkpoint):
    window.refining.use(RefinerConfig("lingbot", str(checkpoint), tokens=48, device="cpu"))
    window.refining.set_tokens(100)
    wait_for(lambda: refined_by(window) == "lingbot")
    wait_for(lambda: made_by(window).tokens not in (None, 48))


def test_precision_is_chosen_in_the_tool_bar(window, checkpoint):
    use(window, RefinerConfig("lingbot", str(checkpoint), tokens=48, device="cpu"))
    wait_for(lambda: window.bar.precision_box.isVisible())
    box = window.bar.precision_box
    assert [box.itemText(at) for at in range(box.count())] == ["auto", "fp16", "bf16", "fp32"]
    box.textActivated.emit("bf16")
    wait_for(lambda: made_by(window).precision == "bf16")
    assert box.currentText() == "bf16"


def test_a_banner_says_what_is_loaded_and_the_cameras_stream_on(window, checkpoint, monkeypatch):
    from lingbot_live.cameras import registry

    make = registry.create_refiner
    monkeypatch.setattr(registry, "create_refiner", lambda c: time.sleep(1.5) or make(c))
    count = window.stage.bridge.rate.count
    window.refining.use(RefinerConfig("lingbot", str(checkpoint), tokens=48, device="cpu"))
    wait_for(lambda: window.notice.text.startswith("Loading lingbot:"))
    assert window.stage.session.refiner_state is RefinerState.LOADING
    wait_for(lambda: window.stage.bridge.rate.count > count + 3)
    wait_for(lambda: refined_by(window) == "lingbot")
    wait_for(lambda: window.notice.text == "")


def test_weights_that_are_not_here_offer_the_models(window):
    window.refining.choose("lingbot:v0.5")
    wait_for(lambda: "weights are not here" in window.notice.text)
    window.notice.buttons[0].click()
    wait_for(lambda: window.findChildren(ModelsDialog))
    window.findChildren(ModelsDialog)[0].close()


def test_what_the_network_did_unasked_is_said_until_dismissed(window, checkpoint):
    use(window, RefinerConfig("lingbot", str(checkpoint), device="cpu"))
    wait_for(lambda: "LingBot-Depth: without a GPU" in window.notice.text)
    assert "tokens take about" in window.notice.text
    window.notice._close.click()
    pass_time(600)
    assert window.notice.text == ""


def test_auto_says_what_it_lacks_once(window):
    window.refining.choose("auto")
    wait_for(lambda: "not LingBot-Depth" in window.notice.text)
    assert "its weights are not on this machine" in window.notice.text
    window.notice._close.click()
    pass_time(600)
    assert window.notice.text == ""
    window.refining.choose("auto")
    pass_time(900)
    assert window.notice.text == ""


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    hub = Hub(store.ZOO[0].huggingface, {"model.pt": bytes(3_000_000)})
    monkeypatch.setattr(
        store, "download", partial(store.download, endpoint=hub.url, any_weights=True)
    )
    yield hub
    hub.close()


def dialog_of(window) -> ModelsDialog:
    window.dialogs.show_models()
    dialog = window.findChildren(ModelsDialog)[-1]
    wait_for(lambda: dialog.table.rowCount() == 4)
    return dialog


def test_a_download_shows_its_progress_is_cancelled_and_goes_on(window, hub):
    reached, hub.gate = threading.Event(), threading.Event()
    hub.halfway = reached.set
    dialog = dialog_of(window)
    assert not dialog.use_button.isEnabled()
    dialog.get_button.click()
    wait_for(lambda: reached.is_set() and " of 3 MB" in dialog.bar.text())
    pass_time(300)  # what was sent arrives
    dialog.get_button.click()
    hub.gate.set()
    wait_for(lambda: dialog.get_button.text() == "Download")
    wait_for(lambda: dialog.table.item(0, 2).text() == "partial")
    assert dialog.notice.text == ""
    hub.gate = hub.halfway = None
    dialog.get_button.click()
    wait_for(lambda: dialog.use_button.isEnabled())
    assert dialog.table.item(0, 2).text() == "present"
    dialog.use_button.click()
    wait_for(lambda: window.refining.config.model == "v0.5")


def test_a_file_elsewhere_is_used(window, checkpoint, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a, **k: (str(checkpoint), ""))
    window.refining.config = RefinerConfig("none", tokens=48, device="cpu")
    dialog_of(window).file_button.click()
    wait_for(lambda: refined_by(window) == "lingbot")
