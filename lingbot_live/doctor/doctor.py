"""What the app finds on this system and how to mend it: one small function per check.

Whatever may crash, hold or weigh much (SDKs, torch, Open3D, Qt) is tried in a child process, so
that the doctor itself always answers, within about 25 s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

_TITLES = {"sdk": "SDK", "opengl": "OpenGL"}
LIMIT_S = 20.0  # a child that has not answered by then is stopped


class Status(str, Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # the app runs, but not all of it
    FAIL = "fail"  # the app or something installed does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: what was looked at, what was found, what to do."""

    name: str
    status: Status
    found: str
    fix: str = ""


Check = Callable[[], list[Finding]]


def ok(name: str, found: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(name, Status.OK, found)


def warn(name: str, found: str, fix: str) -> Finding:
    """Return a finding that limits the app."""
    return Finding(name, Status.WARN, found, fix)


def fail(name: str, found: str, fix: str) -> Finding:
    """Return a finding that keeps something from working."""
    return Finding(name, Status.FAIL, found, fix)


def slow(name: str, error: ChildSlowError) -> Finding:
    """Return the finding of a check that a busy machine kept from its end."""
    return warn(name, str(error), "wait until the machine is idle and try again")


class ChildError(Exception):
    """A child process died or held; its text says how."""


class ChildSlowError(Exception):
    """A child process did not answer in time; that may be the machine's load alone."""


def ask_child(code: str, limit_s: float = LIMIT_S, **environment: str) -> Any:
    """Run Python code in a process of its own; return the JSON on its last line of output.

    Raises:
        ChildError: it died; the text is the last line that it wrote to stderr.
        ChildSlowError: it was still busy at the limit.
    """
    # Its own folder, to work and for temporary files: SDKs leave logs there, also when the child is
    # killed, and `import` would look there first.
    with tempfile.TemporaryDirectory(prefix="lingbot-live-", ignore_cleanup_errors=True) as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-c", code],
                cwd=folder,
                env={**os.environ, "TMPDIR": folder, **environment},
                timeout=limit_s,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ChildSlowError(f"no answer within {limit_s:g} s") from None
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    raise ChildError(_last_words(done))


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    if done.returncode < 0:
        return f"crashed with signal {-done.returncode}"
    return lines[-1].strip()[:300] if lines else f"ended with status {done.returncode}"


def examine(checks: list[Check]) -> list[Finding]:
    """Run all checks at once and return their findings in the order of the checks."""
    # All at once: a child that holds until its limit delays nothing but its own line.
    with ThreadPoolExecutor(max(1, len(checks)), thread_name_prefix="doctor") as pool:
        return [finding for part in pool.map(_guarded, checks) for finding in part]


def _guarded(check: Check) -> list[Finding]:
    try:
        return check()
    except ChildSlowError as error:
        return [slow(_name(check), error)]
    except Exception as error:  # noqa: BLE001 - delivered as a finding: one check ends, not all
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return [fail(_name(check), f"the check itself failed: {text}", "report this line")]


def _name(check: Check) -> str:
    function = check.func if isinstance(check, partial) else check
    about = f" {check.args[-1]}" if isinstance(check, partial) else ""
    name = function.__name__.removeprefix("check_")
    return _TITLES.get(name, name.replace("_", " ")) + about


def worst(findings: list[Finding]) -> Status:
    """Return the worst status of all."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)
