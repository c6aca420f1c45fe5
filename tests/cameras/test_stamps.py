"""Time stamps of TUM lists in every unit that programs write."""

from __future__ import annotations

import fixtures_folder as made
import numpy as np
import pytest

from drivers.folder.stamps import parse_stamps
from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.errors import BadRecordingError
from lingbot_live.export.job import ExportRequest, run_export

NS = 1_305_031_102_175_304_000
STEP_NS = 33_333_000
FORMS = {
    "seconds": lambda ns: f"{ns // 10**9}.{ns % 10**9:09d}",
    "seconds with an exponent": lambda ns: f"{ns / 1e9:.17e}",
    "milliseconds": lambda ns: f"{ns // 10**6}.{ns % 10**6:06d}",
    "microseconds": lambda ns: str(ns // 1000),
    "nanoseconds": str,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("start_ns", [NS, 1_764_547_200_123_456_000])
def test_a_time_since_1970(form, start_ns):
    times_ns = [start_ns + row * STEP_NS for row in range(4)]
    found = parse_stamps([FORMS[form](ns) for ns in times_ns])
    exact_ns = 1000 if "exponent" in form else 0  # a double holds no more
    assert np.abs(found - times_ns).max() <= exact_ns


@pytest.mark.parametrize(
    ("texts", "second"),
    [
        (["0", "0.033333", "0.066666"], 33_333_000),
        (["0", "33", "66"], 33_000_000),
        (["0", "33333", "66666"], 33_333_000),
        (["5000000000", "5033333333", "5066666666"], 5_033_333_333),
        (["0", "1", "2"], 1_000_000_000),
        (["1305031102", "1305031112", "1305031122"], 1_305_031_112_000_000_000),
        (["12.5"], None),
    ],
)
def test_a_clock_that_began_anywhere(texts, second):
    found = parse_stamps(texts)
    assert second is None or found[1] == second


@pytest.mark.parametrize("text", ["", "one", "nan", "inf", "-inf", "1e400", "99999999999999999999"])
def test_no_stamp(text):
    with pytest.raises(ValueError, match=r"no number|out of range"):
        parse_stamps([text])


@pytest.mark.parametrize("form", FORMS)
def test_a_sequence_in_any_unit_pairs_and_keeps_its_times(tmp_path, form):
    path = made.tum(tmp_path / "tum")
    for name in ("rgb", "depth"):
        lines = [
            f"{FORMS[form](NS + row * STEP_NS)} {image.relative_to(path)}"
            for row, image in enumerate(sorted((path / name).iterdir())[:3])
        ]
        (path / f"{name}.txt").write_text("# list\n" + "\n".join(lines) + "\n")
    want_us = [(NS + row * STEP_NS) // 1000 for row in range(3)]
    with registry.create_camera(f"folder:{path}", OFFLINE) as camera:
        assert [f.device_timestamp_us for f in every_frame(camera)] == pytest.approx(want_us, abs=1)
    run_export(ExportRequest(f"folder:{path}", "tum", tmp_path / "out"))
    lines = (tmp_path / "out" / "rgb.txt").read_text().splitlines()
    stamps = [line.split()[0] for line in lines if not line.startswith("#")]
    assert stamps[0] == "1305031102.175304"
    assert run_export(ExportRequest(f"folder:{path}", "mp4", tmp_path / "v.mp4")).frames == 3


def test_a_bad_stamp_is_named(tmp_path):
    path = made.tum(tmp_path)
    (path / "rgb.txt").write_text("nan rgb/0.png\n")
    with pytest.raises(BadRecordingError, match="line 1 is 'nan"):
        registry.create_camera(f"folder:{path}", OFFLINE).open()
