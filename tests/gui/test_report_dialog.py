"""A report from the window: the cameras are freed for it and stream again afterwards."""

from __future__ import annotations

import os

import psutil
import pytest
from gui_wait import wait_for
from rgbd_folder import write_examples

from ui.dialogs.report import ReportDialog


@pytest.fixture
def window(window, tmp_path):
    window.stage.open((f"folder:{write_examples(tmp_path / 'examples', 2)}",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    return window


def test_it_is_written_and_streaming_goes_on(window, tmp_path):
    window._make_report()
    dialog = window.findChild(ReportDialog)
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.duration.setValue(1)
    dialog.start_button.click()
    assert not window.stage.is_running, "the cameras are free for the other process"
    wait_for(lambda: dialog.open_button.isEnabled(), 90)
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert "Written" in dialog.text.text()
    wait_for(lambda: window.stage.is_running and window.panels[0].refined.has_image)
    dialog.close()


def is_measuring():
    """Whether a child runs ``compare``; one that has just ended has no command line any more."""
    children = psutil.process_iter(["ppid", "cmdline"])
    return any(
        c.info["ppid"] == os.getpid() and "compare" in (c.info["cmdline"] or []) for c in children
    )


def test_closing_it_ends_the_measuring(window, tmp_path):
    window._make_report()
    dialog = window.findChild(ReportDialog)
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.duration.setValue(600)
    dialog.start_button.click()
    wait_for(is_measuring)
    dialog.close()
    wait_for(lambda: window.stage.is_running)
    assert not (tmp_path / "out" / "report.html").exists()
    wait_for(lambda: not is_measuring())


def test_a_folder_that_cannot_be_written_is_said(window, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    window._make_report()
    dialog = window.findChild(ReportDialog)
    dialog.folder.setText(str(blocker))
    dialog.start_button.click()
    wait_for(lambda: "it is a file" in dialog.text.text(), 60)
    wait_for(lambda: window.stage.is_running)
    dialog.close()
