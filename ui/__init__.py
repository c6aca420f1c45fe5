"""The Qt window; the only place that knows Qt."""
