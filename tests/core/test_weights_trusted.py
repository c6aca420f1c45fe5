"""What goes by a published name is what was published, when it is loaded, too."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lingbot_live.errors import WeightsError
from lingbot_live.model.weights import store
from lingbot_live.model.weights import trusted as weights_trusted
from lingbot_live.model.weights.trusted import trusted

CONTENT = np.random.default_rng(0).bytes(3_000_000)


def test_what_goes_by_a_published_name_is_what_was_published(monkeypatch):
    path = store.model_folder("v0.5") / "model.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    for name in ("v0.5", store.ZOO[0].huggingface, ""):
        with pytest.raises(WeightsError, match=r"model\.pt: its sha256 is .*--any"):
            trusted(name)
    assert trusted(str(path)) == path, "who names a file means it"
    monkeypatch.setenv("LINGBOT_LIVE_ANY_WEIGHTS", "1")
    assert trusted("v0.5") == path
    monkeypatch.delenv("LINGBOT_LIVE_ANY_WEIGHTS")
    known = replace(store.ZOO[0], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr("lingbot_live.model.weights.zoo.ZOO", (known, *store.ZOO[1:]))
    assert trusted("v0.5") == path


def test_weights_are_read_through_once_and_again_when_they_change(monkeypatch):
    path = store.model_folder("v0.5") / "model.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    known = replace(store.ZOO[0], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr("lingbot_live.model.weights.zoo.ZOO", (known, *store.ZOO[1:]))
    read = []
    whole = weights_trusted.hash_file
    monkeypatch.setattr(weights_trusted, "hash_file", lambda *a: (read.append(1), whole(*a)))
    for _ in range(3):
        assert trusted() == path
    assert len(read) == 1
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(WeightsError, match="sha256"):
        trusted()
    next(Path(os.environ["LINGBOT_LIVE_CACHE"], "checked").iterdir()).write_text("[" * 10**5)
    with pytest.raises(WeightsError, match="sha256"):
        trusted()
