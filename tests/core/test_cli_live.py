"""What is typed into a headless run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_network import save_made

from lingbot_live.cli import typed
from lingbot_live.errors import ConfigError


class Asked:
    """Stands for a session and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def set_tokens(self, tokens: int) -> None:
        self.calls.append(("tokens", tokens))

    def set_level(self, level: int) -> None:
        self.calls.append(("level", level))


def test_whole_lines_are_obeyed(monkeypatch, capsys):
    reader, writer = os.pipe()
    session = Asked()
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with typed.typed_commands(session):
            os.write(writer, b"tokens 6")
            os.write(writer, b"00\nlevel 3\n\nlouder\ntokens")
            os.close(writer)
            while len(session.calls) < 2 or "louder" not in capsys.readouterr().err:
                time.sleep(0.01)
    assert session.calls == [("tokens", 600), ("level", 3)]


@pytest.mark.parametrize("line", ["tokens", "tokens many", "level -1", "faster", "tokens 0"])
def test_what_is_no_command_is_said(line):
    session = Asked()
    with pytest.raises(ConfigError):
        typed.obey(session, line)
    with pytest.raises(ConfigError, match="level 12 must lie in 0 to 9"):
        typed.obey(session, "level 12")
    assert session.calls == []


def test_a_run_computes_coarser_when_told(tmp_path: Path):
    """From the command line down to the network, in a process of its own."""
    model = save_made(tmp_path / "model.pt")
    command = [
        sys.executable, "-m", "lingbot_live", "run", "synthetic:stereo", "--size", "64x48",
        "--headless", "--frames", "40", "--refiner", f"lingbot:{model}", "--tokens", "100",
        "--device", "cpu",
    ]  # fmt: skip
    done = subprocess.run(
        command, input="tokens 48\n", capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["refiner"]["tokens"] == 48
