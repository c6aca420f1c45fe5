"""Every registered driver keeps every promise of `lingbot_live.cameras.testing`.

A make takes part through ``tests/fixtures_SCHEME.py`` with ``contract_cameras(folder)``, a context
manager that yields makers of cameras by name.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from importlib.metadata import entry_points

import pytest
import sdks

from lingbot_live.cameras import registry, testing

SCHEMES = [
    point.name
    for point in sorted(entry_points(group=registry.DRIVERS))
    if importlib.util.find_spec(point.module) is not None
]


def _id(check):
    return check.__name__


@pytest.fixture(scope="module")
def makers(request, tmp_path_factory):
    """The makers of one scheme's cameras; one scheme at a time."""
    sdks.need(request.param)
    fixtures = importlib.import_module(f"fixtures_{request.param}")
    with fixtures.contract_cameras(tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.mark.parametrize("check", testing.CAMERA_CHECKS, ids=_id)
@pytest.mark.parametrize("makers", SCHEMES, indirect=True)
def test_camera(makers, check):
    assert makers
    for make in makers.values():
        check(make)


@pytest.mark.parametrize("check", testing.DRIVER_CHECKS, ids=_id)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_driver(scheme, check):
    sdks.need(scheme)
    check(scheme)


def test_no_driver_is_missing():
    missing = [s for s in SCHEMES if importlib.util.find_spec(f"fixtures_{s}") is None]
    assert not missing, f"write tests/fixtures_SCHEME.py for {missing}"


def test_no_check_is_missing():
    public = {
        function
        for name, function in inspect.getmembers(testing, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == testing.__name__
    }
    assert public == {*testing.CAMERA_CHECKS, *testing.DRIVER_CHECKS}
