"""``lingbot-live bench``: how fast LingBot-Depth runs here, and whether it runs right."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.errors import ConfigError
from lingbot_live.system.writing import write_text

if TYPE_CHECKING:
    from lingbot_live.model.gpu_bench import Timing

HEADINGS = ("tokens", "+depth", "upload", "prepare", "encoder", "decoder", "download", "frame ms",
            "fps", "of peak")  # fmt: skip


@dataclass(slots=True)
class Told:
    """What was measured, for programs."""

    device: str
    precision: str
    model: str
    peak_flop_s: float
    timings: list[Timing] = field(default_factory=list)
    checks: dict[str, str] = field(default_factory=dict)


def bench(
    gpu: Annotated[bool, typer.Option("--gpu", help="On the CUDA device.")] = False,
    cpu: Annotated[bool, typer.Option("--cpu", help="On the CPU, at few tokens.")] = False,
    model: Annotated[
        str | None, typer.Option(help="NAME or path; made-up weights where none is here.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="fp16, bf16 or fp32.")] = None,
    tokens: Annotated[
        list[int] | None, typer.Option(min=1, help="Instead of the usual counts; repeatable.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Median of so many.")] = 20,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Also into this file, for programs.")
    ] = None,
) -> None:
    """Measure LingBot-Depth on this machine: each stage, frames a second, share of the peak."""
    if gpu == cpu:
        raise ConfigError("bench: say either --gpu or --cpu")
    from lingbot_live.config import RefinerConfig
    from lingbot_live.model import gpu_bench
    from lingbot_live.model.device import has_cuda, pick_device
    from lingbot_live.model.precision import Precision

    if gpu and not has_cuda():
        raise ConfigError(
            "bench --gpu: this torch finds no CUDA device (lingbot-live doctor says why); "
            "--cpu measures the same on the CPU"
        )
    asked = RefinerConfig(precision=precision or "auto").precision
    device = pick_device("cuda" if gpu else "cpu")
    chosen = device.precision if asked == "auto" else Precision(asked)
    engine, title = gpu_bench.engine_for(model, device, chosen)
    peak = gpu_bench.matmul_rate(device, chosen)
    print(f"{device.label}, {chosen.value}, {title}")
    print(f"peak of torch.matmul: {peak / 1e12:.3g} TFLOP/s")
    print("".join(f"{heading:>10}" for heading in HEADINGS))
    told = Told(device.label, chosen.value, title, peak)
    for count in tokens or (gpu_bench.GPU_TOKENS if gpu else gpu_bench.CPU_TOKENS):
        timing = gpu_bench.timing(engine, count, peak, rounds)
        told.timings.append(timing)
        print(_row(timing), flush=True)
    for what, found in gpu_bench.checks(engine):
        told.checks[what] = found
        print(f"{what}: {found}")
    if as_json is not None:
        write_text(as_json, json.dumps(asdict(told), indent=1) + "\n")


def _row(found: Timing) -> str:
    stages = (
        found.upload_ms, found.prepare_ms, found.encoder_ms, found.decoder_ms, found.download_ms,
        found.frame_ms,
    )  # fmt: skip
    times = "".join(f"{ms:>10.2f}" for ms in stages)
    rate = f"{1e3 / found.frame_ms:>10.1f}{found.peak_share:>10.0%}"
    return f"{found.tokens:>10}{found.kept:>10}{times}{rate}"
