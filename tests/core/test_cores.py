"""The cores that OpenCV leaves to a session's other threads."""

from __future__ import annotations

import os
from collections.abc import Iterator

import cv2
import pytest

from lingbot_live.pipeline.session import Session
from lingbot_live.refiners.base import PassthroughRefiner
from lingbot_live.system.cores import share_cores
from tests.scripted import ScriptedCamera


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    share_cores.cache_clear()
    yield
    share_cores.cache_clear()
    cv2.setNumThreads(before)


@pytest.mark.parametrize(("cores", "left"), [(1, 1), (2, 1), (3, 1), (8, 6)])
def test_a_session_leaves_cores_to_capture_and_drawing(
    cores: int, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    cv2.setNumThreads(5)
    with Session([("scripted", lambda: ScriptedCamera([1]))], PassthroughRefiner) as session:
        session.wait()
    assert cv2.getNumThreads() == left
