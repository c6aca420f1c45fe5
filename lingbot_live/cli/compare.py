"""The commands that measure: ``measure``, ``compare`` and ``eval``."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.clustered import CpusOption, GpusOption, RayOption, gather
from lingbot_live.cli.damage import end_with_damage
from lingbot_live.cli.options import RigOption, SizeOption, parse_size, progress_bar
from lingbot_live.errors import ConfigError
from lingbot_live.system.cluster import Cluster
from lingbot_live.system.signals import stoppable

if TYPE_CHECKING:
    from lingbot_live.config import CameraConfig
    from lingbot_live.quality.comparison import SensorRun
    from lingbot_live.quality.comparison_frames import ComparisonSettings
    from lingbot_live.quality.evaluation import EvalRow
    from lingbot_live.quality.measures import Numbers

Refiners = Annotated[
    list[str] | None, typer.Option("--refiner", help="none, guided, NAME[:MODEL]; may be repeated.")
]
RoiOption = Annotated[
    str, typer.Option("--roi", help="Region: 40% (centred) or x,y,w,h in pixels.")
]
DistanceOption = Annotated[
    float | None, typer.Option("--distance", min=0.01, help="True distance to the target, metres.")
]
ReferenceOption = Annotated[
    str | None, typer.Option("--reference", help="truth (simulated cameras) or an address.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="For spreadsheets.")]


def measure(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A camera or a recording.")],
    frames: Annotated[int, typer.Option(min=1, help="How many frames to measure.")] = 40,
    roi: RoiOption = "40%",
    distance: DistanceOption = None,
    reference: ReferenceOption = None,
    refiner: Refiners = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    size: SizeOption = None,
) -> None:
    """Measure depth quality of one camera or recording, raw and refined."""
    from lingbot_live.quality.comparison import measure_camera
    from lingbot_live.quality.comparison_frames import ComparisonSettings
    from lingbot_live.roi import Roi

    settings = ComparisonSettings(
        duration_s=math.inf,
        rate_hz=0.0,
        most_frames=frames,
        roi=Roi.parse(roi),
        distance_m=distance,
        rs_compatible=True,
        reference=reference,
        camera=_camera_config(size),
    )
    with stoppable() as stop, progress_bar(f"{address}: frames measured") as show:
        run = measure_camera(address, refiner or ["none"], settings, show, stop=stop)
    columns = {stream.label: dict(stream.numbers) for stream in run.streams}
    columns["raw"] |= run.rs_compatible
    if as_json:
        _print_json(_measured(run, columns))
    elif as_csv:
        keys = dict.fromkeys(key for numbers in columns.values() for key in numbers)
        rows = [[key, *(_plain(n.get(key)) for n in columns.values())] for key in keys]
        _print_csv([["metric", *columns], *rows])
    else:
        _print_measured(run, columns, settings)
    end_with_damage([address, reference or ""], run.missed)


def compare(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Cameras.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the report.")],
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds of each camera.")] = 10.0,
    rate: Annotated[float, typer.Option(min=0.0, help="Measured frames a second; 0 = all.")] = 10.0,
    reference: ReferenceOption = None,
    refiner: Refiners = None,
    roi: RoiOption = "40%",
    distance: DistanceOption = None,
    rig: RigOption = None,
    clock_offset: Annotated[
        bool, typer.Option("--clock-offset", help="Pair by the clocks' offset that the rig knows.")
    ] = False,
    size: SizeOption = None,
    ray: RayOption = None,
    ray_cpus: CpusOption = 1.0,
    ray_gpus: GpusOption = 0.0,
) -> None:
    """Compare cameras and refiners; writes report.html, metrics.csv and metrics.json.

    Ctrl-C ends the measuring; the report is of what was measured until then.
    """
    from lingbot_live.calibration.rig import Rig
    from lingbot_live.cameras import registry
    from lingbot_live.quality.comparison_frames import ComparisonSettings
    from lingbot_live.report import check_report_place, write_report
    from lingbot_live.roi import Roi

    settings = ComparisonSettings(
        duration_s=duration,
        rate_hz=rate,
        roi=Roi.parse(roi),
        distance_m=distance,
        reference=reference,
        camera=_camera_config(size),
        rig=Rig.load(rig) if rig else None,
        clock_offset=clock_offset,
    )
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output}: it is a file; name a folder")
    check_report_place(output, registry.files_of([*addresses, reference or ""]))
    cluster = None if ray is None else Cluster(ray, ray_cpus, ray_gpus)
    runs = _run_all(addresses, refiner or ["none", "guided"], settings, cluster)
    paths = write_report(output, runs, settings)
    print(paths[0])
    missed: Counter[str] = Counter()
    for run in runs:
        missed.update(run.missed)
    end_with_damage([*addresses, reference or ""], missed)


def evaluate(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder of RGB-D examples.")],
    refiner: Refiners = None,
    protocol: Annotated[
        str, typer.Option(help="blocks, sparse, both, objects, glass (with mask.png), or all.")
    ] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="Masks per example.")] = 3,
    max_depth: Annotated[
        float, typer.Option(min=0.1, help="Raw depth beyond, in metres, counts as not measured.")
    ] = 20.0,
    frames: Annotated[int, typer.Option(min=1, help="At most so many examples.")] = 100,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    ray: RayOption = None,
    ray_cpus: CpusOption = 1.0,
    ray_gpus: GpusOption = 0.0,
) -> None:
    """Hide part of the depth of RGB-D examples, fill it again, and compare: a table of errors."""
    from lingbot_live.cameras import registry
    from lingbot_live.quality import evaluation
    from lingbot_live.quality.evaluation import EvalSettings
    from lingbot_live.refiners.baselines import BASELINES

    several = {"both": tuple(evaluation.PROTOCOLS), "all": EvalSettings().protocols}
    settings = EvalSettings(several.get(protocol, (protocol,)), seeds, max_depth, frames)
    names = refiner or [*BASELINES, "guided"]
    for name in names:
        evaluation.create(name).close()
    examples, missed = evaluation.examples(folder, settings)
    masks = evaluation.read_masks(folder, examples)
    if ray is None:
        with progress_bar("pictures refined") as show:
            rows = list(evaluation.evaluate(examples, names, settings, show, masks))
    else:
        todo = evaluation.trials(examples, names, settings, masks)
        trier = evaluation.Trier(registry.absolute(folder), settings)
        found = gather(todo, trier, Cluster(ray, ray_cpus, ray_gpus), "refining examples")
        if len(found) < len(todo):
            raise KeyboardInterrupt
        rows = list(evaluation.rows_of(todo, map(found.__getitem__, todo)))
    if not rows:
        raise ConfigError(f"eval {folder}: {protocol} needs a mask.png beside the images")
    if as_json:
        _print_json([_row(row) for row in rows])
    elif as_csv:
        flat = [_flat(row) for row in rows]
        _print_csv([list(flat[0]), *(list(row.values()) for row in flat)])
    else:
        _print_eval(rows, len(examples), settings.seeds)
    end_with_damage([folder], missed)


def _run_all(
    addresses: list[str],
    refiners: list[str],
    settings: ComparisonSettings,
    cluster: Cluster | None,
) -> list[SensorRun]:
    from lingbot_live.cameras import registry
    from lingbot_live.config import RefinerConfig

    # A slip in the last address must not show after minutes of work on the first.
    addresses = [member for address in addresses for member in _members(address)]
    for text in refiners:
        registry.check_refiner_name(RefinerConfig.parse(text).name)
    if cluster is None:
        runs = _in_turn(addresses, refiners, settings)
    else:
        runs = _on_ray(addresses, refiners, settings, cluster)
    if not runs:
        raise KeyboardInterrupt
    return runs


def _in_turn(
    addresses: list[str], refiners: list[str], settings: ComparisonSettings
) -> list[SensorRun]:
    from lingbot_live.quality.comparison import measure_camera

    runs: list[SensorRun] = []
    with stoppable() as stop:
        for address in addresses:
            if stop.is_set():
                print(f"{address}: not measured", file=sys.stderr)
                continue
            first = runs[0] if runs else None
            try:
                with progress_bar(f"{address}: frames measured") as show:
                    runs.append(measure_camera(address, refiners, settings, show, first, stop))
            except KeyboardInterrupt:
                print(f"{address}: not measured", file=sys.stderr)
    return runs


def _on_ray(
    addresses: list[str], refiners: list[str], settings: ComparisonSettings, cluster: Cluster
) -> list[SensorRun]:
    """Measure recordings on a cluster; with a rig the first goes first, as others look there."""
    from lingbot_live.cameras import registry
    from lingbot_live.quality.comparison import Measurer
    from lingbot_live.quality.comparison_frames import TRUTH

    for address in addresses:
        info = registry.find_camera(address)
        if not (info.is_recording or info.is_simulated):
            raise ConfigError(
                f"compare --ray: {address} is attached to this machine alone; record it first"
            )
    known = list(map(registry.absolute, addresses))
    if settings.reference not in (None, TRUTH):
        settings = replace(settings, reference=registry.absolute(settings.reference))
    first: SensorRun | None = None
    runs: dict[str, SensorRun] = {}
    if settings.rig is not None:
        runs = gather(known[:1], Measurer(refiners, settings), cluster, "comparing")
        first = runs.get(known[0])
    if settings.rig is None or first is not None:
        rest = list(dict.fromkeys(address for address in known if address not in runs))
        runs |= gather(rest, Measurer(refiners, settings, first), cluster, "comparing")
    for address, place in zip(addresses, known, strict=True):
        if place not in runs:
            print(f"{address}: not measured", file=sys.stderr)
    return [
        replace(runs[place], address=address)
        for address, place in zip(addresses, known, strict=True)
        if place in runs
    ]


def _members(address: str) -> list[str]:
    """Return the addresses of all cameras in a session file; any other address as it is."""
    from lingbot_live.cameras import registry

    members = registry.members(address)
    if not members:
        registry.find_camera(address)
    return [info.address for info in members] or [address]


def _print_measured(
    run: SensorRun, columns: dict[str, Numbers], settings: ComparisonSettings
) -> None:
    from lingbot_live.quality.metric import METRICS, RS_COMPATIBLE
    from lingbot_live.report.words import missing

    count = "1 frame" if run.frames_measured == 1 else f"{run.frames_measured} frames"
    print(f"{run.title}, {run.info.name}: {count}, region {settings.roi}")
    shown = [
        m
        for m in METRICS.values()
        if any(_plain(numbers.get(m.key)) is not None for numbers in columns.values())
    ]
    rows = [[m.title, m.unit, *(m.shown(n.get(m.key)) for n in columns.values())] for m in shown]
    _print_table(["", "", *columns], rows)
    if any(m in RS_COMPATIBLE for m in shown):
        print("(RealSense) = as Intel's depth-quality-tool computes it, from raw depth.")
    for line in missing([run], settings):
        print(line)
    for stream in run.streams:
        for warning in stream.warnings:
            print(f"warning: {stream.label}: {warning}")


def _print_eval(rows: list[EvalRow], examples: int, seeds: int) -> None:
    print(f"{examples} examples, {seeds} mask(s) each; errors on hidden pixels")
    print("(glass: in the mask, reference: on all). /nearest: geometric mean over examples.")
    nearest = {row.protocol: row for row in rows if row.refiner.name == "nearest"}
    telea = {row.protocol: row.numbers["absrel_all"] for row in rows if row.refiner.name == "telea"}
    table = []
    for row in rows:
        n = row.numbers
        by = n["absrel_all"] / telea[row.protocol] if row.protocol in telea else math.nan
        mean = row.over(nearest[row.protocol]) if row.protocol in nearest else math.nan
        table.append([
            row.protocol, str(row.refiner), f"{n['absrel_all']:.4f}", _ratio(mean), _ratio(by),
            f"{n['rmse_all_m']:.4f}", *(f"{n[f'delta_{t}_all']:.3f}" for t in (125, 110, 105, 103)),
            f"{100 * n['coverage_share']:.1f}", f"{n['refine_ms']:.0f}",
        ])  # fmt: skip
    heads = ["protocol", "refiner", "REL", "/nearest", "/telea", "RMSE m"]
    heads += ["<1.25", "<1.10", "<1.05", "<1.03", "fill %", "ms"]
    _print_table(heads, sorted(table, key=lambda r: r[0]))
    print("\nREL of each example")
    _print_examples(rows)


def _print_examples(rows: list[EvalRow]) -> None:
    names = list(dict.fromkeys(str(row.refiner) for row in rows))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        for example, value in row.by_example.items():
            cells.setdefault((row.protocol, example), {})[str(row.refiner)] = f"{value:.4f}"
    table = [[*key, *(found.get(name, "-") for name in names)] for key, found in cells.items()]
    _print_table(["protocol", "example", *names], sorted(table, key=lambda r: r[0]))


def _ratio(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _print_table(heads: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        print("  ".join([*left, *right]).rstrip())


def _print_json(data: object) -> None:
    import json

    print(json.dumps(data, indent=2, allow_nan=False))


def _print_csv(rows: Sequence[Sequence[object]]) -> None:
    import csv

    from lingbot_live.report.sheet import safe_row

    csv.writer(sys.stdout).writerows(map(safe_row, rows))


def _plain(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _measured(run: SensorRun, columns: dict[str, Numbers]) -> dict[str, object]:
    return {
        "address": run.address,
        "name": run.info.name,
        "serial": run.info.serial,
        "frames": run.frames_measured,
        "refiners": {s.label: str(s.refiner) for s in run.streams if s.refiner},
        "metrics": {
            label: {key: _plain(value) for key, value in numbers.items()}
            for label, numbers in columns.items()
        },
        "warnings": {s.label: s.warnings for s in run.streams if s.warnings},
    }


def _row(row: EvalRow) -> dict[str, object]:
    return {
        "refiner": str(row.refiner),
        "protocol": row.protocol,
        "metrics": {key: _plain(value) for key, value in row.numbers.items()},
        "absrel_by_example": {key: _plain(value) for key, value in row.by_example.items()},
    }


def _flat(row: EvalRow) -> dict[str, object]:
    numbers = {key: _plain(value) for key, value in row.numbers.items()}
    return {"refiner": str(row.refiner), "protocol": row.protocol, **numbers}


def _camera_config(size: str | None) -> CameraConfig:
    from lingbot_live.config import CameraConfig

    return CameraConfig(*parse_size(size))
