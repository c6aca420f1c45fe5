"""The summary of a report in plain words, made from its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lingbot_live.calibration.rig import Rig
from lingbot_live.quality.comparison import SensorRun, StreamResult, growth_exponent
from lingbot_live.quality.comparison_frames import ComparisonSettings
from lingbot_live.quality.temporal import LEAST_FRAMES


def summary(runs: Sequence[SensorRun], settings: ComparisonSettings) -> list[str]:
    """Return the summary, a sentence or two each."""
    lines = [line for run in runs for line in _of_camera(run)]
    lines += _growth(runs)
    if len(runs) > 1:
        lines += _ranking(runs)
    return lines + missing(runs, settings)


def warnings(runs: Sequence[SensorRun]) -> list[str]:
    """Return what people are to be warned of, with whom it concerns."""
    return [
        f"{run.title}, {stream.label}: {text}"
        for run in runs
        for stream in run.streams
        for text in stream.warnings
    ]


def rules(settings: ComparisonSettings) -> str:
    """Return how the main table is to be read."""
    text = (
        "Bold: the best of a camera's rows, where one way is better. n/a: the number does not "
        "apply or there was too little to measure it. Means over the measured frames."
    )
    if settings.reference is not None:
        text += (
            " “All pixels” counts every pixel that has a reference; one without depth stands as "
            "depth 0, so its error is the whole reference depth. “Valid pixels” leaves holes out, "
            "which flatters sensors that skip what is hard."
        )
    if settings.reference is not None and settings.rig is not None:
        text += (
            " The reference stands elsewhere: its depth was registered into each camera's view by "
            f"a rig{_how_well(settings.rig)}; what that is off counts as error."
        )
    return text


def _how_well(rig: Rig) -> str:
    residuals = [c.residual_px for c in rig.cameras if math.isfinite(c.residual_px)]
    return f" (board residual {max(residuals):.2f} px)" if residuals else ""


def _of_camera(run: SensorRun) -> list[str]:
    raw, *refined = run.streams
    lines = [_of_raw(run.title, raw)]
    for stream in refined:
        n = stream.numbers
        text = (
            f"{run.title} through {stream.label}: {_percent(n['kept_share'])} of pixels kept, "
            f"{_percent(n['changed_share'])} changed, {_percent(n['filled_share'])} filled"
        )
        before, after = raw.numbers.get("rmse_all_m"), n.get("rmse_all_m")
        if before is not None and after is not None:
            word = "lowers" if after < before else "does not lower"
            text += (
                f"; it {word} the RMSE over all pixels ({_mm(before)} to {_mm(after)}); over valid "
                f"pixels {_mm(raw.numbers['rmse_m'])} raw and {_mm(n['rmse_m'])} refined"
            )
        lines.append(text + ".")
    return lines


def _of_raw(address: str, raw: StreamResult) -> str:
    n = raw.numbers
    text = f"{address} gives depth at {_percent(n['fill_share'])} of the pixels"
    if math.isfinite(n["flicker_mm"]):
        text += f", which flickers by {n['flicker_mm']:.1f} mm (median) while nothing moves"
    if math.isfinite(n["plane_rms_mm"]):
        text += (
            f"; the target in the region is flat within {n['plane_rms_mm']:.1f} mm RMS at "
            f"{n['plane_distance_mm'] / 1000:.2f} m"
        )
    return text + "."


def _growth(runs: Sequence[SensorRun]) -> list[str]:
    found = []
    for run in runs:
        raw = run.streams[0]
        exponent = math.nan if raw.by_distance is None else growth_exponent(raw.by_distance)
        if math.isfinite(exponent):
            found.append(f"{exponent:.1f} for {run.title}")
    if not found:
        return []
    return [
        "The raw median error grows with distance to the power of "
        + _listed(found)
        + " (2 is what triangulation gives; distances at which a sensor fails are left out)."
    ]


def _ranking(runs: Sequence[SensorRun]) -> list[str]:
    scored = [
        (stream.numbers.get("rmse_all_m", math.nan), run.title, stream.label)
        for run in runs
        for stream in run.streams
    ]
    scored = sorted(row for row in scored if math.isfinite(row[0]))
    if not scored:
        return []
    error_m, address, label = scored[0]
    return [f"Least RMSE over all pixels: {address}, {label}, with {_mm(error_m)}."]


def missing(runs: Sequence[SensorRun], settings: ComparisonSettings) -> list[str]:
    """Return why numbers are not given, a sentence each."""
    lines = []
    moving = [r.title for r in runs if r.streams[0].numbers["still_frames"] < LEAST_FRAMES]
    if moving:
        lines.append(
            f"Temporal noise is not given for {_listed(moving)}: fewer than {LEAST_FRAMES} "
            "measured frames without motion."
        )
    bumpy = [r.title for r in runs if not math.isfinite(r.streams[0].numbers["plane_rms_mm"])]
    if bumpy:
        lines.append(
            f"The region of {_listed(bumpy)} shows no plane, so plane numbers are not given; point "
            "the camera at a wall for them."
        )
    if settings.reference is None:
        lines.append("No reference was given, so nothing here says how true the depth is.")
    return lines


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _mm(value_m: float) -> str:
    return f"{1000 * value_m:.0f} mm"
