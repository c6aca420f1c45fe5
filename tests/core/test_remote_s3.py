"""Sessions in an S3 store, through a real server of its protocol on this machine."""

from __future__ import annotations

import asyncio

import pytest
from sessions import NoisyCamera, record

from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.recording.ranges import join_ranges, refine_range, split
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.system import remote

fsspec = pytest.importorskip("fsspec")
server = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")
# aiohttp's sessions end with the process.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def bucket(monkeypatch, tmp_path):
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
    monkeypatch.setattr(remote.platformdirs, "user_cache_path", lambda name: tmp_path / "cache")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("takes")
    yield "s3://takes"
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()
    _end_fsspec()


def _end_fsspec():
    """End fsspec's thread, which it keeps for the process's life."""
    loop, thread = fsspec.asyn.loop[0], fsspec.asyn.iothread[0]
    asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    fsspec.asyn.reset_after_fork()


def test_a_session_is_refined_from_a_store_into_it(bucket, tmp_path):
    record(tmp_path / "a.mcap", NoisyCamera(count=9), options=RecorderOptions(refined=False))
    remote.put(tmp_path / "a.mcap", f"{bucket}/raw/a.mcap")
    config = RefinerConfig.parse("guided")
    ranges = split(f"{bucket}/raw/a.mcap", f"{bucket}/out/a.mcap", config, False, size=4)
    refiner = registry.create_refiner(config)
    done = [refine_range(work, refiner) for work in reversed(ranges)]
    assert done == [1, 4, 4]
    assert [refine_range(work, refiner) for work in ranges] == [0, 0, 0]
    out = join_ranges(ranges)
    assert s3fs.S3FileSystem().ls("takes/out") == ["takes/out/a.mcap"]
    with Recording(remote.local_copy(out)) as recording:
        assert len(recording) == len(recording.track().refined_times_ns) == 9
