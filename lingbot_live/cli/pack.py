"""``lingbot-live pack``: a session of an earlier version, smaller, compared before it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lingbot_live.cli.options import progress_bar
from lingbot_live.system.outputs import check_apart


def pack(
    file: Annotated[Path, typer.Argument(metavar="SESSION", help="As lingbot-live recorded it.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new, smaller file.")],
    round_refined: Annotated[
        bool,
        typer.Option("--round-refined", help="Refined depth to 16 bit too, as recorded today."),
    ] = False,
) -> None:
    """Pack a session smaller into a new file, after every frame of both was compared."""
    from lingbot_live.recording.packing import pack_file

    check_apart(output, [file])
    try:
        with progress_bar("comparing") as on_progress:
            report = pack_file(file.expanduser(), output.expanduser(), round_refined, on_progress)
    except KeyboardInterrupt:
        typer.echo(f"{output}: stopped; nothing was written", err=True)
        raise typer.Exit(130) from None
    before, after = report.bytes_before / 1e6, report.bytes_after / 1e6
    rounded = f", refined depth within {report.most_rounded_m * 1000:.3f} mm" * round_refined
    print(
        f"{output}: {report.frames} frames and {report.refined} refined, all compared and equal"
        f"{rounded}; {before:.1f} MB became {after:.1f} MB"
    )
