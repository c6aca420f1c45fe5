"""``lingbot-live grasps``: what stands on a table, and where a parallel gripper can hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lingbot_live.cli.clustered import (
    CpusOption,
    GpusOption,
    InputsArgument,
    Outcome,
    RayOption,
    do_jobs,
    inside,
    named,
    sole,
)
from lingbot_live.cli.options import (
    DeviceOption,
    NoFlyingOption,
    RefinerOption,
    SeedOption,
    SteadyOption,
    TokensOption,
    find_in_rig,
    progress_bar,
    refiner_config,
)
from lingbot_live.errors import ConfigError
from lingbot_live.system.cluster import Cluster
from lingbot_live.system.outputs import MARK, check_apart, check_replaceable, local_path

if TYPE_CHECKING:
    from lingbot_live.config import RefinerConfig
    from lingbot_live.frame import Extrinsics, Frame, Mask, RefinedFrame
    from lingbot_live.perception.grasps import GraspScene, GraspSettings, Thing
    from lingbot_live.recording.results import Results

_SUFFIXES = (".json", ".mcap", ".png")


def grasps(
    sources: InputsArgument,
    output: Annotated[
        list[str],
        typer.Option(
            "-o",
            "--output",
            help="FILE.json, .mcap or .png; again. With --ray DIR/FILE is DIR/INPUT/FILE.",
        ),
    ],
    frame: Annotated[int, typer.Option("--frame", min=0, help="The first frame to look at.")] = 0,
    frames: Annotated[int, typer.Option("--frames", min=1, help="How many, from there on.")] = 1,
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Only things in these pixels.")
    ] = None,
    opening: Annotated[float, typer.Option(help="Of the gripper at most, millimetres.")] = 85.0,
    depth: Annotated[float, typer.Option(help="From its tips to its palm, millimetres.")] = 45.0,
    friction: Annotated[float, typer.Option(help="Coefficient between pad and thing.")] = 0.5,
    looks_down: Annotated[
        bool, typer.Option("--looks-down", help="The camera looks straight down.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, help="Grasps of a thing.")] = 6,
    rig: Annotated[
        Path | None, typer.Option("--rig", help="With hand-eye: poses in the robot's axes.")
    ] = None,
    robot_pose: Annotated[
        str | None, typer.Option(metavar="X,Y,Z,QX,QY,QZ,QW", help="Of the hand, camera on it.")
    ] = None,
    refiner: RefinerOption = None,
    steady: SteadyOption = False,
    no_flying: NoFlyingOption = False,
    tokens: TokensOption = None,
    device: DeviceOption = None,
    seed: SeedOption = 0,
    ray: RayOption = None,
    ray_cpus: CpusOption = 1.0,
    ray_gpus: GpusOption = 0.0,
) -> None:
    """Find things on a table and antipodal grasps of them, by refined depth."""
    from lingbot_live.perception.grasps import GraspSettings, Gripper

    gripper = Gripper(opening_m=opening / 1000, depth_m=depth / 1000, friction=friction)
    config = refiner_config(
        refiner, tokens=tokens, device=device, steady=steady, no_flying=no_flying
    )
    search = GraspSearch(
        sources[0], tuple(output), frame, frames, region, GraspSettings(gripper, most), rig,
        robot_pose, looks_down, config, seed,
    )  # fmt: skip
    if ray is not None:
        _check_kinds(search.outputs)
        do_jobs(list(_each(search, sources)), Cluster(ray, ray_cpus, ray_gpus), "grasps")
        return
    sole(sources, "grasps")
    _check_kinds(search.outputs)
    outcome = search.do_here()
    for remark in outcome.remarks:
        typer.echo(remark, err=True)
    print(outcome.words)


@dataclass(frozen=True, slots=True)
class GraspSearch:
    """What to look at, for what, and where to write what is found."""

    source: str
    outputs: tuple[str, ...]  # here or in a store
    first: int
    count: int
    region: str | None
    settings: GraspSettings
    rig: Path | None
    robot_pose: str | None
    looks_down: bool
    refiner: RefinerConfig
    seed: int
    replaces: bool = False

    def run(self, files: Sequence[Path]) -> Outcome:
        """Look, and write into ``files``, one for each output."""
        from lingbot_live.cameras import registry

        axes = _axes(self.rig, self.robot_pose, self.source)
        engine = registry.create_refiner(self.refiner)
        try:
            with progress_bar(f"grasps with {engine.info}") as on_progress, ExitStack() as stack:
                found = list(_found(self, axes, engine.refine, files, stack, on_progress))
        finally:
            engine.close()
        notes = [one["note"] for one in found if "note" in one]
        remarks = axes.remarks
        if notes:
            remarks += (f"{len(notes)} of {len(found)} frames: {notes[0]}",)
        _write_json(files, self, axes, found)
        things = sum(len(one["things"]) for one in found)
        ways = sum(len(thing["grasps"]) for one in found for thing in one["things"])
        told = f"{things} things, {ways} grasps, in {axes.name}'s axes"
        return Outcome(f"{', '.join(self.outputs)}: {told}", remarks)

    def do_here(self) -> Outcome:
        """Look; a session that is interrupted keeps what is in it."""
        from lingbot_live.system.remote import Delivery

        with Delivery() as delivery:
            files = [delivery.place(name) for name in self.outputs]
            _check_outputs(files, self.source)
            return self.run(files)

    def do(self) -> Outcome:
        """Look, in a worker of a cluster; the outputs appear when they are whole."""
        from lingbot_live.export.folder import new_file
        from lingbot_live.system.remote import Delivery

        with Delivery() as delivery, ExitStack() as stack:
            files = [delivery.place(name) for name in self.outputs]
            _check_outputs(files, self.source)
            return self.run([stack.enter_context(new_file(path)) for path in files])


def _each(search: GraspSearch, sources: list[str]) -> Iterator[GraspSearch]:
    """Yield the search of each input, with its files in a folder of the input's name."""
    rig = None if search.rig is None else local_path(search.rig).absolute()
    for source, name in named(sources):
        outputs = tuple(inside(path, name) for path in search.outputs)
        yield replace(search, source=source, outputs=outputs, rig=rig)


@dataclass(frozen=True, slots=True)
class _Axes:
    """What poses are told in."""

    name: str
    from_camera: Extrinsics | None  # None: the camera's own
    remarks: tuple[str, ...] = ()  # what may be wrong with them


def _check_kinds(outputs: Sequence[str]) -> None:
    kinds = [Path(name).suffix.lower() for name in outputs]
    if any(kind not in _SUFFIXES for kind in kinds) or len(set(kinds)) != len(kinds):
        names = ", ".join(outputs)
        raise ConfigError(
            f"grasps: -o {names}: name a FILE.json, a FILE.mcap, a FILE.png, or several"
        )


def _check_outputs(files: Sequence[Path], source: str) -> None:
    from lingbot_live.cameras import registry

    inputs = registry.files_of([source])
    for path in files:
        if path.suffix.lower() != ".mcap":
            check_replaceable(path, inputs)
            continue
        check_apart(path, inputs)
        if path.exists():
            raise ConfigError(f"{path}: exists already; choose another name")


def _axes(rig: Path | None, robot_pose: str | None, source: str) -> _Axes:
    from lingbot_live.calibration.hand_eye import pose_of
    from lingbot_live.calibration.rig import Rig
    from lingbot_live.system.remote import local_address

    if rig is None:
        if robot_pose is not None:
            raise ConfigError("grasps: --robot-pose needs --rig, a rig file with [hand_eye]")
        return _Axes("the camera", None)
    known, source = Rig.load(rig), local_address(source)
    if known.hand_eye is None:
        raise ConfigError(f"{rig}: it has no [hand_eye]; make one: lingbot-live hand-eye")
    hand = None if robot_pose is None else pose_of(robot_pose.split(","))
    T_robot_known = known.hand_eye.to_robot(hand)
    own, held = find_in_rig(known, source), known.find(known.hand_eye.camera)
    if own is None or held is None:
        doubt = f"{rig}: it does not know {source}; taken for {known.hand_eye.camera} of hand-eye"
        is_it = source == known.hand_eye.camera
        return _Axes("the robot", T_robot_known, () if is_it else (doubt,))
    return _Axes("the robot", T_robot_known @ held.pose.inverse() @ own.pose)


def _found(
    look: GraspSearch,
    axes: _Axes,
    refine: Callable[[Frame], RefinedFrame],
    outputs: Sequence[Path],
    stack: ExitStack,
    on_progress: Callable[[int, int | None], None],
) -> Iterator[dict[str, Any]]:
    """Yield what is in each frame; write it to the session file, where one is asked for."""
    from lingbot_live.cameras import registry
    from lingbot_live.cameras.readings import every_frame
    from lingbot_live.config import CameraConfig
    from lingbot_live.perception.grasps import NoSupportError, find_grasps
    from lingbot_live.perception.seen_through import Sight
    from lingbot_live.perception.support import TOWARDS, UP
    from lingbot_live.recording.results import Results
    from lingbot_live.system.remote import local_address

    config = CameraConfig(loop=False, realtime=False, seed=look.seed)
    session = next((path for path in outputs if path.suffix.lower() == ".mcap"), None)
    picture = next((path for path in outputs if path.suffix.lower() == ".png"), None)
    done = start_us = 0
    with registry.create_camera(local_address(look.source), config) as camera:
        results = stack.enter_context(Results(session, [camera.info])) if session else None
        for shot in islice(every_frame(camera), look.first, look.first + look.count):
            refined = refine(shot)
            start_us = start_us if done else shot.device_timestamp_us
            mask = _region(look.region, shot)
            try:
                up = TOWARDS if look.looks_down else UP
                scene = find_grasps(
                    refined.depth_m,
                    shot.intrinsics,
                    look.settings,
                    mask,
                    up,
                    Sight(shot.color, shot.depth_m),
                )
            except NoSupportError as error:
                if look.count == 1:
                    raise
                yield {"frame": shot.index, "things": [], "note": str(error)}
                continue
            finally:
                done += 1
                on_progress(done, look.count)
            if results is not None:
                time_s = (shot.device_timestamp_us - start_us) / 1e6
                _record(results, time_s, refined, scene, axes)
            if picture is not None:
                _draw(picture, shot, scene, look.settings)
            yield _as_data(shot, scene, axes)
    if not done:
        raise ConfigError(f"{look.source}: has no frame {look.first}; the first is 0")


def _record(
    results: Results, time_s: float, refined: RefinedFrame, scene: GraspScene, axes: _Axes
) -> None:
    from lingbot_live.recording.found import FoundGrasps

    poses = [_pose(grasp.T_camera_gripper, axes) for grasp in scene.grasps]
    found = FoundGrasps(refined.frame, poses, "" if axes.from_camera is None else "robot")
    name, stamp_ns = results.names[0], results.stamp_ns(time_s)
    results.add(0, refined, found.messages(name, stamp_ns))


def _draw(path: Path, frame: Frame, scene: GraspScene, settings: GraspSettings) -> None:
    """Write the picture of the last frame."""
    import cv2

    from lingbot_live.perception.grasp_picture import draw_grasps
    from lingbot_live.system.outputs import marked_png
    from lingbot_live.system.writing import write_bytes

    drawn = draw_grasps(frame.color, scene, frame.intrinsics, settings.gripper)
    write_bytes(path, marked_png(cv2.imencode(".png", drawn[..., ::-1])[1].tobytes()))


def _region(text: str | None, frame: Frame) -> Mask | None:
    """Raises ConfigError where it is not written so, or lies outside the picture."""
    import numpy as np

    if text is None:
        return None
    height, width = frame.depth_raw.shape
    try:
        x, y, wide, tall = (int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--region {text}: write X,Y,W,H in pixels, such as 100,80,200,150"
        ) from None
    if not (
        x >= 0 and y >= 0 and wide > 0 and tall > 0 and x + wide <= width and y + tall <= height
    ):
        raise ConfigError(f"--region {text}: does not lie inside the picture of {width}x{height}")
    mask = np.zeros((height, width), bool)
    mask[y : y + tall, x : x + wide] = True
    return mask


def _pose(T_camera: Any, axes: _Axes) -> Extrinsics:
    from lingbot_live.frame import Extrinsics

    pose = Extrinsics.from_matrix(T_camera)
    return pose if axes.from_camera is None else axes.from_camera @ pose


def _pose_data(T_camera: Any, axes: _Axes) -> dict[str, list[float]]:
    pose = _pose(T_camera, axes)
    return {
        "position_m": [round(value, 5) for value in pose.translation_m],
        "orientation_xyzw": [round(value, 6) for value in pose.quaternion],
    }


def _as_data(frame: Frame, scene: GraspScene, axes: _Axes) -> dict[str, Any]:
    return {
        "frame": frame.index,
        "time_s": frame.device_timestamp_us / 1e6,
        "support": _pose_data(scene.support.T_camera_plane, axes),
        "things": [_thing(scene, number, thing, axes) for number, thing in enumerate(scene.things)],
    }


def _thing(scene: GraspScene, number: int, thing: Thing, axes: _Axes) -> dict[str, Any]:
    ways = [
        {
            **_pose_data(grasp.T_camera_gripper, axes),
            "width_m": round(grasp.width_m, 5),
            "opened_m": round(grasp.opened_m, 5),
            "score": round(float(grasp.score), 4),
        }
        for grasp in scene.of(number)
    ]
    return {
        "shape": thing.body.kind.value,
        "fit_mm": round(1000 * thing.body.fit_m, 2),
        "pixels": thing.pixels,
        "is_guess": thing.is_guess,
        "box": {
            **_pose_data(thing.T_camera_thing, axes),
            "size_m": [round(float(side), 5) for side in thing.size_m],
        },
        "grasps": ways,
    }


def _write_json(
    outputs: Sequence[Path],
    search: GraspSearch,
    axes: _Axes,
    found: list[dict[str, Any]],
) -> None:
    import json

    from lingbot_live.system.writing import write_text

    for path in outputs:
        if path.suffix.lower() == ".json":
            data = {
                "made_by": MARK,
                "input": search.source,
                "axes": axes.name,
                "gripper": asdict(search.settings.gripper),
                "frames": found,
            }
            write_text(path, json.dumps(data, indent=1) + "\n")
