"""What several tests of the core start."""

from __future__ import annotations

import pytest
from faults import App


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the app; it is gone after the test."""
    started = []

    def start(*arguments, environment=None):
        app = App(tmp_path, *arguments, environment=environment)
        started.append(app)
        return app

    yield start
    for app in started:
        app.kill()
