"""Every number the app measures: key, title, unit, which way is better, and what it means."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One number; `factor` turns the stored value (unit in its key) into the shown one."""

    key: str
    title: str
    unit: str = ""
    decimals: int = 1
    factor: float = 1.0
    better: int = 0  # 1: more is better, -1: less is better, 0: neither
    meaning: str = ""

    def shown(self, value: float | None) -> str:
        """Return the value for people, without its unit; n/a for None and nan."""
        if value is None or not math.isfinite(value):
            return "n/a"
        return f"{value * self.factor:.{self.decimals}f}"


IMAGE = (
    Metric(
        "fill_share",
        "Fill rate",
        "%",
        factor=100,
        meaning=(
            "Pixels with depth, whole image. For refined depth read it with kept, changed and "
            "filled: a filled pixel may be wrong."
        ),
    ),
    Metric(
        "roi_fill_share",
        "Fill rate of the region",
        "%",
        factor=100,
        meaning="Pixels with depth, region of interest.",
    ),
    Metric(
        "plane_distance_mm",
        "Plane distance",
        "mm",
        meaning="From the camera, perpendicular to the plane fitted in the region.",
    ),
    Metric(
        "plane_tilt_deg",
        "Plane tilt",
        "°",
        meaning="Between the plane's normal and the optical axis.",
    ),
    Metric(
        "plane_inlier_share",
        "Points on the plane",
        "%",
        factor=100,
        meaning=(
            "Of the region's valid points. Below 90 % the region is no plane, and the plane "
            "numbers describe only a part of it."
        ),
    ),
    Metric(
        "plane_rms_mm",
        "Plane-fit RMS",
        "mm",
        decimals=2,
        better=-1,
        meaning=(
            "Root mean square distance of the points from a robustly fitted plane (spatial noise "
            "and bumps)."
        ),
    ),
    Metric(
        "plane_rms_percent",
        "Plane-fit RMS",
        "%",
        decimals=3,
        better=-1,
        meaning="The same, of the distance.",
    ),
    Metric(
        "subpixel_rms_px",
        "Sub-pixel RMS",
        "px",
        decimals=3,
        better=-1,
        meaning="The same in disparity; only for triangulating sensors with a known baseline.",
    ),
    Metric(
        "z_error_mm",
        "Z accuracy",
        "mm",
        meaning="Measured minus given distance of the target; positive is too far.",
    ),
    Metric(
        "z_error_percent", "Z accuracy", "%", decimals=2, meaning="The same, of the given distance."
    ),
    Metric(
        "flying_share",
        "Flying pixels",
        "%",
        factor=100,
        better=-1,
        meaning="Of the valid pixels at depth edges, those that hang between the two sides.",
    ),
)
TEMPORAL = (
    Metric(
        "temporal_noise_mm",
        "Temporal noise",
        "mm",
        decimals=2,
        better=-1,
        meaning=(
            "Median standard deviation over time in the region, of pixels valid in at least 80 % "
            "of the frames while nothing moved."
        ),
    ),
    Metric(
        "temporal_noise_percent",
        "Temporal noise",
        "%",
        decimals=3,
        better=-1,
        meaning="The same, of each pixel's mean depth.",
    ),
    Metric(
        "steady_share",
        "Steady pixels",
        "%",
        factor=100,
        better=1,
        meaning="Of the region's pixels, those valid in at least 80 % of the frames.",
    ),
    Metric(
        "flicker_mm",
        "Flicker",
        "mm",
        decimals=2,
        better=-1,
        meaning="Temporal noise of the whole image away from depth edges.",
    ),
    Metric(
        "flicker_edge_mm",
        "Flicker at edges",
        "mm",
        decimals=2,
        better=-1,
        meaning="Temporal noise at depth edges.",
    ),
    Metric(
        "still_frames",
        "Still frames",
        decimals=0,
        meaning=(
            "Frames without motion that temporal noise and flicker rest on; at least 10 are needed."
        ),
    ),
)
REFERENCE = (
    Metric(
        "coverage_share",
        "Coverage",
        "%",
        factor=100,
        better=1,
        meaning="Of the pixels with a reference, those with depth.",
    ),
    Metric(
        "rmse_all_m",
        "RMSE, all pixels",
        "mm",
        factor=1000,
        better=-1,
        meaning=(
            "Root mean square error over every pixel with a reference; a pixel without depth "
            "counts as depth 0."
        ),
    ),
    Metric(
        "mae_all_m",
        "MAE, all pixels",
        "mm",
        factor=1000,
        better=-1,
        meaning="Mean absolute error, counted the same way.",
    ),
    Metric(
        "absrel_all",
        "AbsRel, all pixels",
        decimals=4,
        better=-1,
        meaning="Mean relative error, counted the same way.",
    ),
    Metric(
        "delta_125_all",
        "δ < 1.25, all pixels",
        "%",
        factor=100,
        better=1,
        meaning="Share within 1.25 times the reference, all pixels.",
    ),
    Metric(
        "delta_110_all",
        "δ < 1.10, all pixels",
        "%",
        factor=100,
        better=1,
        meaning="Share within 1.10 times the reference, all pixels.",
    ),
    Metric(
        "delta_105_all",
        "δ < 1.05, all pixels",
        "%",
        factor=100,
        better=1,
        meaning="Share within 1.05 times the reference, all pixels.",
    ),
    Metric(
        "delta_103_all",
        "δ < 1.03, all pixels",
        "%",
        factor=100,
        better=1,
        meaning="Share within 1.03 times the reference, all pixels.",
    ),
    Metric(
        "rmse_m",
        "RMSE, valid pixels",
        "mm",
        factor=1000,
        better=-1,
        meaning="Root mean square error over pixels with depth only; holes are not counted.",
    ),
    Metric(
        "mae_m",
        "MAE, valid pixels",
        "mm",
        factor=1000,
        better=-1,
        meaning="Mean absolute error over pixels with depth only.",
    ),
    Metric(
        "absrel",
        "AbsRel, valid pixels",
        decimals=4,
        better=-1,
        meaning="Mean relative error over pixels with depth only.",
    ),
    Metric(
        "delta_125",
        "δ < 1.25, valid pixels",
        "%",
        factor=100,
        better=1,
        meaning="Share within 1.25 times the reference, valid pixels.",
    ),
    Metric(
        "delta_110",
        "δ < 1.10, valid pixels",
        "%",
        factor=100,
        better=1,
        meaning="Share within 1.10 times the reference, valid pixels.",
    ),
    Metric(
        "delta_105",
        "δ < 1.05, valid pixels",
        "%",
        factor=100,
        better=1,
        meaning="Share within 1.05 times the reference, valid pixels.",
    ),
    Metric(
        "delta_103",
        "δ < 1.03, valid pixels",
        "%",
        factor=100,
        better=1,
        meaning="Share within 1.03 times the reference, valid pixels.",
    ),
    Metric(
        "bias_m",
        "Median error",
        "mm",
        factor=1000,
        meaning="Median of depth minus reference; positive is too far.",
    ),
    Metric(
        "fattening_px",
        "Edge fattening",
        "px",
        decimals=2,
        meaning=(
            "By how many pixels near objects are too wide (+) or too narrow (-) along their "
            "outlines."
        ),
    ),
)
CHANGE = (
    Metric(
        "kept_share",
        "Kept",
        "%",
        factor=100,
        meaning="Pixels valid before that stayed within 2 mm or 1 %.",
    ),
    Metric(
        "changed_share",
        "Changed",
        "%",
        factor=100,
        meaning="Pixels valid before that moved by more.",
    ),
    Metric(
        "filled_share",
        "Filled",
        "%",
        factor=100,
        meaning="Pixels without measurement that got a value.",
    ),
    Metric(
        "removed_share",
        "Removed",
        "%",
        factor=100,
        meaning="Pixels valid before that have no depth now.",
    ),
    Metric(
        "changed_median_mm",
        "Median change",
        "mm",
        meaning="Median distance by which changed pixels moved.",
    ),
    Metric(
        "scale_ratio",
        "Scale refined / raw",
        decimals=4,
        meaning=(
            "Median ratio where both are valid; outside 0.97 to 1.03 the refiner and the sensor "
            "disagree on scale."
        ),
    ),
    Metric("refine_ms", "Refiner time", "ms", better=-1, meaning="Per frame on this machine."),
)
RS_COMPATIBLE = (
    Metric("rs_fill_percent", "Fill rate (RealSense)", "%"),
    Metric("rs_distance_mm", "Distance (RealSense)", "mm"),
    Metric("rs_angle_deg", "Angle (RealSense)", "°"),
    Metric("rs_plane_rms_mm", "Plane-fit RMS (RealSense)", "mm", decimals=2),
    Metric("rs_plane_rms_percent", "Plane-fit RMS (RealSense)", "%", decimals=3),
    Metric("rs_subpixel_rms_px", "Sub-pixel RMS (RealSense)", "px", decimals=3),
    Metric("rs_z_accuracy_percent", "Z accuracy (RealSense)", "%", decimals=2),
    Metric("rs_temporal_noise_percent", "Temporal noise (RealSense)", "%", decimals=3),
)
METRICS = {m.key: m for m in (*IMAGE, *TEMPORAL, *REFERENCE, *CHANGE, *RS_COMPATIBLE)}
