"""Sessions in an S3 store, through a real server of its protocol on this machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from sessions import NoisyCamera, record

from lingbot_live.recording.state import RecorderOptions

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")

# A process of its own: what fsspec begins (a thread, a loop, connections) ends with the process.
WORK = """
import contextlib, io, json, sys
from pathlib import Path

import s3fs

from lingbot_live.cameras import registry
from lingbot_live.cli.main import obey
from lingbot_live.config import RefinerConfig
from lingbot_live.recording.ranges import join_ranges, refine_range, split
from lingbot_live.recording.recording import Recording
from lingbot_live.system import remote

take, cache = map(Path, sys.argv[1:])
remote.platformdirs.user_cache_path = lambda name: cache
store = s3fs.S3FileSystem()
store.mkdir("takes")
remote.put(take, "s3://takes/raw/a.mcap")
config = RefinerConfig.parse("guided")
ranges = split("s3://takes/raw/a.mcap", "s3://takes/out/a.mcap", config, False, size=4)
refiner = registry.create_refiner(config)
found = {"first": [refine_range(work, refiner) for work in reversed(ranges)]}
found["again"] = [refine_range(work, refiner) for work in ranges]
out = join_ranges(ranges)
found["files"] = store.ls("takes/out")
with Recording(remote.local_copy(out)) as recording:
    found["frames"] = len(recording), len(recording.track().refined_times_ns)
try:
    remote.local_copy("s3://takes/raw/b.mcap")
except remote.RemoteError as error:
    found["missing"] = str(error)
said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    for command in (
        "export --to npz -o s3://takes/for/npz",
        "export --to mp4 -o s3://takes/for/a.mp4",
        "track --grid 2 --refiner none -o s3://takes/for/t.csv",
    ):
        name, *words = command.split()
        assert obey([name, "s3://takes/out/a.mcap", *words]) == 0
found["said"] = said.getvalue()
found["written"] = store.find("takes/for")
found["rows"] = store.cat("takes/for/t.csv").count(b"\\n")
print(json.dumps(found))
"""


@pytest.fixture
def store(monkeypatch):
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield
    running.stop()


@pytest.mark.usefixtures("store")
def test_sessions_are_read_from_a_store_and_results_go_into_it(tmp_path):
    record(tmp_path / "a.mcap", NoisyCamera(count=9), options=RecorderOptions(refined=False))
    command = [sys.executable, "-c", WORK, tmp_path / "a.mcap", tmp_path / "cache"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    found = json.loads(told.stdout)
    assert found["first"] == [1, 4, 4]
    assert found["again"] == [0, 0, 0], "no range twice"
    assert found["files"] == ["takes/out/a.mcap"]
    assert found["frames"] == [9, 9]
    assert found["missing"].startswith("s3://takes/raw/b.mcap: ")
    assert "check the address" in found["missing"]
    assert "s3://takes/for/npz: 9 frames" in found["said"]
    others = [name for name in found["written"] if not name.startswith("takes/for/npz/")]
    assert others == ["takes/for/a.mp4", "takes/for/t.csv"]
    assert len(found["written"]) == 9 + 1 + len(others), "a file a frame, and a note"
    assert found["rows"] == 1 + 9 * 4
