"""The command line within this process, and code in a Python of its own."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from lingbot_live.cli.main import obey


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Do as ``lingbot-live ARGUMENTS`` does."""
    words = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["lingbot-live", *words]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = obey(words)
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def in_new_python(code: str) -> str:
    """Run code that fails by an exception in a new Python; returns what it wrote."""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout
