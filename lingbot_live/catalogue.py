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


def _share(key: str, title: str, better: int, meaning: str) -> Metric:
    return Metric(key, title, "%", 1, 100.0, better, meaning)


def _deltas(suffix: str, note: str) -> list[Metric]:
    return [
        _share(f"delta_{round(100 * t)}{suffix}", f"δ < {t:.2f}{note}", 1, f"Share within {t:.2f} times the reference{note}.")
        for t in (1.25, 1.10, 1.05, 1.03)
    ]  # fmt: skip


IMAGE = (
    _share("fill_share", "Fill rate", 0, "Pixels with depth, whole image. For refined depth read it with kept, changed and filled: a filled pixel may be wrong."),
    _share("roi_fill_share", "Fill rate of the region", 0, "Pixels with depth, region of interest."),
    Metric("plane_distance_mm", "Plane distance", "mm", 1, meaning="From the camera, perpendicular to the plane fitted in the region."),
    Metric("plane_tilt_deg", "Plane tilt", "°", 1, meaning="Between the plane's normal and the optical axis."),
    _share("plane_inlier_share", "Points on the plane", 0, "Of the region's valid points. Below 90 % the region is no plane, and the plane numbers describe only a part of it."),
    Metric("plane_rms_mm", "Plane-fit RMS", "mm", 2, better=-1, meaning="Root mean square distance of the points from a robustly fitted plane (spatial noise and bumps)."),
    Metric("plane_rms_percent", "Plane-fit RMS", "%", 3, better=-1, meaning="The same, of the distance."),
    Metric("subpixel_rms_px", "Sub-pixel RMS", "px", 3, better=-1, meaning="The same in disparity; only for triangulating sensors with a known baseline."),
    Metric("z_error_mm", "Z accuracy", "mm", 1, meaning="Measured minus given distance of the target; positive is too far."),
    Metric("z_error_percent", "Z accuracy", "%", 2, meaning="The same, of the given distance."),
    _share("flying_share", "Flying pixels", -1, "Of the valid pixels at depth edges, those that hang between the two sides."),
)  # fmt: skip
TEMPORAL = (
    Metric("temporal_noise_mm", "Temporal noise", "mm", 2, better=-1, meaning="Median standard deviation over time in the region, of pixels valid in at least 80 % of the frames while nothing moved."),
    Metric("temporal_noise_percent", "Temporal noise", "%", 3, better=-1, meaning="The same, of each pixel's mean depth."),
    _share("steady_share", "Steady pixels", 1, "Of the region's pixels, those valid in at least 80 % of the frames."),
    Metric("flicker_mm", "Flicker", "mm", 2, better=-1, meaning="Temporal noise of the whole image away from depth edges."),
    Metric("flicker_edge_mm", "Flicker at edges", "mm", 2, better=-1, meaning="Temporal noise at depth edges."),
    Metric("still_frames", "Still frames", "", 0, meaning="Frames without motion that temporal noise and flicker rest on; at least 10 are needed."),
)  # fmt: skip
REFERENCE = (
    _share("coverage_share", "Coverage", 1, "Of the pixels with a reference, those with depth."),
    Metric("rmse_all_m", "RMSE, all pixels", "mm", 1, 1000, -1, "Root mean square error over every pixel with a reference; a pixel without depth counts as depth 0."),
    Metric("mae_all_m", "MAE, all pixels", "mm", 1, 1000, -1, "Mean absolute error, counted the same way."),
    Metric("absrel_all", "AbsRel, all pixels", "", 4, 1, -1, "Mean relative error, counted the same way."),
    *_deltas("_all", ", all pixels"),
    Metric("rmse_m", "RMSE, valid pixels", "mm", 1, 1000, -1, "Root mean square error over pixels with depth only; holes are not counted."),
    Metric("mae_m", "MAE, valid pixels", "mm", 1, 1000, -1, "Mean absolute error over pixels with depth only."),
    Metric("absrel", "AbsRel, valid pixels", "", 4, 1, -1, "Mean relative error over pixels with depth only."),
    *_deltas("", ", valid pixels"),
    Metric("bias_m", "Median error", "mm", 1, 1000, 0, "Median of depth minus reference; positive is too far."),
    Metric("fattening_px", "Edge fattening", "px", 2, 1, 0, "By how many pixels near objects are too wide (+) or too narrow (-) along their outlines."),
)  # fmt: skip
CHANGE = (
    _share("kept_share", "Kept", 0, "Pixels valid before that stayed within 2 mm or 1 %."),
    _share("changed_share", "Changed", 0, "Pixels valid before that moved by more."),
    _share("filled_share", "Filled", 0, "Pixels without measurement that got a value."),
    _share("removed_share", "Removed", 0, "Pixels valid before that have no depth now."),
    Metric("changed_median_mm", "Median change", "mm", 1, meaning="Median distance by which changed pixels moved."),
    Metric("scale_ratio", "Scale refined / raw", "", 4, meaning="Median ratio where both are valid; outside 0.97 to 1.03 the refiner and the sensor disagree on scale."),
    Metric("refine_ms", "Refiner time", "ms", 1, better=-1, meaning="Per frame on this machine."),
)  # fmt: skip
RS_COMPATIBLE = (
    Metric("rs_fill_percent", "Fill rate (RealSense)", "%", 1),
    Metric("rs_distance_mm", "Distance (RealSense)", "mm", 1),
    Metric("rs_angle_deg", "Angle (RealSense)", "°", 1),
    Metric("rs_plane_rms_mm", "Plane-fit RMS (RealSense)", "mm", 2),
    Metric("rs_plane_rms_percent", "Plane-fit RMS (RealSense)", "%", 3),
    Metric("rs_subpixel_rms_px", "Sub-pixel RMS (RealSense)", "px", 3),
    Metric("rs_z_accuracy_percent", "Z accuracy (RealSense)", "%", 2),
    Metric("rs_temporal_noise_percent", "Temporal noise (RealSense)", "%", 3),
)  # fmt: skip
METRICS = {m.key: m for m in (*IMAGE, *TEMPORAL, *REFERENCE, *CHANGE, *RS_COMPATIBLE)}
