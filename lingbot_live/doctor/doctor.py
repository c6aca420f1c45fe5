"""What the app finds on this system and how to mend it: one small function per check.

Whatever may crash, hold or weigh much (SDKs, torch, Open3D, Qt) is tried in a child process, so
that the doctor itself always answers, within about 25 s.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from lingbot_live.system import children
from lingbot_live.system.children import ChildSlowError

_TITLES = {"sdk": "SDK", "opengl": "OpenGL"}
LIMIT_S = 20.0  # a child that has not answered by then is stopped
_ended = threading.Event()  # no check is waited for any more


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


def ask_child(probe: str, *arguments: str, limit_s: float = LIMIT_S, **environment: str) -> Any:
    """Run one of `probes` in a process of its own; return its answer.

    Raises:
        ChildError: it died; the text says how and with which words.
        ChildSlowError: it was still busy at the limit.
    """
    told = children.run(
        "lingbot_live.doctor.probes", probe, *arguments, limit_s=limit_s, cancel=_ended,
        environment=environment,
    )  # fmt: skip
    return json.loads(told.decode("utf-8", "replace").strip().splitlines()[-1])


def examine(checks: list[Check]) -> list[Finding]:
    """Run all checks at once and return their findings in the order of the checks."""
    _ended.clear()
    # All at once: a child that holds until its limit delays nothing but its own line.
    with ThreadPoolExecutor(max(1, len(checks)), thread_name_prefix="doctor") as pool:
        try:
            return [finding for part in pool.map(_guarded, checks) for finding in part]
        except BaseException:
            _ended.set()
            raise


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
