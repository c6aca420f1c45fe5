"""``lingbot-live hand-eye``: where a camera stands on a robot, into a rig file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lingbot_live.system.outputs import check_replaceable


def hand_eye(
    camera: Annotated[str, typer.Argument(metavar="ADDRESS", help="The camera.")],
    board: Annotated[
        Path,
        typer.Option("--board", help="CSV of the board's poses: x,y,z,qx,qy,qz,qw."),
    ],
    robot: Annotated[
        Path, typer.Option("--robot", help="CSV of the hand's poses in the robot's axes, as many.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The rig file.")] = Path(
        "rig.toml"
    ),
    in_hand: Annotated[
        bool, typer.Option("--in-hand", help="The camera is on the hand; else it is fixed.")
    ] = False,
) -> None:
    """Find where a camera stands on a robot; a rig file that is there keeps its cameras."""
    from dataclasses import replace

    from lingbot_live.calibration.hand_eye import read_poses, solve
    from lingbot_live.calibration.rig import Rig

    check_replaceable(output, [board, robot])
    known = Rig.load(output) if output.exists() else Rig.of((camera,))
    solved = solve(camera, read_poses(robot), read_poses(board), in_hand)
    replace(known, hand_eye=solved).save(output)
    x, y, z = solved.pose.translation_m
    where = "hand" if in_hand else "base"
    print(
        f"{camera}: at {x:+.4f} {y:+.4f} {z:+.4f} m of the robot's {where}, from {solved.poses} "
        f"poses; the board stands still within {solved.error_mm:.2f} mm, {solved.error_deg:.3f} deg"
    )
    print(output)
