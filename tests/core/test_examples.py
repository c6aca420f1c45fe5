"""The examples run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ON_SESSIONS = ("read_session", "torch_dataset")  # they read what `record_headless` wrote


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    path = tmp_path_factory.mktemp("examples") / "example.mcap"
    assert "wrote" in run("record_headless", str(path))
    return path


def test_every_example_is_run_here():
    own = {"own_driver", "own_refiner", "record_headless", "live_metrics", *ON_SESSIONS}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == own


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_driver", "captured=30"),
        ("own_refiner", "valid before"),
        ("live_metrics", "fill_share"),
    ],
)
def test_an_example_runs(name, words):
    assert words in run(name)


@pytest.mark.parametrize(
    ("name", "words"), [("read_session", "640x480"), ("torch_dataset", "(4, 3, 480, 640)")]
)
def test_an_example_reads_a_session(session, name, words):
    assert words in run(name, str(session))
