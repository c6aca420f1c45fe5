"""A comparison as one self-contained HTML page, beside the same numbers as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lingbot_live import __version__
from lingbot_live.colormap import DepthRange
from lingbot_live.quality.comparison import (
    DISTANCE_EDGES_M,
    HISTOGRAM_EDGES_M,
    Floats,
    SensorRun,
    growth_exponent,
)
from lingbot_live.quality.comparison_frames import ComparisonSettings
from lingbot_live.report import pictures, tables, words
from lingbot_live.report.sheet import safe_row
from lingbot_live.report.svg import COLORS, Axis, Bars, Series, bar_plot, line_plot
from lingbot_live.system.outputs import check_replaceable, is_ours
from lingbot_live.system.scratch import scratch_folder
from lingbot_live.system.writing import writing

_CENTRES_M = (DISTANCE_EDGES_M[1:] + DISTANCE_EDGES_M[:-1]) / 2
_DASHES = ("", "6 3", "2 3", "8 3 2 3")


REPORT_FILES = ("report.html", "metrics.csv", "metrics.json")


def check_report_place(folder: Path, inputs: Iterable[Path]) -> None:
    """Raise ConfigError where a report would fall on an input or on what this app did not write."""
    for name in REPORT_FILES:
        if name != "metrics.csv" or not is_ours(folder / REPORT_FILES[0]):
            check_replaceable(folder / name, inputs)


def write_report(
    folder: Path, runs: Sequence[SensorRun], settings: ComparisonSettings
) -> tuple[Path, Path, Path]:
    """Write ``report.html``, ``metrics.csv`` and ``metrics.json``; make the folder if needed.

    Raises:
        WriteError: the folder cannot be made or written; a report that was there is as it was.
    """
    runs = [replace(run, address=without_folders(run.address)) for run in runs]
    if settings.reference is not None:
        settings = replace(settings, reference=without_folders(settings.reference))
    titles = [run.title for run in runs]
    for run in runs:
        if titles.count(run.title) > 1:
            run.title = run.address
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    sheet = io.StringIO(newline="")
    _write_csv(csv.writer(sheet), runs)
    names = REPORT_FILES
    contents = {
        names[0]: _page(runs, settings, date),
        names[1]: sheet.getvalue(),
        names[2]: json.dumps(_data(runs, settings, date), indent=2, allow_nan=False) + "\n",
    }
    with writing(folder, kept="no report was written"):
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder / "report") as work:
            for name, text in contents.items():
                # Names of files may hold bytes that are no text.
                (work / name).write_bytes(text.encode(errors="backslashreplace"))
            for name in contents:
                (work / name).replace(folder / name)
    page, table, data = (folder / name for name in names)
    return page, table, data


def without_folders(address: str) -> str:
    """Return an address with a file's name alone: where it lies is no reader's business."""
    scheme, colon, target = address.partition(":")
    if not colon or len(scheme) < 2:  # one letter is a Windows drive
        scheme, colon, target = "", "", address
    path, hash_sign, camera = target.partition("#")
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"{scheme}{colon}{name}{hash_sign}{without_folders(camera) if ':' in camera else camera}"


def _page(runs: Sequence[SensorRun], settings: ComparisonSettings, date: str) -> str:
    pages = Environment(
        loader=PackageLoader("lingbot_live.report", "."), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return pages.get_template("template.html").render(
        title=_title(runs),
        date=f"{date} · lingbot-live {__version__}",
        summary=words.summary(runs, settings),
        warnings=words.warnings(runs),
        results=tables.results(runs),
        rules=words.rules(settings),
        distance=_distance_plots(runs),
        cameras=[_camera(run) for run in runs],
        conditions=tables.conditions(runs, settings, date),
        meanings=tables.meanings(runs),
    )


def _title(runs: Sequence[SensorRun]) -> str:
    if len(runs) == 1:
        return f"Depth of {runs[0].title}"
    return f"{len(runs)} depth cameras compared"


# ---- plots -----------------------------------------------------------------------------------


def _distance_plots(runs: Sequence[SensorRun]) -> list[Markup]:
    """Error and coverage of all sensors over distance, raw; none without a reference."""
    errors, shares = [], []
    for number, run in enumerate(runs):
        rows, color = run.streams[0].by_distance, COLORS[number % len(COLORS)]
        if rows is None or not np.isfinite(rows[0]).any():
            continue
        exponent = growth_exponent(rows)
        grows = f" (grows with distance^{exponent:.1f})" if math.isfinite(exponent) else ""
        errors.append(Series(run.title + grows, _CENTRES_M, 1000 * rows[0], color))
        shares.append(Series(run.title, _CENTRES_M, 100 * rows[1], color))
    if not errors:
        return []
    x, y = _distance_axes([s.y for s in errors])
    guide = Series(
        "slope of distance²", _CENTRES_M, _square_guide(errors[0].y), "#a9b3bc", "4 4", dots=False
    )
    coverage = (Axis(x.label, 0, x.high), Axis("pixels with depth [%]", 0, 100))
    return [
        line_plot([*errors, guide], x, y, "Median raw error over distance"),
        line_plot(shares, *coverage, "Coverage over distance"),
    ]


def _square_guide(errors_mm: Floats) -> Floats:
    """A line of slope 2 that meets the first sensor's error at its middle distance."""
    known = np.flatnonzero(np.isfinite(errors_mm))
    middle = known[len(known) // 2]
    return np.asarray(errors_mm[middle] * (_CENTRES_M / _CENTRES_M[middle]) ** 2)


def _distance_axes(rows_mm: Sequence[Floats]) -> tuple[Axis, Axis]:
    stack = np.stack(rows_mm)
    seen = np.isfinite(stack).any(0)
    x = Axis(
        "distance [m]",
        DISTANCE_EDGES_M[:-1][seen].min() or 0.2,
        DISTANCE_EDGES_M[1:][seen].max(),
        True,
    )
    low, high = float(np.nanmin(stack)), float(np.nanmax(stack))
    return x, Axis("median error [mm]", max(low * 0.7, 0.1), max(high * 1.4, 1.0), True)


@dataclass(frozen=True, slots=True)
class _Camera:
    """One camera's part of the page."""

    title: str
    name: str
    caption: str  # of its pictures
    figures: list[pictures.Figure]
    bars: list[pictures.ColorBar]
    plots: list[Markup]
    numbers: tables.Table


def _camera(run: SensorRun) -> _Camera:
    frame = run.picture
    simulated = " (simulated)" if run.info.is_simulated else ""
    caption = f"Frame {frame.index}" + (f" ({frame.label})" if frame.label else "")
    figures, bars = _pictures(run)
    return _Camera(
        run.title + simulated, run.info.name, caption, figures, bars,
        [*_errors(run), _histogram(run)], tables.camera(run),
    )  # fmt: skip


def _errors(run: SensorRun) -> list[Markup]:
    """Return the plot of error over distance, where a reference is known."""
    known = [(s, 1000 * s.by_distance[0]) for s in run.streams if s.by_distance is not None]
    if not known or not np.isfinite(np.stack([row for _, row in known])).any():
        return []
    x, y = _distance_axes([row for _, row in known])
    series = [
        Series(stream.label, _CENTRES_M, row, COLORS[i % len(COLORS)], _DASHES[i % 4])
        for i, (stream, row) in enumerate(known)
    ]
    return [line_plot(series, x, y, "Median error over distance")]


def _histogram(run: SensorRun) -> Markup:
    heights = np.stack([100 * stream.histogram for stream in run.streams])
    rows = [
        Bars(stream.label, height, COLORS[i % len(COLORS)], _DASHES[i % 4])
        for i, (stream, height) in enumerate(zip(run.streams, heights, strict=True))
    ]
    used = np.flatnonzero(heights.max(0) > 0.05)
    far_m = float(HISTOGRAM_EDGES_M[used[-1] + 1]) if used.size else 5.0
    top = max(float(heights.max()) * 1.1, 1.0)
    return bar_plot(
        HISTOGRAM_EDGES_M,
        rows,
        Axis("depth [m]", 0, far_m),
        Axis("pixels per 0.2 m [%]", 0, top),
        "Range histogram",
    )


# ---- pictures --------------------------------------------------------------------------------


def _pictures(run: SensorRun) -> tuple[list[pictures.Figure], list[pictures.ColorBar]]:
    frame = run.picture
    raw_m, reference_m = frame.depth_m, frame.reference_m
    known = raw_m[raw_m > 0] if reference_m is None else reference_m[reference_m > 0]
    near, far = np.percentile(known, [1, 99]) if known.size else (0.3, 4.0)
    scale = DepthRange(float(near), max(float(far), float(near) + 0.1))
    shown = [pictures.image(frame.color, "colour")]
    if reference_m is not None:
        shown.append(pictures.depth(reference_m, scale, "reference depth"))
    bars = [pictures.depth_bar(scale)]
    depths = [(s.label, s.picture_m) for s in run.streams if s.picture_m is not None]
    shown += [pictures.depth(depth_m, scale, f"{label} depth") for label, depth_m in depths]
    if reference_m is not None:
        both = (raw_m > 0) & (reference_m > 0)
        limit_m = pictures.error_limit_m(raw_m[both] - reference_m[both])
        bars.append(pictures.error_bar(limit_m))
        shown += [
            pictures.error(depth_m, reference_m, limit_m, f"{label}: error")
            for label, depth_m in depths
        ]
    if len(depths) > 1:
        bars.append(pictures.change_key())
        shown += [
            pictures.change(raw_m, depth_m, f"{label}: kept, changed, filled")
            for label, depth_m in depths[1:]
        ]
    return shown, bars


# ---- data ------------------------------------------------------------------------------------


def _plain(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _write_csv(writer: csv._writer, runs: Sequence[SensorRun]) -> None:  # type: ignore[name-defined]
    streams = [(run, stream) for run in runs for stream in run.streams]
    keys = list(dict.fromkeys(key for _, stream in streams for key in stream.numbers))
    writer.writerow(["camera", "depth", "frames", *keys])
    for run, stream in streams:
        values = ["" if (v := _plain(stream.numbers.get(key))) is None else v for key in keys]
        writer.writerow(safe_row([run.address, stream.label, stream.frames, *values]))


def _data(runs: Sequence[SensorRun], settings: ComparisonSettings, date: str) -> dict[str, object]:
    return {
        "app": f"lingbot-live {__version__}",
        "date": date,
        "duration_s": settings.duration_s,
        "rate_hz": settings.rate_hz,
        "roi": str(settings.roi),
        "reference": settings.reference,
        "distance_m": settings.distance_m,
        "distance_edges_m": DISTANCE_EDGES_M.tolist(),
        "cameras": [_run_data(run) for run in runs],
    }


def _run_data(run: SensorRun) -> dict[str, object]:
    frame = run.picture
    return {
        "address": run.address,
        "name": run.info.name,
        "serial": run.info.serial,
        "simulated": run.info.is_simulated,
        "details": run.info.details,
        "width": frame.intrinsics.width,
        "height": frame.intrinsics.height,
        "depth_scale_m": frame.depth_scale_m,
        "baseline_m": frame.calibration.baseline_m,
        "frames_read": run.frames_read,
        "frames_measured": run.frames_measured,
        "span_s": round(run.span_s, 3),
        "missed": run.missed,
        "roi": str(run.roi),
        "settings": {control.name: control.value for control in run.controls},
        "streams": [
            {
                "depth": stream.label,
                "frames": stream.frames,
                "refiner": None if stream.refiner is None else str(stream.refiner),
                "warnings": stream.warnings,
                "metrics": {key: _plain(value) for key, value in stream.numbers.items()},
                "by_distance": _by_distance(stream.by_distance),
            }
            for stream in run.streams
        ],
    }


def _by_distance(rows: Floats | None) -> dict[str, object] | None:
    if rows is None:
        return None
    names = ("median_error_m", "covered_share", "pixels")
    return {name: [_plain(v) for v in row] for name, row in zip(names, rows, strict=True)}
