"""Simulated cameras: a rendered room and three kinds of sensor in it."""
