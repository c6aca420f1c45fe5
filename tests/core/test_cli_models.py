"""The ``models`` command as a user runs it, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hub_server import Hub

from lingbot_live.model.weights import store

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture
def hub():
    hub = Hub(store.ZOO[0].huggingface, {"model.pt": CONTENT})
    yield hub
    hub.close()


@pytest.fixture
def start(hub, tmp_path):
    """Return a function that starts ``lingbot-live models ...`` against the hub."""

    def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
        if arguments[:2] == ("download", "v0.5"):
            arguments = (*arguments, "--any")  # the hub here has not what was published
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "lingbot_live", "models", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "HF_ENDPOINT": hub.url,
                "HF_HOME": str(tmp_path / "hf"),
                "LINGBOT_LIVE_CACHE": str(tmp_path / "cache"),
                "NO_PROXY": "127.0.0.1",
                **env,
            },
        )

    return start


@pytest.fixture
def models(start):
    """Return a function that runs ``lingbot-live models ...``: (status, stdout, stderr)."""

    def run(*arguments: str, **env: str) -> tuple[int, str, str]:
        with start(*arguments, **env) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out.strip(), err.strip()

    return run


def test_a_model_comes_is_listed_verified_and_goes(models, tmp_path):
    status, out, err = models("download", "v0.5")
    assert status == 0, err
    path = out
    with open(path, "rb") as file:
        assert file.read() == CONTENT
    assert models("path", "v0.5") == (0, path, "")
    listed = json.loads(models("list", "--json")[1])
    assert [entry["name"] for entry in listed] == ["v0.5", "v0.1", "dc", "dc-v0.5"]
    assert listed[0]["state"] == "present"
    assert listed[0]["path"] == path
    assert listed[0]["size_bytes"] == len(CONTENT)
    assert listed[0]["recommended"] is True
    assert listed[1]["state"] == "absent"
    assert "present (huggingface)" in models("list", COLUMNS="200")[1]
    assert models("verify")[1].startswith("v0.5: ok, sha256:")

    with open(path, "r+b") as file:
        file.write(b"spoilt")
    status, out, _ = models("verify", "v0.5")
    assert status == 1
    assert "v0.5: WRONG" in out

    assert models("remove", "v0.5")[:2] == (0, "v0.5: 3.0 MB freed")
    status, out, err = models("path", "v0.5")
    assert (status, out) == (2, "")
    assert "lingbot-live models download v0.5" in err


def test_interrupted_and_resumed(hub, models):
    hub.stop_after, hub.refuse_status, hub.good_answers = 8 << 17, 503, 1
    status, out, err = models("download", "v0.5")
    assert (status, out) == (2, "")
    assert "lingbot-live: model.pt: the connection broke after 1.0 MB of 3.0 MB" in err
    assert "Traceback" not in err
    assert json.loads(models("list", "--json")[1])[0]["state"] == "partial"
    hub.stop_after = hub.refuse_status = None
    hub.seen.clear()
    assert models("download", "v0.5")[0] == 0
    assert hub.ranges == ["bytes=1048576-"]


def test_ctrl_c_keeps_what_has_arrived(hub, start, models):
    hub.gate = threading.Event()
    reached = threading.Event()
    hub.halfway = reached.set
    with start("download", "v0.5") as process:
        assert reached.wait(30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped; run it again" in err
    hub.gate.set()
    hub.halfway = None
    assert models("download", "v0.5")[0] == 0


def test_a_file_size_limit_is_a_full_disk(hub, tmp_path, start):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        process = start("download", "v0.5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "model.pt: the disk is full" in err
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("model.pt"))


def test_two_processes_at_once_transfer_once(hub, start):
    hub.gate = threading.Event()
    reached = threading.Event()
    hub.halfway = reached.set
    with start("download", "v0.5") as first, start("download", "v0.5") as second:
        assert reached.wait(30)
        hub.gate.set()
        told = [process.communicate(timeout=30) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), told
    assert len({out for out, _ in told}) == 1
    assert hub.answers == 1


def test_offline_and_unknown(hub, models):
    status, _, err = models("download", "v0.5", HF_HUB_OFFLINE="1")
    assert status == 2
    assert "HF_HUB_OFFLINE is set" in err
    assert hub.seen == []
    status, _, err = models("download", "org/nothing")
    assert status == 2
    assert "no such model" in err
    assert "Did you mean 'v0.5'" in models("path", "v05")[2]


def test_importing_loads_neither_torch_nor_the_hub():
    heavy = "torch", "huggingface_hub", "safetensors", "requests", "numpy", "rich.progress"
    code = (
        "import sys, lingbot_live.model.weights.store, lingbot_live.cli.models;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9/", "odd://x"])
def test_a_proxy_that_cannot_be_used_is_one_line(models, source, proxy):
    env = dict.fromkeys(("ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"), proxy)
    env |= {"NO_PROXY": "", "no_proxy": "", "HTTPS_PROXY": proxy, "https_proxy": proxy}
    status, out, err = models("download", "v0.5", "--from", source, **env)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "cannot be reached (its proxy cannot be used: " in err
    assert "Without a network, put model.pt" in err


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_login_page_is_one_line(models, hub, source):
    hub.is_portal = True
    domain = {"MODELSCOPE_DOMAIN": hub.url} if source == "modelscope" else {}
    status, out, err = models("download", "v0.5", "--from", source, **domain)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "cannot be reached (" in err
