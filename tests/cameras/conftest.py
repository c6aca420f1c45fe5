"""Keeps what drivers remember of files, and what SDKs leave, out of the user's folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache_home(tmp_path_factory):
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture
def in_a_folder_of_its_own(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """One memory of probed files for all tests here, and no test leaves anything where it runs."""
    cache = tmp_path_factory.getbasetemp() / "recordings-cache"
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(cache))
    folder = tmp_path / "working directory"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert [*folder.iterdir()] == [], "the SDK left its log folder"
