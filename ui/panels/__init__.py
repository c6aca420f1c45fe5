"""Bars, rows and docks of the window."""
