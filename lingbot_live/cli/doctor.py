"""``lingbot-live doctor``: what works here, and how to mend what does not."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.errors import ConfigError

if TYPE_CHECKING:
    from lingbot_live.doctor.doctor import Finding


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    folder: Annotated[Path, typer.Option("--folder", help="Where recordings will go.")] = Path(),
) -> None:
    """Check this system: SDKs, libraries, USB, OpenGL, display, GPU, disk, weights.

    Exit status 0 if nothing failed, 1 otherwise.
    """
    from lingbot_live.doctor.checks import all_checks
    from lingbot_live.doctor.doctor import Status, examine, worst

    place = folder.expanduser().absolute()
    if not place.is_dir():
        raise ConfigError(f"--folder {folder}: there is no such folder; make it first")
    findings = examine(all_checks(place))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    raise typer.Exit(int(worst(findings) is Status.FAIL))


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{finding.status.value:<4}  {finding.name:<{width}}  {finding.found}")
        if finding.fix:
            print(f"{'':4}  {'':<{width}}  fix: {finding.fix}")
    counts = dict.fromkeys(("ok", "warn", "fail"), 0)
    for finding in findings:
        counts[finding.status.value] += 1
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
