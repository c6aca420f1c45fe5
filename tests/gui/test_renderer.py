"""A GPU draws what the processor draws; where none is, or it fails, the processor does."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QSurfaceFormat

from lingbot_live.system.graphics import OpenGl
from ui.shell import renderer
from ui.shell.renderer import Renderer

PICTURES = ("picture", "depth", "grey", "changes", "wipe")


@pytest.fixture(scope="module")
def told(x_display):
    """What a process with a real window saw, with Mesa in the GPU's place."""
    environment = {**os.environ, "DISPLAY": x_display, "QT_QPA_PLATFORM": "xcb"}
    script = Path(__file__).with_name("both_renderers.py")
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    if found["hindrance"]:
        pytest.skip(found["hindrance"])
    assert "QOpenGLTexture" not in done.stderr, done.stderr
    return found


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("zoom", ["whole", "double", "shrunk"])
def test_a_gpu_draws_what_the_processor_draws(told, zoom, name):
    most, over_one, uneven = told[f"{zoom} {name}"]
    assert uneven > 10, "an empty pane"
    assert most <= 1 or over_one < 2e-3, "colours differ"  # a cross-hair's end, two roundings


@pytest.mark.parametrize("name", PICTURES)
def test_magnified_pixels_keep_their_edges(told, name):
    _, over_one, _ = told[f"odd {name}"]
    assert over_one < 0.01  # where an edge falls on the middle of a pixel of the screen


def test_a_gpu_that_fails_leaves_it_to_the_processor(told):
    failed = told["failed"]
    assert len(failed["said"]) == 1, failed
    assert "the processor goes on" in failed["said"][0]
    assert not failed["is_gpu"]
    assert failed["apart"][0] == 0


@pytest.mark.parametrize(
    ("found", "asked", "is_gpu"),
    [
        (OpenGl("NVIDIA RTX A2000", (4, 6)), "auto", True),
        (OpenGl("NVIDIA RTX A2000", (4, 6)), "software", False),
        (OpenGl("NVIDIA 8600 GT", (3, 2)), "gpu", False),
        (OpenGl("llvmpipe (LLVM 15.0.6, 256 bits)", (4, 5)), "auto", False),
        (OpenGl("llvmpipe (LLVM 15.0.6, 256 bits)", (4, 5)), "gpu", True),
        (OpenGl("Google SwiftShader", (4, 5)), "auto", False),
        (None, "auto", False),
        (None, "gpu", False),
    ],
)
def test_a_gpu_is_taken_where_it_is_one(monkeypatch, found, asked, is_gpu):
    formats = []
    monkeypatch.setattr(renderer, "window_opengl", lambda: found)
    monkeypatch.setattr(QSurfaceFormat, "setDefaultFormat", formats.append)
    chosen = Renderer()
    hindrance = chosen.choose(asked)
    assert chosen.is_gpu == is_gpu
    assert len(formats) == is_gpu
    assert chosen.name == (found.renderer if is_gpu else "")
    assert bool(hindrance) == (asked == "gpu" and not is_gpu)


def test_giving_up_is_said_once(caplog):
    said, chosen = [], Renderer()
    chosen.gaveUp.connect(said.append)
    chosen.is_gpu = True
    with caplog.at_level(logging.WARNING):
        chosen.give_up("it is on fire")
        chosen.give_up("it is still on fire")
    assert len(said) == len(caplog.records) == 1
    assert "it is on fire" in said[0]
