"""Import a vendor's SDK on first use, and say what is missing when that fails."""

from __future__ import annotations

import importlib
import re
from typing import Any

from lingbot_live.errors import DriverUnavailableError
from lingbot_live.system import releases

_SHARED_LIBRARY = re.compile(r"(lib[\w.+-]+?\.so[.\d]*): cannot open shared object file")

# Debian and Ubuntu package of each system library that an SDK's wheel does not carry.
_PACKAGES = {
    "libusb-1.0.so": "libusb-1.0-0",
    "libudev.so": "libudev1",
    "libGL.so": "libgl1",
    "libGLdispatch.so": "libglvnd0",
    "libX11.so": "libx11-6",
    "libgomp.so": "libgomp1",
    "libjpeg.so": "libjpeg62-turbo",
}


def import_sdk(module: str, extra: str) -> Any:
    """Return the module of an SDK; ``extra`` is the extra of lingbot-live that installs it.

    Raises:
        DriverUnavailableError: it is not installed, or a library of the system is.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _explained(error, module, extra) from error


def _explained(error: ImportError, module: str, extra: str) -> DriverUnavailableError:
    pip = f'pip install "lingbot-live[{extra}]"'
    if isinstance(error, ModuleNotFoundError) and error.name == module:
        if released := releases.why_not_released(extra):
            why, instead = released
            return DriverUnavailableError(f"{extra}: {why}; {instead}.")
        return DriverUnavailableError(f"{extra}: the SDK {module} is not installed.", pip)
    text = " ".join(str(error).split())
    library = _SHARED_LIBRARY.search(text)
    if library:
        return DriverUnavailableError(
            f"{extra}: {module} is installed but the system library {library[1]} is missing.",
            f"apt-get install {_package(library[1])}",
        )
    if "numpy" in text.lower():
        return DriverUnavailableError(
            f"{extra}: {module} does not work with the installed NumPy ({text}).",
            f'{pip} "numpy<2"',
        )
    return DriverUnavailableError(
        f"{extra}: {module} is installed but cannot be imported ({text}).",
        pip.replace("install", "install --force-reinstall"),
    )


def _package(library: str) -> str:
    stem = library[: library.index(".so") + 3]
    guess = library.replace(".so.", "").lower()
    return _PACKAGES.get(stem, guess)
