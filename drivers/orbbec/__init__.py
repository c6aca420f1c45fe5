"""Orbbec Gemini and Femto, live and recorded."""
