"""Commands on session files: info, repair, and the refining of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lingbot_live.cli.damage import LOOK_S, tell_damage
from lingbot_live.cli.options import interrupted, progress_bar
from lingbot_live.errors import NoCameraError, RecordingError
from lingbot_live.system.outputs import check_apart, local_path
from lingbot_live.system.signals import stoppable
from lingbot_live.system.words import duration as in_words

if TYPE_CHECKING:
    from lingbot_live.config import RefinerConfig

File = Annotated[Path, typer.Argument(metavar="FILE", help="A session, such as desk.mcap.")]
AnyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A session, .bag, .db3 or .mkv.")]


def info(
    file: AnyFile,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what is in a session file, damaged or not, or in a vendor's recording."""
    path = session_path(str(file))
    if path is not None:
        from lingbot_live.recording.info import describe

        try:
            found, lines = describe(path), _lines
        except NoCameraError as error:
            if not as_json:
                print("\n".join(error.table))
            raise
    else:
        from lingbot_live.cameras.describe import describe as describe_recording

        found, lines = describe_recording(str(file)), _recording_lines
    print(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))
    if found.get("damage"):
        raise typer.Exit(1)


def session_path(address: str) -> Path | None:
    """Return the path of a session or another program's recording; None for what SDKs play.

    Raises:
        CameraError: there is no such file, or no driver plays it.
    """
    from lingbot_live.cameras import registry
    from lingbot_live.cameras.places import split_target

    if not registry.files_of([address]) and local_path(address).suffix.lower() == ".mcap":
        return local_path(address)  # whoever opens it says what is wrong
    scheme, target = registry.recording_of(address)
    return split_target(target)[0] if scheme == "session" else None


def repair(
    file: File,
    output: Annotated[Path, typer.Option("-o", "--output", help="The new, whole file.")],
) -> None:
    """Copy all that is whole in a damaged file into a new one."""
    from lingbot_live.recording.repair import repair as repair_file

    check_apart(output, [file])
    try:
        report = repair_file(file.expanduser(), output.expanduser())
    except FileNotFoundError as error:
        raise RecordingError(f"{file}: no such file; check the path") from error
    for text in report.damage:
        typer.echo(f"{file}: {text}", err=True)
    print(
        f"{output}: {report.messages} messages kept; {report.chunks_lost} damaged chunks and "
        f"{report.bytes_lost} bytes left out"
    )


def refine_session(file: Path, output: Path, config: RefinerConfig, lossless: bool) -> None:
    """Refine every frame of a session into a new one; goes on where it was interrupted."""
    from lingbot_live.cameras import registry
    from lingbot_live.recording.offline import refine_file

    engine = registry.create_refiner(config)
    try:
        with progress_bar(f"refining with {engine.info}") as on_progress, stoppable() as stop:

            def note(done: int, total: int) -> None:
                on_progress(done, total)
                if stop.is_set():
                    raise KeyboardInterrupt

            failed = refine_file(file.expanduser(), output.expanduser(), engine, lossless, note)
    except KeyboardInterrupt:
        raise interrupted() from None
    finally:
        engine.close()
    print(output)
    if failed:
        typer.echo(f"{failed} frames could not be refined; they are in the file as raw", err=True)
    if tell_damage([str(file)], LOOK_S) or failed:
        raise typer.Exit(1)


# ---- info --------------------------------------------------------------------------------------


def _recording_lines(found: dict[str, Any]) -> Iterator[str]:
    size = f"{found['bytes'] / 1e6:.1f} MB, " if found["bytes"] is not None else ""
    span = "" if found["duration_s"] is None else f"{in_words(found['duration_s'], 3)}, "
    yield f"{found['file']}: {size}{span}played by {found['driver']}"
    details = "".join(f", {name} {value}" for name, value in found["details"].items())
    yield f"  {found['name']}, serial {found['serial'] or 'not told'}{details}"
    for stream in found["streams"]:
        count = found["frames"].get(stream["stream"])
        yield (
            f"  {stream['stream']} {stream['width']}x{stream['height']} at {stream['fps']:g} fps"
            f" {stream['format']}" + ("" if count is None else f": {count} images")
        )
    if found["frames"].get("imu"):
        yield f"  inertial readings: {found['frames']['imu']}"
    yield f"  depth in units of {found['depth_scale_m'] * 1000:g} mm, aligned: {found['alignment']}"
    for name in ("color", "depth"):
        k = found["calibration"].get(name)
        if k is not None:
            yield (
                f"  {name} lens: fx {k['fx']:.3f} fy {k['fy']:.3f} cx {k['cx']:.3f} "
                f"cy {k['cy']:.3f}, distortion {[round(v, 6) for v in k['distortion']] or 'none'}"
            )


def _lines(found: dict[str, Any]) -> Iterator[str]:
    from lingbot_live.cameras.playtime import Gap

    made = f", {found['made_by']}" if found["made_by"] else ""
    span = in_words(found["duration_s"], 3)
    yield f"{found['file']}: {found['bytes'] / 1e6:.1f} MB, {span}{made}"
    for gap in found["gaps"]:
        yield f"  at {gap['at_s']:.3f} s: {Gap(gap['at_s'], gap['length_s'])}, passed over in play"
    for name, camera in found["cameras"].items():
        yield (
            f"  {name} ({camera.get('name') or 'unnamed'}) {camera.get('size', '')}: "
            f"{camera['frames']} frames at {camera['fps']:g} fps, "
            f"{camera['refined']} refined at {camera['fps_refined']:g} fps"
        )
        if "calibration" in camera:
            yield f"    {_camera_line(camera)}"
        if camera["imu"]:
            yield f"    {camera['imu']} readings of inertial sensors at {camera['imu_hz']:g} Hz"
        if camera.get("alignment") == "own" and not found["made_by"]:
            yield "    its depth is not aligned: it is registered to colour while reading"
        for remark in camera["remarks"]:
            yield f"    note: {remark}"
        for cause, count in camera["drops"].items():
            yield f"    {count} frames {cause}"
    for failure in found["failures"]:
        yield f"  {failure['camera']} failed at {failure['at_s']:g} s: {failure['text']}"
    for mishap in found["mishaps"]:
        yield f"  at {mishap['at_s']:g} s: {mishap['text']}"
    for refiner in found["refiners"]:
        yield f"  refined by {refiner}"
    for name, value in found["settings"].items():
        yield f"  {name}: {value}"
    for marker in found["markers"]:
        yield f"  marker at {marker['at_s']:g} s: {marker['text']}"
    for text in found["damage"]:
        yield f"  damaged: {text}"
    if found["damage"]:
        yield "  `lingbot-live repair` copies what is whole into a new file"
    if found["unchecked_chunks"]:
        yield f"  {found['unchecked_chunks']} chunks were not looked into, to be quick"
    yield "  topics:"
    yield from (f"    {line}" for line in _topic_lines(found["topics"]))


def _topic_lines(topics: list[dict[str, Any]]) -> list[str]:
    from lingbot_live.recording.foreign import TopicUse, table

    return table([TopicUse(**topic) for topic in topics])


def _camera_line(camera: dict[str, Any]) -> str:
    color = camera["calibration"]["color"]
    values = ", ".join(f"{name} {color[name]:.6g}" for name in ("fx", "fy", "cx", "cy"))
    return f"{values}; a raw unit is {1000 * camera['depth_scale_m']:.6g} mm"
