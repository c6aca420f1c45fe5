"""The messages of the Orbbec and the Kinect SDK: all of them in our log, none elsewhere."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyorbbecsdk")
import fixtures_kinect
import fixtures_orbbec
import sdks

from drivers.common.sdk_log import SdkLog
from drivers.kinect import camera as kinect_camera
from drivers.orbbec import sdk as orbbec_sdk
from lingbot_live.cameras import registry
from lingbot_live.cameras.discovery import ChildLook
from lingbot_live.errors import BadRecordingError, CameraError

KINECT, ORBBEC = "lingbot_live.sdk.kinect", "lingbot_live.sdk.orbbec"
HEAD = r"\[(?P<level>\w+)\] (?P<text>.*)"


MAKES = {"orbbec": "orbbec", "kinect": "kinect", "foreign": "kinect"}


class Recordings(dict[str, Path]):
    """A sound recording of each make, and one of a Kinect that its SDK refuses; as asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Path:
        sdks.need(MAKES[name])
        self[name] = write(name, self.folder)
        return self[name]


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path)


def write(name: str, folder: Path) -> Path:
    rgb, raw = np.full((240, 320, 3), 90, np.uint8), np.full((240, 320), 1200, np.uint16)
    wide = np.full((*fixtures_kinect.COLOR_SIZE[::-1], 3), 90, np.uint8)
    deep = np.full(fixtures_kinect.DEPTH_SIZE[::-1], 1200, np.uint16)
    if name == "orbbec":
        return fixtures_orbbec.Bag().write(folder / "a.bag", [(rgb, raw)] * 3)
    if name == "kinect":
        return fixtures_kinect.Recording().write(folder / "a.mkv", [(wide, deep)] * 3)
    foreign = folder / "foreign.mkv"
    foreign.write_bytes(b"\x1a\x45\xdf\xa3" + b"\x81\0" * 2000)
    return foreign


def texts(caplog: pytest.LogCaptureFixture, logger: str, least: int = logging.WARNING) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == logger and r.levelno >= least]


@pytest.mark.parametrize("is_probed", [True, False])
def test_a_refused_kinect_file_comes_with_the_sdks_reason(
    is_probed: bool,
    recordings: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not is_probed:  # opened by this process, not first by a child
        monkeypatch.setenv("LINGBOT_LIVE_PROBE", "1")
    with pytest.raises(BadRecordingError):
        registry.create_camera(f"kinect:{recordings['foreign']}").open()
    reasons = texts(caplog, KINECT, logging.ERROR)
    assert any("Recording file does not contain any frames!" in text for text in reasons)
    assert len({*reasons}) == len(reasons)
    assert not any("/" in text for text in reasons), "of the machine that built the SDK"


def test_an_orbbec_camera_that_does_not_answer_comes_with_the_sdks_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(CameraError):
        registry.create_camera("orbbec:127.0.0.1").open()  # where no camera listens
    assert any("VendorTCPClient" in text for text in texts(caplog, ORBBEC))
    assert texts(caplog, ORBBEC, logging.ERROR)


def test_what_is_said_at_every_start_is_no_warning(
    recordings: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    orbbec_sdk.context()
    orbbec_sdk.SDK_LOG.hand_on()
    caplog.clear()  # a machine without USB is told of once
    for make in {"orbbec", "kinect"} & {*sdks.HERE}:
        registry.driver(make).discover()
        with registry.create_camera(f"{make}:{recordings[make]}") as camera:
            camera.read(5)
    assert texts(caplog, ORBBEC) == texts(caplog, KINECT) == []
    assert texts(caplog, ORBBEC, logging.DEBUG)


# ---- whole lines, once ---------------------------------------------------------------------------


def test_every_message_comes_once_while_threads_write_and_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sdks.need("kinect")
    kinect_camera.sdk()
    said = [[str(tmp_path / f"{thread}-{i}") for i in range(300)] for thread in range(3)]
    writers = [
        threading.Thread(target=lambda own=own: [*map(fixtures_kinect.complain, own)])
        for own in said
    ]
    has_ended = threading.Event()

    def read() -> None:
        while not has_ended.is_set():
            kinect_camera.SDK_LOG.hand_on()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    has_ended.set()
    for thread in readers:
        thread.join()
    kinect_camera.SDK_LOG.hand_on()
    found = Counter(text.split("'")[1] for text in texts(caplog, KINECT) if str(tmp_path) in text)
    assert found == Counter(path for own in said for path in own)


def test_messages_of_orbbec_come_once(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    ob = orbbec_sdk.sdk()
    orbbec_sdk.context()
    for i in range(20):
        with pytest.raises(RuntimeError), orbbec_sdk.SDK_LOG.handed_on():
            ob.PlaybackDevice(str(tmp_path / f"none-{i}"))
        assert f"none-{i}" in texts(caplog, ORBBEC)[-1]
    found = [text for text in texts(caplog, ORBBEC) if str(tmp_path) in text]
    assert len(found) == 20


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[SdkLog, Path]:
    """A log, and the file that an SDK would write."""
    monkeypatch.setenv("LINGBOT_LIVE_SDK_LOGS", str(tmp_path))
    log = SdkLog("none", ["sdk.log"], HEAD, harmless="nothing new")
    return log, log.folder() / "sdk.log"


def test_a_line_that_is_being_written_waits_for_its_end(
    written: tuple[SdkLog, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    log, path = written
    log.hand_on()  # before there is a file
    for part in (b"[error] a cable ", b"is lo", b"ose\n[warn", b"ing] nothing new\n[info] b\n"):
        with path.open("ab") as file:
            file.write(part)
        log.hand_on()
        log.hand_on()
    assert texts(caplog, "lingbot_live.sdk.none") == ["a cable is loose"]
    everything = ["a cable is loose", "nothing new", "b"]
    assert texts(caplog, "lingbot_live.sdk.none", logging.DEBUG) == everything


def test_a_message_of_several_lines_is_one(
    written: tuple[SdkLog, Path], caplog: pytest.LogCaptureFixture
) -> None:
    log, path = written
    path.write_bytes(b"\n\nNew session\n\n[warning] Failed\n - where: \xff\n - msg: c\n[error] d\n")
    log.hand_on()
    assert texts(caplog, "lingbot_live.sdk.none") == ["Failed - where: \ufffd - msg: c", "d"]


def test_a_file_that_is_rotated_is_read_to_its_end_and_deleted(
    written: tuple[SdkLog, Path], caplog: pytest.LogCaptureFixture
) -> None:
    log, path = written
    for turn in range(3):
        path.write_text(f"[error] first of {turn}\n")
        log.hand_on()
        with path.open("a") as file:
            file.write(f"[error] last of {turn}\n")
        path.rename(path.with_name("sdk.1.log"))
        log.hand_on()
    path.write_text("[error] new\n")
    log.hand_on()
    expected = [f"{which} of {turn}" for turn in range(3) for which in ("first", "last")]
    assert texts(caplog, "lingbot_live.sdk.none") == [*expected, "new"]
    assert [*path.parent.iterdir()] == [path]


# ---- processes -----------------------------------------------------------------------------------

SCRIPT = """
import sys
from lingbot_live.cameras import registry
from lingbot_live.errors import CameraError
for address in sys.argv[1:]:
    try:
        with registry.create_camera(address) as camera:
            camera.read(5)
    except CameraError:
        print("refused", file=sys.stderr)
"""


def run(command: list[str], temporary: Path) -> subprocess.CompletedProcess[bytes]:
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.run(
        [sys.executable, *command], cwd="/proc", env=environment, capture_output=True,
        timeout=90, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "names", [["kinect"], ["foreign"], ["orbbec"], ["orbbec", "kinect", "foreign"]]
)
def test_nothing_is_left_of_a_process(
    names: list[str], recordings: dict[str, Path], tmp_path: Path
) -> None:
    addresses = [f"{MAKES[name]}:{recordings[name]}" for name in names]
    done = run(["-c", SCRIPT, *addresses], tmp_path / "tmp")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.count(b"refused") == names.count("foreign")
    assert done.stderr.count(b"does not contain any frames!") == names.count("foreign")
    assert [*(tmp_path / "tmp").iterdir()] == []


def test_what_a_killed_process_leaves_the_next_one_removes(
    recordings: dict[str, Path], tmp_path: Path
) -> None:
    killed = SCRIPT + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    address = f"kinect:{recordings['kinect']}"
    assert run(["-c", killed, address], tmp_path / "tmp").returncode == -signal.SIGKILL
    assert [*(tmp_path / "tmp").iterdir()]
    assert run(["-c", SCRIPT, address], tmp_path / "tmp").returncode == 0
    assert [*(tmp_path / "tmp").iterdir()] == []


def test_nothing_is_left_of_the_process_that_lists_cameras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    look = ChildLook(limit_s=60)
    assert look().cameras
    assert [*tmp_path.rglob("*.log*")], "this child is killed while the SDKs write"
    look.close()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("lingbot-live-")]


def test_the_app_shows_the_sdks_reason_above_its_own(
    recordings: dict[str, Path], tmp_path: Path
) -> None:
    command = ["-m", "lingbot_live", "run", f"kinect:{recordings['foreign']}", "--headless"]
    done = run([*command, "--refiner", "none"], tmp_path / "tmp")
    told = done.stderr.decode().splitlines()
    (reason,) = (i for i, line in enumerate(told) if "does not contain any frames!" in line)
    assert told[reason].startswith(f"ERROR {KINECT}: ")
    assert any("the SDK cannot open it" in line for line in told[reason:])
    assert done.stdout == b""
    assert [*(tmp_path / "tmp").iterdir()] == []
