"""Drivers and refiners by name, from entry points; why one is unavailable, by name."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from lingbot_live.cameras.asking import ask
from lingbot_live.cameras.base import Camera, CameraInfo, Driver
from lingbot_live.cameras.places import split_target
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import (
    CameraError,
    CameraNotFoundError,
    ConfigError,
    DriverUnavailableError,
    LingbotLiveError,
    RefinerError,
    blaming,
    did_you_mean,
)
from lingbot_live.refiners.base import Refiner
from lingbot_live.refiners.finish import finish_for
from lingbot_live.system.inputs import refuse_special
from lingbot_live.system.outputs import local_path

log = logging.getLogger(__name__)

DRIVERS = "lingbot_live.drivers"
REFINERS = "lingbot_live.refiners"
TRACKERS = "lingbot_live.trackers"


@functools.cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda p: (p.name, p.value)):
        if point.name in found and found[point.name].value != point.value:
            log.warning(
                "%s %r is registered twice: %s is used, %s is not",
                group, point.name, found[point.name].value, point.value,
            )  # fmt: skip
            continue
        found[point.name] = point
    return found


@functools.cache
def _load(group: str, name: str) -> Any:
    point = _entry_points(group)[name]
    try:
        return point.load()
    except Exception as error:
        raise _unavailable(group, name, "imported", error) from error


def _unavailable(group: str, name: str, done: str, error: Exception) -> DriverUnavailableError:
    point = _entry_points(group)[name]
    why = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
    return DriverUnavailableError(
        f"{name}: its plug-in {point.value} cannot be {done} ({why}).",
        "pip install --force-reinstall " + (point.dist.name if point.dist else "lingbot-live"),
    )


def refresh() -> None:
    """Forget what was found, after packages were installed or in tests."""
    _entry_points.cache_clear()
    _load.cache_clear()
    driver.cache_clear()


def driver_names() -> list[str]:
    """Schemes of all registered drivers."""
    return list(_entry_points(DRIVERS))


def refiner_names() -> list[str]:
    """Names of all registered refiners."""
    return list(_entry_points(REFINERS))


@functools.cache
def driver(scheme: str) -> Driver:
    """Return the driver of a scheme.

    Raises:
        ConfigError: no driver has this scheme.
        DriverUnavailableError: its plug-in cannot be imported or made.
    """
    if scheme not in _entry_points(DRIVERS):
        known = driver_names()
        raise ConfigError(
            f"no driver is called {scheme!r}.{did_you_mean(scheme, known)} "
            f"Known: {', '.join(known)}"
        )
    kind = _load(DRIVERS, scheme)
    try:
        made: Driver = kind()
    except Exception as error:
        raise _unavailable(DRIVERS, scheme, "made", error) from error
    return made


def discover() -> tuple[list[CameraInfo], dict[str, LingbotLiveError]]:
    """Return what all drivers find, and by scheme why a driver found nothing.

    A driver that raises, hangs or lists nonsense costs itself alone, and `asking.LIMIT_S` at most.
    """
    found: list[CameraInfo] = []
    unavailable: dict[str, LingbotLiveError] = {}
    for scheme in driver_names():
        try:
            found += ask(scheme, functools.partial(_discover, scheme))
        except LingbotLiveError as error:
            unavailable[scheme] = error
    return found, unavailable


def _discover(scheme: str) -> object:
    return driver(scheme).discover()


def default_address(otherwise: str = "synthetic:stereo") -> str:
    """Return the first attached camera, or ``otherwise``."""
    found, _ = discover()
    attached = [info for info in found if not info.is_simulated and not info.is_recording]
    return attached[0].address if attached else otherwise


def find_camera(address: str) -> CameraInfo:
    """Return the camera that an address names: ``scheme:target``, or the path of a recording.

    Raises:
        ConfigError: the scheme is unknown.
        CameraNotFoundError: nothing answers to it.
        DriverUnavailableError: the make's SDK is not installed.
    """
    scheme, target = _split(address)
    if scheme:
        _refuse_special(driver(scheme), target)
        with blaming(address, CameraError):
            return driver(scheme).find(target)
    found, path = _recording_driver(address)
    return found.find(str(path))


def absolute(address: str) -> str:
    """Return an address that means the same in a process that works in another folder."""
    scheme, target = _split(address)
    place, member = split_target(target)
    names_a_file = scheme in ("", "folder", "session") or place.suffix
    if not (names_a_file and place.exists()):
        return address
    return f"{scheme}:" * bool(scheme) + str(place.absolute()) + f"#{member}" * bool(member)


def recording_of(address: str) -> tuple[str, str]:
    """Return scheme and target of a recording, found out where the address is just its path.

    Raises:
        CameraNotFoundError: there is no such file, or no driver plays it.
    """
    scheme, target = _split(address)
    if scheme:
        _refuse_special(driver(scheme), target)
        return scheme, target
    found, path = _recording_driver(address)
    return found.scheme, str(path)


def may_have_members(address: str) -> bool:
    """Whether an address may name a recording of several cameras, judged by its text alone."""
    scheme, target = _split(address)
    return scheme in ("", "session") or Path(target.partition("#")[0]).suffix != ""


def members(address: str) -> list[CameraInfo]:
    """Return the cameras in a session file, each with its own address; none for anything else.

    May take as long as the file is damaged and large. Raises as `find_camera`.
    """
    scheme, target = _split(address)
    if scheme:
        _refuse_special(driver(scheme), target)
        with blaming(address, CameraError):
            return driver(scheme).members(target)
    found, path = _recording_driver(address)
    return found.members(str(path))


def with_members(addresses: Sequence[str]) -> list[str]:
    """Return addresses with those of all its cameras in place of a session file's.

    A file that cannot be read stays as it is: who opens it will say why.
    """
    found: list[str] = []
    for address in addresses:
        infos: list[CameraInfo] = []
        if may_have_members(address):
            with suppress(CameraError):
                infos = members(address)
        found += [info.address for info in infos] or [address]
    return found


def _split(address: str) -> tuple[str, str]:
    """Return scheme and target, the scheme empty where the address is a path."""
    if address.lower().startswith("file:/"):
        return "", str(local_path(address))
    scheme, colon, target = address.partition(":")
    if not colon or len(scheme) < 2:  # one letter is a Windows drive
        return "", address
    if scheme not in driver_names() and local_path(address.partition("#")[0]).exists():
        return "", address  # a file's name may hold a colon
    return scheme, str(local_path(target)) if target.lower().startswith("file:/") else target


def _recording_driver(address: str) -> tuple[Driver, Path]:
    path = local_path(address)
    if not path.exists():
        hint = did_you_mean(address, driver_names())
        raise CameraNotFoundError(
            f"{address}: no such file or folder, and no scheme before a colon.{hint} "
            f"Write SCHEME:NAME with one of {', '.join(driver_names())}"
        )
    _check_file(path)
    for scheme in driver_names():
        try:
            candidate = driver(scheme)
            if candidate.plays(path):
                return candidate, path
        except Exception as error:  # noqa: BLE001 - a plug-in's bug; another may play it
            log.warning("%s", error)
    choices = ", ".join(f"{scheme}:{path}" for scheme in driver_names())
    raise CameraNotFoundError(f"{path}: no driver plays this. Name one: {choices}")


def _refuse_special(named: Driver, target: str) -> None:
    """Refuse a pipe or device as a recording; a driver of devices may name them as it likes."""
    if named.suffixes:
        _check_file(split_target(target)[0])


def _check_file(path: Path) -> None:
    try:
        refuse_special(path)
    except OSError as error:
        raise CameraNotFoundError(f"{path}: {error.strerror}; name a recording") from error


def files_of(addresses: Iterable[str]) -> list[Path]:
    """Return the files and folders that addresses name: what no output may replace."""
    found = []
    for address in addresses:
        target = _split(address)[1]
        path = split_target(target)[0]
        found += [path] if target and path.exists() else []
    return found


def create_camera(address: str, config: CameraConfig | None = None) -> Camera:
    """Return the camera that an address names, not yet open. Raises as `find_camera`."""
    info = find_camera(address)
    with blaming(address, CameraError):
        return driver(info.driver).create(info, config or CameraConfig())


def create_refiner(config: RefinerConfig) -> Refiner:
    """Make a refiner; slow, since it loads what it needs.

    Raises:
        ConfigError: none has this name.
        RefinerError: it cannot start.
    """
    check_refiner_name(config.name)
    with blaming(f"refiner {config.name}", RefinerError):
        made: Refiner = _load(REFINERS, config.name)(config)
    made.finish_with(finish_for(config))
    return made


def check_refiner_name(name: str) -> None:
    """Raise ConfigError unless a refiner of this name is registered; loads nothing."""
    known = refiner_names()
    if name not in known:
        raise ConfigError(
            f"no refiner is called {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}"
        )


def plug_in(group: str, name: str) -> Any:
    """Return what a plug-in of this name registered in an entry-point group.

    Raises:
        ConfigError: none has this name.
        DriverUnavailableError: it cannot be imported.
    """
    known = list(_entry_points(group))
    if name not in known:
        kind = group.rpartition(".")[2].removesuffix("s")
        raise ConfigError(
            f"no {kind} is called {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}"
        )
    return _load(group, name)
