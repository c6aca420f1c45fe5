"""``lingbot-live attention``: which colours the network looked at for the depth of a place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.options import (
    DeviceOption,
    LevelOption,
    RefinerOption,
    TokensOption,
    numbered_frame,
    parse_pixels,
    refiner_config,
)
from lingbot_live.errors import ConfigError
from lingbot_live.system.outputs import check_replaceable

if TYPE_CHECKING:
    from lingbot_live.refiners.attended import Attended


def attention(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="An example, a session, a recording, a camera.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="FILE.png to draw, or FILE.npz of all weights.")
    ],
    at: Annotated[list[str], typer.Option("--at", metavar="U,V", help="A pixel; again for more.")],
    frame: Annotated[int, typer.Option("--frame", min=0, help="Which frame.")] = 0,
    layer: Annotated[int | None, typer.Option(help="One block, from 0; else all.")] = None,
    head: Annotated[int | None, typer.Option(help="One head, from 0; else their mean.")] = None,
    rollout: Annotated[
        bool, typer.Option("--rollout", help="Draw attention through all layers at once.")
    ] = False,
    refiner: RefinerOption = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Of LingBot-Depth: a name or a path.")
    ] = None,
    tokens: TokensOption = None,
    level: LevelOption = None,
    device: DeviceOption = None,
) -> None:
    """Draw which colour tokens LingBot-Depth attends to for the depth at given places."""
    from lingbot_live.cameras import registry
    from lingbot_live.perception.attention_figure import figure
    from lingbot_live.system.outputs import marked_png
    from lingbot_live.system.writing import write_bytes

    if output.suffix.lower() not in (".png", ".npz"):
        raise ConfigError(f"{output}: name a FILE.png, or a FILE.npz for the weights themselves")
    if rollout and (layer is not None or head is not None):
        raise ConfigError("attention: --rollout goes through all layers; leave --layer, --head out")
    check_replaceable(output, registry.files_of([source]))
    config = refiner_config(
        refiner or "lingbot", model=model, tokens=tokens, level=level, device=device
    )
    shot = numbered_frame(source, frame)
    pixels = parse_pixels("--at", at, shot)
    engine = registry.create_refiner(config)
    try:
        told = engine.attend(shot, pixels, None if layer is None else [layer])
        if told is None:
            raise ConfigError(
                f"attention: the refiner {engine.info.name} has none; use --refiner lingbot"
            )
        weights = told.rollout if rollout else told.of(layer, head)
        if output.suffix.lower() == ".npz":
            write_bytes(output, _arrays(told))
        elif weights is not None:
            drawn = figure(engine.refine(shot), pixels, weights[: told.asked])
            write_bytes(output, marked_png(drawn))
    finally:
        engine.close()
    print(f"{output}: {_words(told)}")


def _arrays(told: Attended) -> bytes:
    import io
    from dataclasses import fields

    import numpy as np

    from lingbot_live.system.outputs import MARK

    arrays = {f.name: getattr(told, f.name) for f in fields(told)}
    packed = io.BytesIO()
    np.savez(packed, made_by=np.bytes_(MARK), **{k: v for k, v in arrays.items() if v is not None})
    return packed.getvalue()


def _words(told: Attended) -> str:
    rows, columns = told.kept.shape
    heads, holes = told.to_color.shape[1], int(told.masked[: told.asked].sum())
    text = f"{told.asked} queries, {len(told.layers)} layers of {heads} heads, {columns}x{rows}"
    return f"{text} tokens" + (f"; {holes} without depth" if holes else "")
