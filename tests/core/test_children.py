"""Child processes: what they answer, how they die, and that nothing of a stranger runs in them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from lingbot_live.system import children
from lingbot_live.system.children import (
    Child,
    ChildCancelledError,
    ChildError,
    ChildSlowError,
)

BODIES = {
    "answers": "import sys; sys.stdout.write(sys.stdin.read().upper())",
    "aborts": "import os; os.abort()",
    "raises": "raise ValueError('too warm')",
    "sleeps": "import time; time.sleep(60)",
    "tells": "import os, sys, tempfile; print(os.getcwd(), tempfile.gettempdir(), os.getpgid(0))",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Modules of their own, named as their bodies are."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for name, body in BODIES.items():
        (folder / f"child_{name}.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_child_answers(modules):
    assert children.run("child_answers", given=b"depth" * 100_000) == b"DEPTH" * 100_000


@pytest.mark.parametrize(
    ("name", "words"),
    [("aborts", "crashed with signal 6"), ("raises", "ended with status 1: ValueError: too warm")],
)
def test_a_child_that_dies_says_how(modules, name, words):
    with pytest.raises(ChildError, match=words):
        children.run(f"child_{name}")


def test_a_child_that_holds_is_ended(modules):
    with pytest.raises(ChildSlowError, match=r"no answer within 0\.5 s"):
        children.run("child_sleeps", limit_s=0.5)
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    begun_s = time.monotonic()
    with pytest.raises(ChildCancelledError):
        children.run("child_sleeps", cancel=cancel)
    assert time.monotonic() - begun_s < 30
    assert not [c for c in psutil.Process().children() if c.name() != "Xvfb"]  # tests of windows


def test_it_works_in_a_folder_of_its_own_that_goes_with_it(modules):
    work, temporary, _ = children.run("child_tells").decode().split()
    assert Path(work).parent.name.startswith(".lingbot-live-child-")
    assert work == temporary
    assert not Path(work).parent.exists()


def test_the_folders_of_a_killed_app_are_removed_by_the_next_start(modules, tmp_path, monkeypatch):
    code = (
        "import os; from lingbot_live.system.children import Child\n"
        "child = Child('child_sleeps'); child.process.kill(); os.kill(os.getpid(), 9)"
    )
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is asked for anew
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    (left,) = tmp_path.glob(".lingbot-live-child-*")
    with Child("child_sleeps") as child:
        assert not left.exists()
        assert child.folder.is_dir()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
def test_ctrl_c_in_the_terminal_is_not_for_children(modules):
    assert int(children.run("child_tells").split()[-1]) != os.getpgid(0)


def test_ending_twice_and_from_any_thread_is_fine(modules):
    child = Child("child_sleeps")
    threads = [threading.Thread(target=child.end) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert child.process.returncode is not None
    assert not child.folder.exists()


PLANTED = "import pathlib; pathlib.Path({mark!r}).write_text('run'); raise SystemExit(3)"
CALLS = {
    "export": (
        "from lingbot_live.export.child import ExportJob; "
        "from lingbot_live.export.job import ExportRequest; from pathlib import Path; "
        "job = ExportJob(ExportRequest('none.mcap', 'npz', Path('out'))); job.start(); job.join(60)"
    ),
    "snapshot": (
        "from lingbot_live.export.cloud import write_ply_in_child; from pathlib import Path; "
        "from contextlib import suppress; from lingbot_live.errors import ExportError\n"
        "with suppress(ExportError): write_ply_in_child(Path('none'))"
    ),
    "icp": (
        "from lingbot_live.calibration.icp import refine_in_child; "
        "from lingbot_live.calibration.rig import Rig; from contextlib import suppress; "
        "from lingbot_live.errors import CalibrationError\n"
        "with suppress(CalibrationError, KeyError): refine_in_child(Rig.of(['a', 'b']), {})"
    ),
    "discovery": (
        "from lingbot_live.cameras.discovery import ChildLook; look = ChildLook(); look(); "
        "look.close()"
    ),
    "doctor": "from lingbot_live.doctor.doctor import ask_child; ask_child('weights')",
    "cloud": (
        "from ui.cloud.link import CloudProcess; import time; cloud = CloudProcess(); "
        "cloud.start(); time.sleep(2); cloud.close()"
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_strangers_module_beside_a_recording_never_runs(tmp_path, name):
    mark = tmp_path / "mark"
    beside = tmp_path / "recordings"
    beside.mkdir()
    for module in ("numpy", "json", "psutil", "open3d", "pickle", "lingbot_live"):
        (beside / f"{module}.py").write_text(PLANTED.format(mark=str(mark)))
    # As the installed command does it, the parent looks for modules beside itself, not here.
    script = tmp_path / "parent.py"
    script.write_text(f"if __name__ == '__main__':\n    exec({CALLS[name]!r})\n")
    subprocess.run([sys.executable, str(script)], cwd=beside, check=False, timeout=100)
    assert not mark.exists()
