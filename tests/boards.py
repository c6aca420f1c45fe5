"""Boards as cameras see them: lens, blur, noise and light like those of real colour cameras."""

from __future__ import annotations

import json

import cv2
import numpy as np

from lingbot_live.calibration.board import Board
from lingbot_live.calibration.rig import move_of
from lingbot_live.frame import Calibration, Extrinsics, Frame, Intrinsics
from lingbot_live.geometry import rays, scaled

LENS = (0.08, -0.15, 0.0008, -0.0005, 0.05)
LEFT = Intrinsics(640, 480, 520.0, 522.0, 322.3, 238.1)
RIGHT = Intrinsics(640, 480, 600.0, 601.0, 315.0, 244.0, LENS)
CHARUCO = Board.parse("charuco:7x5:40mm:30mm")
CHESS = Board.parse("chessboard:8x5:35mm")
_PX_PER_SQUARE = 80
_SAMPLES = 2  # a side, of one pixel


def picture(board: Board, T_camera_board: Extrinsics, camera: Intrinsics, seed: int = 0):
    """Return what a camera sees: (H, W, 3) uint8 colour and (H, W) float32 metres of depth.

    The wall behind the board stands 0.8 m beyond it. Pixels are areas, the lens blurs by 0.5 px,
    light falls off to one side, and the noise has a deviation of 2.5 grey levels.
    """
    fine = scaled(camera, camera.width * _SAMPLES, camera.height * _SAMPLES)
    ray = np.dstack([rays(fine), np.ones((fine.height, fine.width), np.float32)])
    R = np.asarray(T_camera_board.rotation, np.float32)
    t = np.asarray(T_camera_board.translation_m, np.float32)
    z = (R[:, 2] @ t) / (ray @ R[:, 2])
    # Where the rays meet the board's plane, in the board's own axes, then in its picture.
    on_board = (ray * z[..., None] - t) @ R
    place = on_board[..., :2] * (_PX_PER_SQUARE / board.square_m) + _PX_PER_SQUARE - 0.5
    drawn = board.draw(_PX_PER_SQUARE)
    gray = cv2.remap(drawn, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderValue=0)
    height, width = drawn.shape
    x, y = place[..., 0], place[..., 1]
    inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1) & (z > 0)
    shade = np.where(inside, 40 + 0.7 * gray, 105).astype(np.float32)
    shade = cv2.resize(shade, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    shade = cv2.GaussianBlur(shade, (0, 0), 0.5) * np.linspace(1.05, 0.85, camera.width)
    noise = np.random.default_rng(seed).normal(0, 2.5, (*shade.shape, 3))
    color = np.clip(shade[..., None] * [1.0, 0.97, 0.9] + noise, 0, 255).astype(np.uint8)
    middle = _SAMPLES // 2
    near = np.where(inside, z, t[2] + 0.8)[middle::_SAMPLES, middle::_SAMPLES]
    return color, near.astype(np.float32)


def frame(board, T_camera_board, camera, name="camera", seed=0, timestamp_ns=0, index=0):
    """Return the same as a Frame."""
    color, depth_m = picture(board, T_camera_board, camera, seed)
    raw = np.rint(depth_m * 1000).astype(np.uint16)
    return Frame(name, index, timestamp_ns, timestamp_ns // 1000, color, raw, 0.001,
                 Calibration(camera))  # fmt: skip


def standings(board: Board, count: int, seed: int = 0, distance_m: float = 1.0):
    """Return ``T_reference_board`` for a board held in several places, tilted by up to 35 deg."""
    rng = np.random.default_rng(seed)
    middle = move_of(-board.corners_m.mean(0))
    out = []
    for _ in range(count):
        turn = move_of(turn_deg=rng.uniform([-35, -35, -20], [35, 35, 20]))
        shift = move_of(rng.uniform([-0.15, -0.12, -0.15], [0.15, 0.12, 0.15]))
        out.append(move_of((0, 0, distance_m)) @ shift @ turn @ middle)
    return out


def write_folder(folder, pictures, camera: Intrinsics):
    """Write a plain RGB-D folder."""
    for name in ("color", "depth"):
        (folder / name).mkdir(parents=True)
    for n, (color, depth_m) in enumerate(pictures):
        cv2.imwrite(str(folder / f"color/{n:03}.png"), cv2.cvtColor(color, cv2.COLOR_RGB2BGR))
        raw = np.rint(depth_m * 1000).astype(np.uint16)
        cv2.imwrite(str(folder / f"depth/{n:03}.png"), raw)
    k = {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}
    (folder / "intrinsics.json").write_text(json.dumps(k))
    return f"folder:{folder}"


def write_board_pair(base, T_left_right: Extrinsics, camera: Intrinsics = LEFT, hold=4, **where):
    """Write what two cameras recorded of a ChArUco, held still for ``hold`` frames in 7 places."""
    sides: dict[str, list] = {"left": [], "right": []}
    for n, pose in enumerate(standings(CHARUCO, 7, seed=4, **where)):
        for side, T in (("left", pose), ("right", T_left_right.inverse() @ pose)):
            sides[side] += [picture(CHARUCO, T, camera, n)] * hold
    return [write_folder(base / side, pictures, camera) for side, pictures in sides.items()]
