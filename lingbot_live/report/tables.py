"""Tables of a report: the main one, one per camera, the conditions, and what the numbers mean."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Sequence
from html import escape

from lingbot_live import __version__
from lingbot_live.cameras.controls import ControlValue
from lingbot_live.quality.comparison import SensorRun, StreamResult
from lingbot_live.quality.comparison_frames import ComparisonSettings
from lingbot_live.quality.metric import CHANGE, IMAGE, METRICS, REFERENCE, TEMPORAL, Metric

_MAIN = (
    "fill_share", "rmse_all_m", "rmse_m", "delta_105_all", "flying_share",
    "temporal_noise_mm", "flicker_mm", "plane_rms_mm", "kept_share", "changed_share",
    "filled_share", "refine_ms",
)  # fmt: skip


def results(runs: Sequence[SensorRun]) -> str:
    """Return the table of the most telling numbers, a row per camera and refiner."""
    streams = [stream for run in runs for stream in run.streams]
    metrics = [METRICS[key] for key in _MAIN if _known(key, streams)]
    heads = ["Camera", "Depth", *(_head(metric) for metric in metrics)]
    rows = []
    for run in runs:
        for number, stream in enumerate(run.streams):
            cells = [
                f"<td>{escape(run.title if number == 0 else '')}</td>",
                f'<td class="words">{escape(stream.label)}</td>',
                *(_cell(metric, stream, run.streams) for metric in metrics),
            ]
            kind = ' class="group"' if number == 0 else ""
            rows.append(f"<tr{kind}>{''.join(cells)}</tr>")
    return _table(heads, rows)


def camera(run: SensorRun) -> str:
    """Return all numbers of one camera, a column per stream."""
    heads = ["", *(escape(stream.label) for stream in run.streams)]
    rows = []
    for metric in (*IMAGE, *TEMPORAL, *REFERENCE, *CHANGE):
        if _known(metric.key, run.streams):
            unit = f' <span class="unit">{metric.unit}</span>' if metric.unit else ""
            cells = "".join(_cell(metric, stream, run.streams) for stream in run.streams)
            rows.append(f"<tr><td>{escape(metric.title)}{unit}</td>{cells}</tr>")
    return _table(heads, rows)


def conditions(runs: Sequence[SensorRun], settings: ComparisonSettings, date: str) -> str:
    """Return what was measured with which settings, in words."""
    rows = [(run.title, _camera_words(run)) for run in runs]
    rows += [(f"{run.title}: settings", _settings(run)) for run in runs if run.controls]
    seen: dict[str, str] = {}
    for run in runs:
        for stream in run.streams:
            if stream.refiner is not None:
                info = stream.refiner
                precision = f", {info.precision}" if info.tokens is None else ""  # named with it
                seen[stream.label] = f"{info}{precision}. {info.note}".strip()
    rows += [(f"refiner {label}", words) for label, words in seen.items()]
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
    body = [f'<tr><td>{escape(a)}</td><td class="words">{escape(b)}</td></tr>' for a, b in rows]
    return _table(["", ""], body)


def meanings(runs: Sequence[SensorRun]) -> str:
    """Return a list of the metrics that the report holds, and what each means."""
    streams = [stream for run in runs for stream in run.streams]
    known = (m for m in METRICS.values() if m.meaning and _known(m.key, streams))
    return "".join(f"<dt>{_head(m)}</dt><dd>{escape(m.meaning)}</dd>" for m in known)


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
        f"{run.frames_measured} of {run.frames_read} frames measured, {run.span_s:.1f} s",
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


def _cell(metric: Metric, stream: StreamResult, streams: Sequence[StreamResult]) -> str:
    value = stream.numbers.get(metric.key)
    if value is None:
        return "<td></td>"
    scores = [metric.better * s.numbers.get(metric.key, math.nan) for s in streams]
    scores = [score for score in scores if math.isfinite(score)]
    wins = metric.better != 0 and len(scores) > 1 and metric.better * value == max(scores)
    kind = ' class="best"' if wins else ""
    return f"<td{kind}>{metric.shown(value)}</td>"


def _head(metric: Metric) -> str:
    return escape(metric.title + (f" [{metric.unit}]" if metric.unit else ""))


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    words = ("Camera", "Depth")
    kinds = (' class="left"' if text in words else "" for text in heads)
    head = "".join(f"<th{kind}>{text}</th>" for kind, text in zip(kinds, heads, strict=True))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
