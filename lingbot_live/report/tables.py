"""Tables of a report: the main one, one per camera, the conditions, and what the numbers mean."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lingbot_live import __version__
from lingbot_live.cameras.controls import ControlValue
from lingbot_live.quality.comparison import SensorRun, StreamResult
from lingbot_live.quality.comparison_frames import ComparisonSettings
from lingbot_live.quality.metric import CHANGE, IMAGE, METRICS, REFERENCE, TEMPORAL, Metric
from lingbot_live.system.words import duration

_MAIN = (
    "fill_share", "rmse_all_m", "rmse_m", "delta_105_all", "flying_share",
    "temporal_noise_mm", "flicker_mm", "plane_rms_mm", "kept_share", "changed_share",
    "filled_share", "refine_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; ``kind`` is a class of the page's style: "words", "best", or none."""

    text: str
    kind: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; with ``begins`` it is set apart from the one above."""

    cells: list[Cell]
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report; the first ``left`` heads stand left."""

    heads: list[str]
    rows: list[Row]
    left: int = 0


def results(runs: Sequence[SensorRun]) -> Table:
    """Return the table of the most telling numbers, a row per camera and refiner."""
    streams = [stream for run in runs for stream in run.streams]
    metrics = [METRICS[key] for key in _MAIN if _known(key, streams)]
    rows = [
        Row(
            [
                Cell(run.title if number == 0 else ""),
                Cell(stream.label, "words"),
                *(_cell(metric, stream, run.streams) for metric in metrics),
            ],
            begins=number == 0,
        )
        for run in runs
        for number, stream in enumerate(run.streams)
    ]
    return Table(["Camera", "Depth", *map(_head, metrics)], rows, left=2)


def camera(run: SensorRun) -> Table:
    """Return all numbers of one camera, a column per stream."""
    rows = [
        Row(
            [
                Cell(metric.title, unit=metric.unit),
                *(_cell(metric, stream, run.streams) for stream in run.streams),
            ]
        )
        for metric in (*IMAGE, *TEMPORAL, *REFERENCE, *CHANGE)
        if _known(metric.key, run.streams)
    ]
    return Table(["", *(stream.label for stream in run.streams)], rows)


def conditions(runs: Sequence[SensorRun], settings: ComparisonSettings, date: str) -> Table:
    """Return what was measured with which settings, in words."""
    rows = [(run.title, _camera_words(run)) for run in runs]
    rows += [(f"{run.title}: settings", _settings(run)) for run in runs if run.controls]
    rows += [(f"refiner {label}", words) for label, words in _refiners(runs).items()]
    rate = f"{settings.rate_hz:g} frames a second" if settings.rate_hz else "every frame"
    rows.append((
        "measured",
        f"{rate} of {settings.duration_s:g} s of each camera, one camera after another; "
        f"{_region(settings)}whole-image numbers from every second pixel in both directions; true "
        f"distance {'not given' if settings.distance_m is None else f'{settings.distance_m:g} m'}; "
        f"reference {settings.reference or 'none'}",
    ))  # fmt: skip
    rows.append((
        "program",
        f"lingbot-live {__version__}, Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}, {date}",
    ))  # fmt: skip
    return Table(["", ""], [Row([Cell(name), Cell(text, "words")]) for name, text in rows])


def meanings(runs: Sequence[SensorRun]) -> list[tuple[str, str]]:
    """Return the metrics that the report holds, and what each means."""
    streams = [stream for run in runs for stream in run.streams]
    known = (m for m in METRICS.values() if m.meaning and _known(m.key, streams))
    return [(_head(metric), metric.meaning) for metric in known]


def _refiners(runs: Sequence[SensorRun]) -> dict[str, str]:
    seen: dict[str, str] = {}
    for stream in (stream for run in runs for stream in run.streams):
        if stream.refiner is not None:
            info = stream.refiner
            precision = f", {info.precision}" if info.tokens is None else ""  # named with it
            seen[stream.label] = f"{info}{precision}. {info.note}".strip()
    return seen


def _camera_words(run: SensorRun) -> str:
    frame, info = run.picture, run.info
    calibration = frame.calibration
    k = frame.intrinsics
    parts = [
        info.name,
        "" if run.title == run.address else run.address,
        "simulated" if info.is_simulated else "recording" if info.is_recording else "live",
        f"serial {info.serial}" if info.serial else "",
        *(f"{key} {value}" for key, value in info.details.items()),
        f"{k.width}x{k.height}, fx {k.fx:.1f} px",
        f"depth unit {1000 * frame.depth_scale_m:g} mm",
        "" if calibration.baseline_m is None else f"baseline {1000 * calibration.baseline_m:g} mm",
        f"aligned by {frame.alignment.value}",
        f"region {run.roi}",
        f"{run.frames_measured} of {run.frames_read} frames measured, {duration(run.span_s, 1)}",
        *(f"missed ({cause}) {count}" for cause, count in run.missed.items()),
    ]
    return ", ".join(part for part in parts if part)


def _region(settings: ComparisonSettings) -> str:
    if settings.rig is None:
        return ""
    return "region and reference carried over by the cameras' known positions; "


def _settings(run: SensorRun) -> str:
    return ", ".join(f"{c.name} {_value(c.value)} {c.unit}".strip() for c in run.controls)


def _value(value: ControlValue) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _known(key: str, streams: Iterable[StreamResult]) -> bool:
    return any(math.isfinite(stream.numbers.get(key, math.nan)) for stream in streams)


def _cell(metric: Metric, stream: StreamResult, streams: Sequence[StreamResult]) -> Cell:
    value = stream.numbers.get(metric.key)
    if value is None:
        return Cell("")
    scores = [metric.better * s.numbers.get(metric.key, math.nan) for s in streams]
    scores = [score for score in scores if math.isfinite(score)]
    wins = metric.better != 0 and len(scores) > 1 and metric.better * value == max(scores)
    return Cell(metric.shown(value), "best" if wins else "")


def _head(metric: Metric) -> str:
    return metric.title + (f" [{metric.unit}]" if metric.unit else "")
