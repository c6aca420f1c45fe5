"""Every line of the fault table in docs/cameras.md, produced by the app and compared."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sdks
from scripted import ScriptedCamera

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import CameraState, first_frame
from lingbot_live.config import CameraConfig, SessionConfig
from lingbot_live.errors import (
    CameraBusyError,
    CameraNotFoundError,
    CameraTimeoutError,
    LingbotLiveError,
)
from lingbot_live.pipeline.session import Session
from lingbot_live.refiners.base import PassthroughRefiner

rs = pytest.importorskip("pyrealsense2")
import fixtures_kinect  # noqa: E402
import fixtures_orbbec  # noqa: E402
import fixtures_realsense  # noqa: E402 - needs the SDK

DOC = Path(__file__).parents[2] / "docs" / "cameras.md"
ONCE = CameraConfig(loop=False, realtime=False)
LIMIT_S = 10.0
SUFFIX = {"realsense": ".db3", "orbbec": ".bag", "kinect": ".mkv"}
PLAYS = "plays as any other"


def table() -> dict[tuple[str, str], str]:
    """Return what the document says, by fault and make."""
    part = DOC.read_text("utf-8").partition("## Faults")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", part, re.MULTILINE)
    bare = {(fault, make): re.sub("^`+ ?| ?`+$", "", said) for fault, make, said in rows[1:]}
    return {key: said for key, said in bare.items() if "---" not in key[0]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One sound recording of each make."""
    folder = tmp_path_factory.mktemp("whole")
    rgb = np.full((240, 320, 3), 90, np.uint8)
    raw = np.full((240, 320), 1200, np.uint16)
    wide = np.full((*fixtures_kinect.COLOR_SIZE[::-1], 3), 90, np.uint8)
    deep = np.full(fixtures_kinect.DEPTH_SIZE[::-1], 1200, np.uint16)
    write = {
        "realsense": lambda: fixtures_realsense.VirtualCamera().record(folder / "a.db3", 8),
        "orbbec": lambda: fixtures_orbbec.Bag().write(folder / "a.bag", [(rgb, raw)] * 8),
        "kinect": lambda: fixtures_kinect.Recording().write(folder / "a.mkv", [(wide, deep)] * 8),
    }
    return {make: write[make]() for make in sdks.HERE}


def said(path: str | Path, make: str) -> str:
    """Open and read a recording until it ends or fails; return the message, its path as FILE."""
    sdks.need(make)
    begun = time.monotonic()
    try:
        with registry.create_camera(f"{make}:{path}", ONCE) as camera:
            while True:
                first_frame(camera, 5)
    except LingbotLiveError as error:
        assert time.monotonic() - begun < LIMIT_S
        return (
            " ".join(str(error).split()).replace(str(path), "FILE").replace(Path(path).name, "FILE")
        )


# ---- files -------------------------------------------------------------------------------------


def cut(whole: Path) -> bytes:
    data = whole.read_bytes()
    return data[: len(data) * 3 // 5]


SPOILED = {
    "a file cut short": cut,
    "an empty file": lambda whole: b"",
    "a file of junk": lambda whole: np.random.default_rng(3).bytes(50_000),
}


@pytest.mark.parametrize("make", sdks.HERE)
@pytest.mark.parametrize("fault", SPOILED)
def test_spoiled_files(whole, tmp_path, fault, make):
    path = tmp_path / f"b{SUFFIX[make]}"
    path.write_bytes(SPOILED[fault](whole[make]))
    assert said(path, make) == table()[fault, make]


def test_a_file_of_orbbec_is_none_of_realsense(tmp_path):
    by_orbbec = fixtures_orbbec.Bag().write(tmp_path / "a.bag", [])
    assert said(by_orbbec, "realsense") == table()["a file of another program", "realsense"]


def test_a_bag_of_another_program(tmp_path):
    by_nobody = tmp_path / "c.bag"
    from rosbags.rosbag1 import Writer

    with Writer(by_nobody) as writer:
        connection = writer.add_connection(
            "/x", "std_msgs/msg/String", msgdef="string data", md5sum="0" * 32
        )
        writer.write(connection, 0, b"\1\0\0\0a")
    assert said(by_nobody, "orbbec") == table()["a file of another program", "orbbec"]


def test_a_film_of_another_program(tmp_path):
    film = tmp_path / "d.mkv"
    film.write_bytes(b"\x1a\x45\xdf\xa3" + b"\x81\0" * 2000)
    assert said(film, "kinect") == table()["a file of another program", "kinect"]


@pytest.mark.parametrize(
    ("make", "topics"),
    [
        ("realsense", ["/file_version"]),
        ("orbbec", ["/cam/deviceInfo", "/cam/streamProfileType_2", "/cam/streamProfileType_3"]),
    ],
)
def test_a_bag_packed_with_bz2(tmp_path, make, topics):
    from rosbags.rosbag1 import Writer

    writer = Writer(tmp_path / "b.bag")
    writer.set_compression(Writer.CompressionFormat.BZ2)
    with writer:
        for topic in topics:
            connection = writer.add_connection(
                topic, "std_msgs/msg/UInt32", msgdef="uint32 data", md5sum="0" * 32
            )
            writer.write(connection, 0, b"\1\0\0\0")
    assert said(writer.path, make) == table()["a bag packed with bz2", make]


@pytest.mark.parametrize("make", sdks.HERE)
def test_a_file_that_is_not_there(tmp_path, make):
    assert said(tmp_path / f"none{SUFFIX[make]}", make) == table()["no such file", make]


@pytest.mark.parametrize("make", sdks.HERE)
def test_the_end(whole, make):
    assert said(whole[make], make) == table()["end of the file", make]


@pytest.mark.parametrize("make", sdks.HERE)
def test_any_path_plays(whole, tmp_path, make):
    folder = tmp_path / "Kühle Räume 深度"
    folder.mkdir()
    path = folder / f"é è {make}{SUFFIX[make]}"
    path.write_bytes(whole[make].read_bytes())
    with registry.create_camera(f"{make}:{path}", ONCE) as camera:
        assert first_frame(camera, 10).depth_raw.any()
    assert table()["a path with spaces and letters of any script", make] == PLAYS


@pytest.mark.parametrize("make", sdks.HERE)
def test_any_name_plays_from_its_folder(whole, tmp_path, make, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"a b?c#d%41&[x]{SUFFIX[make]}"
    Path(name).write_bytes(whole[make].read_bytes())
    assert registry.find_camera(name).driver == make
    with registry.create_camera(name, ONCE) as camera:
        assert first_frame(camera, 10).depth_raw.any()
    assert sum(registry.driver(make).frame_counts(tmp_path / name).values()) > 0


def test_a_working_folder_where_nothing_can_be_written(whole, tmp_path):
    stats = tmp_path / "stats.json"
    command = [
        sys.executable, "-m", "lingbot_live", "run", *(f"{m}:{p}" for m, p in whole.items()),
        "--headless", "--refiner", "none", "--frames", "3", "--stats", str(stats),
    ]  # fmt: skip
    # Not even root can write there.
    done = subprocess.run(command, cwd="/proc", capture_output=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    feeds = json.loads(stats.read_text())["feeds"].values()
    assert [feed["captured"] for feed in feeds] == [3] * len(whole)
    for make in sdks.MODULES:
        assert table()["a working folder that is read-only", make] == PLAYS


# ---- devices -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", sdks.HERE)
def test_no_sdk(monkeypatch, make):
    monkeypatch.setitem(sys.modules, sdks.MODULES[make], None)
    with pytest.raises(LingbotLiveError) as caught:
        registry.driver(make).discover()
    assert str(caught.value) == table()["no SDK", make]


@pytest.mark.parametrize("make", sdks.HERE)
def test_no_device_and_a_wrong_serial(make):
    for target, fault in (("auto", "no camera attached"), ("4711", "a wrong serial number")):
        with pytest.raises(CameraNotFoundError) as caught:
            registry.find_camera(f"{make}:{target}")
        assert str(caught.value) == table()[fault, make]


def test_a_wrong_serial_beside_another_camera():
    from drivers.realsense.driver import RealSenseDriver

    attached = fixtures_realsense.AttachedCamera(fixtures_realsense.VirtualCamera("V0001"))
    with pytest.raises(CameraNotFoundError) as caught:
        RealSenseDriver(attached.context).find("4711")
    assert str(caught.value) == table()["a wrong serial number, others are there", "realsense"]


TOLD = {  # what the SDKs tell in these cases, by their sources
    (
        "owned by another program",
        "realsense",
    ): "VIDIOC_S_FMT failed, Device or resource busy",
    ("owned by another program", "orbbec"): "usbEnumerator openUsbDevice failed, device busy",
    ("no permission", "realsense"): "failed to open usb interface: Permission denied",
    ("no permission", "orbbec"): "usb open failed: access denied (insufficient permission)",
    ("too little USB bandwidth", "realsense"): "VIDIOC_STREAMON failed, No space left on device",
}


@pytest.mark.parametrize(("fault", "make"), TOLD)
def test_what_only_hardware_can_show_is_said_by_the_sdks_words(fault, make):
    sdks.need(make)
    from drivers.orbbec import data as orbbec
    from drivers.orbbec import sdk as orbbec_sdk
    from drivers.realsense import data as realsense

    explained, sdk = (
        (realsense.explained, rs) if make == "realsense"
        else (orbbec.explained, orbbec_sdk.sdk())
    )  # fmt: skip
    with pytest.raises(LingbotLiveError) as caught, explained(sdk, f"{make}:4711"):
        raise RuntimeError(TOLD[fault, make])
    assert str(caught.value) == table()[fault, make]


def test_a_kinect_that_does_not_start(monkeypatch):
    pyk4a = pytest.importorskip("pyk4a")
    # One is counted, but the SDK cannot open it: so it is when another program has it.
    monkeypatch.setattr(pyk4a, "connected_device_count", lambda: 1)
    with pytest.raises(CameraBusyError) as caught:
        registry.create_camera("kinect:0").open()
    assert str(caught.value) == table()["owned by another program, or without power", "kinect"]


def wait_for(condition, timeout_s=15.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_unplugged_and_back(whole):
    from drivers.realsense.driver import RealSenseDriver

    context, file = rs.context(), str(whole["realsense"])
    driver = RealSenseDriver(context)
    held = context.load_device(file)  # attached as long as it is held
    info = driver.find("V0001")
    quick = SessionConfig(reconnect_first_s=0.3, reconnect_most_s=0.3)
    create = [("rs", lambda: driver.create(info, CameraConfig())), other()]
    with Session(create, PassthroughRefiner, quick) as session:
        feed, beside = session.feeds
        wait_for(lambda: feed.stats.captured > 1)
        context.unload_device(file)
        wait_for(lambda: feed.state is CameraState.RECONNECTING)
        assert str(feed.error) == table()["unplugged", "realsense"]
        wait_for(lambda: feed.tries > 1)
        assert str(feed.error) == table()["unplugged, while it is tried again", "realsense"]
        count, before = beside.stats.captured, feed.stats.captured
        held = context.load_device(file)
        wait_for(lambda: feed.stats.captured > before)
        assert (feed.error, feed.stats.reconnects) == (None, 1)
        assert beside.stats.captured > count
    del held


def other():
    return "other", lambda: ScriptedCamera(range(100_000), period_s=0.02)


def test_a_stall_is_said_and_ends():
    silent = ScriptedCamera([1, *[lambda: time.sleep(0.1)] * 12, *range(2, 50_000)], period_s=0.01)
    config = SessionConfig(stall_after_s=0.5)
    with Session([("kinect:0", lambda: silent), other()], PassthroughRefiner, config) as session:
        feed = session.feeds[0]
        wait_for(lambda: feed.state is CameraState.STALLED)
        assert isinstance(feed.error, CameraTimeoutError)
        assert re.sub(r"\d+ s", "3 s", str(feed.error)) == table()["no frame for seconds", "any"]
        wait_for(lambda: feed.state is CameraState.STREAMING)
        assert feed.error is None


def test_no_line_of_the_table_is_without_a_test():
    makes = {*sdks.MODULES}
    files = {*SPOILED, "a file of another program", "no such file", "end of the file",
             "a path with spaces and letters of any script", "a working folder that is read-only",
             "no SDK", "no camera attached", "a wrong serial number"}  # fmt: skip
    tested = {(fault, make) for fault in files for make in makes} | {*TOLD}
    tested |= {
        ("a wrong serial number, others are there", "realsense"),
        ("owned by another program, or without power", "kinect"),
        ("unplugged", "realsense"),
        ("unplugged, while it is tried again", "realsense"),
        ("no frame for seconds", "any"),
        ("a bag packed with bz2", "realsense"),
        ("a bag packed with bz2", "orbbec"),
    }
    assert {*table()} == tested
