"""``lingbot-live models``: list, download, verify, path, export, remove."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.plain import plain, terminal

if TYPE_CHECKING:
    from lingbot_live.model.weights import store
    from lingbot_live.model.weights.files import Progress

app = typer.Typer(help="The weights of LingBot-Depth.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(help="Short name (see list), ORG/NAME on Hugging Face, or a path."),
]


class Hub(str, Enum):
    """Where weights are published."""

    huggingface = "huggingface"
    modelscope = "modelscope"


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    """Show a progress bar on a terminal's stderr; nothing where it is not one."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as RichProgress

    console = Console(file=terminal())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(plain(what), total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Show the published models and what is here of them."""
    from lingbot_live.model.weights import store

    found = store.known()
    if as_json:
        import json

        typer.echo(json.dumps([_as_dict(status) for status in found], indent=2))
    else:
        _print_table(found)


def _as_dict(status: store.Status) -> dict[str, object]:
    from lingbot_live.model.weights import store

    entry = store.published(status.name)
    about = asdict(entry) if entry else {"name": status.name, "huggingface": status.name}
    here = {**asdict(status), "path": str(status.path)}
    return {**about, **here, "recommended": status.name == store.RECOMMENDED}


def _print_table(found: list[store.Status]) -> None:
    from rich.console import Console
    from rich.table import Table

    from lingbot_live.model.weights import store
    from lingbot_live.model.weights.files import megabytes

    table = Table(box=None, pad_edge=False)
    for heading in ("NAME", "HERE", "SIZE", "FP16 COPY", "FOR", "FILE"):
        table.add_column(heading, overflow="fold", justify="right" if "SIZE" in heading else "left")
    for status in found:
        entry = store.published(status.name)
        table.add_row(
            status.name,
            f"{status.state} ({status.origin})" if status.origin else status.state,
            megabytes(status.size_bytes) if status.size_bytes else "",
            megabytes(status.half_bytes) if status.half_bytes else "",
            entry.purpose if entry else "",
            str(status.path) if status.state != "absent" else "",
        )
    Console(force_terminal=False).print(table)  # colours are control characters, too
    typer.echo(f"\nKept in {store.cache_folder()}")


@app.command()
def download(
    name: Name,
    hub: Annotated[Hub, typer.Option("--from", help="Where from.")] = Hub.huggingface,
) -> None:
    """Download a model; an interrupted download goes on where it stopped.

    Weights whose checksum is not the published one are refused, unless --any is given.
    """
    from lingbot_live.model.weights import store

    with _bar(name) as progress:
        try:
            found = store.download(name, hub.value, progress=progress)
        except KeyboardInterrupt:
            typer.echo("stopped; run it again to go on from there", err=True)
            raise typer.Exit(130) from None
    typer.echo(found)


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(help="One model; all that are here if left out.")
    ] = None,
) -> None:
    """Compare the checksum of downloaded weights with the hub's."""
    from lingbot_live.model.weights import store

    names = [name] if name else [s.name for s in store.known() if s.state == "present"]
    verdicts = [_verify(each) for each in names]
    if not verdicts:
        typer.echo("no weights are here")
    if any(verdict.ok is False for verdict in verdicts):
        raise typer.Exit(1)


def _verify(name: str) -> store.Verdict:
    from lingbot_live.model.weights import store

    with _bar(name) as progress:
        verdict = store.verify(name, progress=progress)
    if verdict.ok is False:
        advice = f"; run: lingbot-live models remove {name}, then download it again"
        typer.echo(f"{name}: WRONG, {verdict.checksum} (against {verdict.against}){advice}")
    else:
        typer.echo(
            f"{name}: {'ok' if verdict.ok else 'unknown'}, {verdict.checksum} "
            f"(against {verdict.against})"
        )
    return verdict


@app.command()
def path(name: Name = "") -> None:
    """Print where a model's file is; of the recommended one without a name."""
    from lingbot_live.model.weights import store

    typer.echo(store.resolve(name))


@app.command("export")
def export_model(
    name: Name,
    output: Annotated[Path, typer.Option("-o", "--output", help="The new .onnx file.")],
    tokens: Annotated[int, typer.Option(min=1, max=20_000, help="About how many.")] = 1200,
    size: Annotated[
        str, typer.Option(help="WIDTHxHEIGHT of pictures; its aspect counts.")
    ] = "640x480",
    fp16: Annotated[bool, typer.Option("--fp16", help="Half the size; for GPUs.")] = False,
) -> None:
    """Write a model as ONNX, compared with PyTorch before it is kept."""
    from lingbot_live.cli.options import parse_size
    from lingbot_live.errors import ConfigError
    from lingbot_live.model.weights.trusted import trusted
    from lingbot_live.system.outputs import check_replaceable

    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"-o {output}: the name of an ONNX file ends with .onnx")
    width, height = parse_size(size)
    source = trusted(name)
    check_replaceable(output, [source])
    if not output.expanduser().absolute().parent.is_dir():
        raise ConfigError(f"-o {output}: its folder does not exist; make it first")
    from lingbot_live.model.create import import_torch

    import_torch()
    from lingbot_live.model import onnx_export
    from lingbot_live.model.precision import Precision

    precision = Precision.FP16 if fp16 else Precision.FP32
    pixels = (width or 640, height or 480)
    written = onnx_export.export(source, output.expanduser(), tokens, pixels, precision)
    typer.echo(written.path)
    typer.echo(
        f"{written.grid.rows}x{written.grid.columns} tokens, {precision.value}, for pictures of "
        f"{size} and its like; depth differs from PyTorch by {written.difference:.1e}, relative",
        err=True,
    )


@app.command()
def remove(name: Name) -> None:
    """Remove a model that was downloaded, and its fp16 copy; never a file of yours."""
    from lingbot_live.model.weights import store
    from lingbot_live.model.weights.files import megabytes

    before = store.status(name) if store.published(name) else None
    freed = store.remove(name)
    typer.echo(f"{name}: {megabytes(freed)} freed" if freed else f"{name}: nothing was here")
    if before and before.origin == "huggingface cache":
        typer.echo(f"{before.path} belongs to Hugging Face's cache and stays")
