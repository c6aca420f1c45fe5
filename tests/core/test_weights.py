"""Downloads against a hub on 127.0.0.1, through the public functions."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hub_server import Hub

from lingbot_live.errors import DownloadCancelledError, WeightsError
from lingbot_live.model.weights import fetch, store

V05 = store.ZOO[0]
SIZE = 3_000_000
CUT = 8 << 17  # after whole pieces, of which the last broken one is given up


def content(size: int = SIZE, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(fetch, "RETRY_WAITS_S", (0.01, 0.01))
    # What the hub here offers is not what was published.
    monkeypatch.setattr(store, "download", partial(store.download, any_weights=True))
    return tmp_path / "cache"


@pytest.fixture
def hub():
    hub = Hub(V05.huggingface, {"model.pt": content(), "README.md": b"hello"})
    yield hub
    hub.close()


def leftovers(cache: Path) -> set[str]:
    """Names of all files in the cache folder but locks."""
    names = {path.name for path in cache.rglob("*") if path.is_file()}
    return {name for name in names if not name.endswith(".lock")}


def assert_absent(cache: Path) -> None:
    assert store.status("v0.5").state in ("absent", "partial")
    assert "model.pt" not in leftovers(cache)
    with pytest.raises(WeightsError, match=r"models download v0\.5"):
        store.resolve("v0.5")


def test_complete_download_is_found_and_reported(hub, cache):
    told = []
    path = store.download("v0.5", endpoint=hub.url, progress=lambda *now: told.append(now))
    assert path.read_bytes() == hub.files["model.pt"]
    assert path == store.resolve("v0.5") == store.resolve(V05.huggingface) == store.resolve()
    assert told[0] == (0, SIZE)
    assert told[-1] == (SIZE, SIZE)
    assert told == sorted(told)
    assert leftovers(cache) == {"model.pt", "download.json"}
    status = store.status("v0.5")
    assert (status.state, status.size_bytes, status.origin) == ("present", SIZE, "huggingface")


def test_a_present_model_asks_the_hub_nothing(hub):
    first = store.download("v0.5", endpoint=hub.url)
    seen = len(hub.seen)
    assert store.download("v0.5", endpoint=hub.url) == first
    assert len(hub.seen) == seen


def test_a_broken_line_is_taken_up_within_one_call(hub):
    hub.stop_after = CUT
    path = store.download("v0.5", endpoint=hub.url)
    assert path.read_bytes() == hub.files["model.pt"]
    assert hub.ranges == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]


def test_an_interrupted_download_goes_on_in_the_next_call(hub, cache):
    hub.stop_after, hub.refuse_status, hub.good_answers = CUT, 503, 1
    with pytest.raises(WeightsError, match=r"broke after 1\.0 MB of 3\.0 MB.*503"):
        store.download("v0.5", endpoint=hub.url)
    assert_absent(cache)
    assert store.status("v0.5").size_bytes == CUT

    hub.stop_after = hub.refuse_status = None
    hub.seen.clear()
    told = []
    path = store.download("v0.5", endpoint=hub.url, progress=lambda *now: told.append(now))
    assert hub.ranges == [f"bytes={CUT}-"]
    assert told[0] == (CUT, SIZE)
    assert path.read_bytes() == hub.files["model.pt"]
    assert leftovers(cache) == {"model.pt", "download.json"}


def test_a_login_page_does_not_take_the_place_of_what_has_arrived(hub, cache, monkeypatch):
    hub.stop_after, hub.refuse_status, hub.good_answers = CUT, 503, 1
    with pytest.raises(WeightsError):
        store.download("v0.5", endpoint=hub.url)
    listing = fetch.list_huggingface(V05.huggingface, hub.url)
    hub.is_portal = True
    monkeypatch.setitem(fetch.HUBS, "huggingface", lambda repo, endpoint: listing)
    with pytest.raises(WeightsError, match="a web page; does this network want a login"):
        store.download("v0.5", endpoint=hub.url)
    assert store.status("v0.5").size_bytes == CUT


def test_a_server_without_ranges_starts_anew(hub):
    hub.stop_after, hub.refuse_status, hub.good_answers = CUT, 503, 1
    with pytest.raises(WeightsError):
        store.download("v0.5", endpoint=hub.url)
    hub.stop_after, hub.refuse_status, hub.ignore_range = None, None, True
    assert store.download("v0.5", endpoint=hub.url).read_bytes() == hub.files["model.pt"]


def test_a_new_version_does_not_go_on_from_the_old_part(hub, cache):
    hub.stop_after, hub.refuse_status, hub.good_answers = CUT, 503, 1
    with pytest.raises(WeightsError):
        store.download("v0.5", endpoint=hub.url)
    hub.files["model.pt"] = content(seed=1)
    hub.stop_after = hub.refuse_status = None
    assert store.download("v0.5", endpoint=hub.url).read_bytes() == content(seed=1)
    assert leftovers(cache) == {"model.pt", "download.json"}


def test_wrong_checksum_is_removed(hub, cache):
    hub.lie_about = "model.pt"
    with pytest.raises(WeightsError, match=r"sha256 checksum is .* the hub says 0{64}"):
        store.download("v0.5", endpoint=hub.url)
    assert_absent(cache)
    assert leftovers(cache) == {"download.json"}


def test_a_corrupted_part_is_found_out(hub, cache):
    hub.stop_after, hub.refuse_status, hub.good_answers = CUT, 503, 1
    with pytest.raises(WeightsError):
        store.download("v0.5", endpoint=hub.url)
    part = next(cache.rglob("*.part"))
    data = bytearray(part.read_bytes())
    data[500_000] ^= 1
    part.write_bytes(data)
    hub.stop_after = hub.refuse_status = None
    with pytest.raises(WeightsError, match="checksum"):
        store.download("v0.5", endpoint=hub.url)
    assert_absent(cache)
    assert store.download("v0.5", endpoint=hub.url).read_bytes() == hub.files["model.pt"]


def test_unknown_repository(hub, cache):
    with pytest.raises(WeightsError, match=r"no-one/nothing.*no such model"):
        store.download("no-one/nothing", endpoint=hub.url)
    assert leftovers(cache) == set()


def test_missing_file_says_so_at_once(hub, cache):
    hub.refuse_status = 404
    with pytest.raises(WeightsError, match="answers 404"):
        store.download("v0.5", endpoint=hub.url)
    assert hub.answers == 1
    assert_absent(cache)


def test_a_repository_without_weights(cache):
    hub = Hub("org/other", {"README.md": b"text", "model.onnx": b"x"})
    try:
        with pytest.raises(WeightsError, match=r"org/other: holds neither model\.pt nor"):
            store.download("org/other", endpoint=hub.url)
    finally:
        hub.close()


def test_safetensors_come_with_their_config(cache):
    files = {"config.json": b'{"a": 1}', "model.safetensors": content(1000)}
    hub = Hub("org/fine-tuned", files)
    try:
        told = []
        path = store.download(
            "org/fine-tuned", endpoint=hub.url, progress=lambda *now: told.append(now)
        )
    finally:
        hub.close()
    assert path.name == "model.safetensors"
    assert path.with_name("config.json").read_bytes() == files["config.json"]
    assert told[-1] == (1008, 1008)
    assert [status.name for status in store.known()][-1] == "org/fine-tuned"


def test_cancelled_and_taken_up(hub, cache):
    hub.gate = threading.Event()
    cancel = threading.Event()
    errors = []

    def work() -> None:
        try:
            store.download("v0.5", endpoint=hub.url, progress=tell, cancel=cancel)
        except DownloadCancelledError as error:
            errors.append(error)

    def tell(done: int, total: int) -> None:
        if done > 1_000_000:
            cancel.set()
            hub.gate.set()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert "stopped" in str(errors[0])
    assert_absent(cache)
    had = store.status("v0.5").size_bytes
    assert 1_000_000 < had < SIZE
    assert store.download("v0.5", endpoint=hub.url).read_bytes() == hub.files["model.pt"]
    assert hub.ranges[-1] == f"bytes={had}-"


def test_two_downloads_at_once_transfer_once(hub):
    hub.gate = threading.Event()
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(store.download("v0.5", endpoint=hub.url)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while hub.answers == 0:
        time.sleep(0.01)
    with pytest.raises(WeightsError, match="being downloaded right now"):
        store.remove("v0.5")
    hub.gate.set()
    for thread in threads:
        thread.join(20)
    assert len(paths) == 3
    assert len(set(paths)) == 1
    assert hub.answers == 1


def test_waiting_for_another_download_can_be_cancelled(hub):
    hub.gate = threading.Event()
    first = threading.Thread(target=store.download, args=("v0.5",), kwargs={"endpoint": hub.url})
    first.start()
    while hub.answers == 0:
        time.sleep(0.01)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(DownloadCancelledError):
        store.download("v0.5", endpoint=hub.url, cancel=cancel)
    hub.gate.set()
    first.join(20)


def test_offline_switch(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for source in ("huggingface", "modelscope"):
        with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE is set(.|\n)*put model\.pt of"):
            store.download("v0.5", source, endpoint=hub.url)
    assert hub.seen == []


def test_no_network_says_where_to_put_the_file(hub, cache):
    hub.close()
    for source in ("huggingface", "modelscope"):
        with pytest.raises(WeightsError, match="cannot be reached") as caught:
            store.download("v0.5", source, endpoint=hub.url)
        assert str(store.model_folder("v0.5") / "model.pt") in str(caught.value)


def test_a_file_put_by_hand_is_used_and_verified(hub):
    by_hand = store.model_folder("v0.5") / "model.pt"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(hub.files["model.pt"])
    assert store.resolve("v0.5") == by_hand
    assert store.status("v0.5").origin == "by hand"
    assert store.verify("v0.5", endpoint=hub.url).ok is True
    by_hand.write_bytes(content(seed=2))
    assert store.verify("v0.5", endpoint=hub.url).ok is False


def test_without_a_hub_the_known_checksum_decides(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    by_hand = store.model_folder("v0.5") / "model.pt"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(b"not it")
    verdict = store.verify("v0.5")
    assert (verdict.ok, verdict.against) == (False, "this program")
    store.model_folder("dc").mkdir()
    (store.model_folder("dc") / "model.pt").write_bytes(b"who knows")
    assert store.verify("dc").ok is None


def test_verify_finds_a_flipped_bit_and_status_a_cut_file(hub):
    path = store.download("v0.5", endpoint=hub.url)
    verdict = store.verify("v0.5")
    assert verdict.ok is True
    assert verdict.checksum == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    data = bytearray(path.read_bytes())
    data[1234] ^= 4
    path.write_bytes(data)
    assert store.verify("v0.5").ok is False

    path.write_bytes(data[:-1])
    assert store.status("v0.5").state == "damaged"
    with pytest.raises(WeightsError, match="has changed since"):
        store.resolve("v0.5")
    assert store.download("v0.5", endpoint=hub.url).read_bytes() == hub.files["model.pt"]


def test_modelscope(cache):
    hub = Hub(V05.modelscope, {"model.pt": content()})
    hub.stop_after = CUT
    try:
        path = store.download("v0.5", "modelscope", endpoint=hub.url)
        assert path == store.resolve("v0.5")
        assert path.read_bytes() == hub.files["model.pt"]
        assert hub.ranges == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
        assert store.status("v0.5").origin == "modelscope"
        store.remove("v0.5")
        hub.lie_about = "model.pt"
        with pytest.raises(WeightsError, match="the hub says"):
            store.download("v0.5", "modelscope", endpoint=hub.url)
        with pytest.raises(WeightsError, match="no such model"):
            store.download("org/none", "modelscope", endpoint=hub.url)
    finally:
        hub.close()


def test_the_token_goes_along(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    store.download("v0.5", endpoint=hub.url)
    assert set(hub.tokens) == {"Bearer hf_secret"}


def test_hugging_face_cache_is_found_and_never_removed(tmp_path):
    blob = content(1000)
    repo = tmp_path / "hf" / ("models--" + V05.huggingface.replace("/", "--"))
    snapshot = repo / "snapshots" / "a"
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("a")
    stored = repo / "blobs" / hashlib.sha256(blob).hexdigest()
    stored.write_bytes(blob)
    (snapshot / "model.pt").symlink_to(stored)
    assert store.resolve("v0.5") == snapshot / "model.pt"
    assert store.status("v0.5").origin == "huggingface cache"
    assert store.verify("v0.5").ok is True
    assert store.remove("v0.5") == 0
    assert store.resolve("v0.5").read_bytes() == blob


def test_resolve_paths_and_nonsense(tmp_path):
    file = tmp_path / "mine.pt"
    file.write_bytes(b"x")
    assert store.resolve(str(file)) == file
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(WeightsError, match="holds neither"):
        store.resolve(str(folder))
    (folder / "model.safetensors").write_bytes(b"x")
    assert store.resolve(str(folder)) == folder / "model.safetensors"
    with pytest.raises(WeightsError, match="no such file"):
        store.resolve(str(tmp_path / "gone.pt"))
    with pytest.raises(WeightsError, match=r"Did you mean 'v0\.5'"):
        store.resolve("v0.6")
    with pytest.raises(WeightsError, match="no hub is called"):
        store.download("v0.5", "github")


def test_remove(hub, cache):
    store.download("v0.5", endpoint=hub.url)
    assert store.remove("v0.5") > SIZE
    assert store.status("v0.5").state == "absent"
    assert leftovers(cache) == set()
    assert store.remove("v0.5") == 0


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A cache folder on a file system of 4 MB of its own."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a tmpfs")
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(disk / "cache"))
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_too_small_is_refused_before_the_transfer(hub, small_disk):
    hub.files["model.pt"] = content(5_000_000)
    with pytest.raises(WeightsError, match=r"disk is full: 5\.0 MB are needed, 4\.\d MB are free"):
        store.download("v0.5", endpoint=hub.url)
    assert hub.answers == 0
    assert_absent(small_disk)


def test_a_disk_that_fills_up_meanwhile(hub, small_disk):
    filler = small_disk / "filler"
    hub.halfway = lambda: filler.write_bytes(bytes(2_000_000))
    with pytest.raises(WeightsError, match=r"model\.pt: the disk is full .*Free some space"):
        store.download("v0.5", endpoint=hub.url)
    assert_absent(small_disk)
    filler.unlink()
    hub.halfway = None
    path = store.download("v0.5", endpoint=hub.url)
    assert path.read_bytes() == hub.files["model.pt"]
    assert hub.ranges[-1] is not None


def test_a_folder_that_cannot_be_made(hub, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(WeightsError, match="cannot be written"):
        store.download("v0.5", endpoint=hub.url)


def test_a_damaged_manifest_does_not_hide_the_weights(hub, caplog):
    path = store.download("v0.5", endpoint=hub.url)
    (path.parent / "download.json").write_text(json.dumps({"files": 3}))
    assert store.resolve("v0.5") == path
    assert store.status("v0.5").origin == "by hand"
