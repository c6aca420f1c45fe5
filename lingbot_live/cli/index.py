"""``lingbot-live index``: a table of all sessions below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lingbot_live.cli.options import progress_bar
from lingbot_live.system.outputs import check_apart


def index(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the sessions lie.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="By default DIR/sessions.parquet.")
    ] = None,
) -> None:
    """Make a table (Parquet) of all sessions below a folder, or bring it up to date."""
    from lingbot_live.recording.catalog import update

    if output is not None:
        check_apart(output, [])
    with progress_bar("reading sessions") as on_progress:
        found = update(folder, output, on_progress)
    for text in found.unreadable:
        typer.echo(text, err=True)
    print(
        f"{found.path}: {found.sessions} sessions in {found.rows} rows; {found.read_anew} read "
        f"anew, {found.gone} gone"
    )
    if found.unreadable:
        raise typer.Exit(1)
