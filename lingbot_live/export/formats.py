"""The table of export formats: the command line, the window and docs/export.md follow it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from lingbot_live import colormap
from lingbot_live.cameras.controls import Control, ControlKind, ControlValue
from lingbot_live.errors import ConfigError, ExportError, did_you_mean
from lingbot_live.export.hdf5 import INSTALL as LEARNING_INSTALL
from lingbot_live.export.hdf5 import Hdf5Writer
from lingbot_live.export.images import ArrayWriter, ImageWriter, TumWriter
from lingbot_live.export.lerobot import LerobotWriter
from lingbot_live.export.mesh import MeshWriter
from lingbot_live.export.moments import JointWriter
from lingbot_live.export.points import PointWriter
from lingbot_live.export.rrd import INSTALL as RERUN_INSTALL
from lingbot_live.export.rrd import RerunWriter
from lingbot_live.export.shot import JointTarget, Settings, Target, Writer
from lingbot_live.export.video import VideoWriter


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One way to write frames."""

    name: str  # as on the command line
    title: str  # for a menu
    words: str  # what is written, in a sentence
    create: Callable[[Target], Writer] | None  # for each camera by itself
    options: tuple[Control, ...] = ()  # `Control.value` is the default
    suffixes: tuple[str, ...] = ()  # of a format that writes one file; empty: a folder of files
    shows_both: bool = False  # raw and refined depth beside each other, as they were recorded
    module: str = ""  # Python package that does the work
    install: str = ""  # the line that installs it
    create_joint: Callable[[JointTarget], JointWriter] | None = None  # for all cameras together
    is_steady: bool = False  # whether its moments come at a steady rate, the option ``fps``

    @property
    def unavailable(self) -> str:
        """Why it cannot be used here, and what to do; empty if it can."""
        if not self.module or importlib.util.find_spec(self.module) is not None:
            return ""
        return f"{self.name} needs {self.module}, which is not installed. Run: {self.install}"

    @property
    def is_one_file(self) -> bool:
        """Whether it writes a single file, so that the output may name that file."""
        return bool(self.suffixes)

    def settings(self, values: Settings) -> dict[str, ControlValue]:
        """Return all options, with ``values`` (text is read as well) in place of the defaults.

        Raises:
            ConfigError: there is no such option, or it does not take the value.
        """
        who = f"export to {self.name}"
        found = {option.name: option.value for option in self.options}
        known = {option.name: option for option in self.options}
        for name, value in values.items():
            if name not in known:
                there = ", ".join(known) or "none"
                near = did_you_mean(name, known)
                raise ConfigError(f"{who}: no option {name!r}.{near} It has: {there}")
            found[name] = known[name].checked(value, who)
        return found


def _switch(name: str, value: bool, words: str) -> Control:
    return Control(name, value, ControlKind.BOOL, default=value, help=words)


def _number(
    name: str,
    value: float,
    most: float,
    unit: str,
    words: str,
    step: float = 0.0,
    *,
    least: float = 0.0,
) -> Control:
    return Control(
        name, value, ControlKind.FLOAT, least, most, step, default=value, unit=unit, help=words
    )  # fmt: skip


def _choice(name: str, choices: tuple[str, ...], words: str) -> Control:
    first = choices[0]
    return Control(name, first, ControlKind.CHOICE, default=first, choices=choices, help=words)


_CLOUD_OPTIONS = (
    _switch("normals", False, "estimate normals, turned towards the camera"),
    _number("voxel_mm", 0.0, 1000.0, "mm", "thin out to one point per cube of this edge; 0: all"),
    _switch("outliers", False, "remove points far from all others"),
)

FORMATS: dict[str, ExportFormat] = {
    found.name: found
    for found in (
        ExportFormat(
            "ply",
            "Point clouds (PLY)",
            "A coloured point cloud a frame, in metres, x right, y down, z forward.",
            lambda target: PointWriter(target, ".ply"),
            (*_CLOUD_OPTIONS, _switch("trust", False, "a property `trust`, 0 to 1, of each point")),
            module="open3d",
            install="pip install open3d",
        ),
        ExportFormat(
            "pcd",
            "Point clouds (PCD)",
            "The same as PCD, for PCL.",
            lambda target: PointWriter(target, ".pcd"),
            _CLOUD_OPTIONS,
            module="open3d",
            install="pip install open3d",
        ),
        ExportFormat(
            "images",
            "Images (LingBot-Depth examples)",
            "A folder a frame: rgb.png, raw_depth.png (16 bit, millimetres), intrinsics.txt; "
            "refined_depth.png beside them where refined depth is asked for.",
            ImageWriter,
            (_number("depth_unit_m", 0.001, 0.02, "m", "one step of the 16 bit", least=0.0001),),
        ),
        ExportFormat(
            "npz",
            "NumPy arrays",
            "An .npz a frame with all there is, nothing rounded: colour, depth in sensor units and "
            "in metres, calibration, time.",
            ArrayWriter,
            (_switch("compress", True, "smaller and slower"),),
        ),
        ExportFormat(
            "tum",
            "TUM RGB-D sequence",
            "rgb/ and depth/ (16 bit, 5000 a metre) called by their time, with rgb.txt, depth.txt, "
            "associations.txt and intrinsics.json.",
            TumWriter,
            (_switch("trajectory", False, "find the camera's way too, into trajectory.txt"),),
        ),
        ExportFormat(
            "mp4",
            "Video (MP4)",
            "One video, H.264: colour, raw depth and, where it was recorded, refined depth side by "
            "side; each picture at the time the device took it.",
            VideoWriter,
            (
                _number("near_m", 0.0, 100.0, "m", "where depth colours begin; 0: automatic"),
                _number("far_m", 0.0, 100.0, "m", "where depth colours end; 0: automatic"),
                _choice("colors", colormap.NAMES, "scale of depth colours"),
                _choice(
                    "not_refined",
                    ("empty", "last"),
                    "third picture of a frame without refined depth: empty, or the last one",
                ),
                _number("quality", 20.0, 51.0, "", "0 (lossless) to 51 (small), as x264's crf", 1),
            ),
            (".mp4",),
            shows_both=True,
            module="av",
            install="pip install av",
        ),
        ExportFormat(
            "mesh",
            "Mesh of a scene (PLY, GLB)",
            "One coloured mesh: a camera carried through a still scene, its way found by colour "
            "and depth, its depth fused. A bare wall shows no way. A folder also holds the way, "
            "trajectory.txt (TUM). For GLB name the file: -o room.glb.",
            MeshWriter,
            (
                _number("voxel_mm", 10.0, 100.0, "mm", "size of the smallest detail", least=1.0),
                _number("far_m", 4.0, 13.0, "m", "depth beyond is left out", least=0.1),
            ),
            (".ply", ".glb"),
            module="open3d",
            install="pip install open3d",
        ),
        ExportFormat(
            "lerobot",
            "LeRobot dataset",
            "A LeRobot dataset (v3.0) of all cameras at a steady rate: colour as video, depth as "
            "exact 16 bit images in millimetres, times and inertial readings.",
            None,
            (
                _number("fps", 0.0, 240.0, "", "frames a second; 0: as the first camera's"),
                _switch("trajectory", False, "find each camera's way too, as poses"),
            ),
            module="pyarrow",
            install=LEARNING_INSTALL,
            create_joint=LerobotWriter,
            is_steady=True,
        ),
        ExportFormat(
            "hdf5",
            "HDF5 file",
            "One .h5 file a camera with colour, depth, times, calibration, inertial readings and "
            "settings as arrays and attributes.",
            Hdf5Writer,
            (_switch("trajectory", False, "find the camera's way too, as a dataset"),),
            (".h5", ".hdf5"),
            module="h5py",
            install=LEARNING_INSTALL,
        ),
        ExportFormat(
            "rrd",
            "Rerun recording",
            "One .rrd file for the Rerun viewer: colour, raw and refined depth under a pinhole, by "
            "frame and by the device's time.",
            RerunWriter,
            (
                _number("quality", 95.0, 100.0, "", "of colour's JPEG; 0: without loss", 1),
                _switch("trajectory", False, "find the camera's way too: its picture moves along"),
            ),
            (".rrd",),
            shows_both=True,
            module="rerun",
            install=RERUN_INSTALL,
        ),
    )
}


def format_named(name: str) -> ExportFormat:
    """Return a format that can be used here.

    Raises:
        ExportError: there is none of this name, or what it needs is not installed.
    """
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise ExportError(f"no export format {name!r}.{did_you_mean(name, FORMATS)} Known: {known}")
    found = FORMATS[name]
    if found.unavailable:
        raise ExportError(f"export: {found.unavailable}")
    return found
