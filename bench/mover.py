"""A card that moves, turns and waves an arm, and passes behind a post; its true tracks."""

from __future__ import annotations

import cv2
import numpy as np

from lingbot_live.frame import ColorImage, DepthMap, Intrinsics, Mask

HEIGHT, WIDTH, FRAMES, FPS = 480, 640, 150, 30
K = Intrinsics(WIDTH, HEIGHT, 520, 520, 319.5, 239.5)
CARD_Z, WALL_Z, POST_Z = 1.5, 3.0, 1.0
POST = slice(330, 372)  # columns: hides a point of the card for about 15 frames
CARD_PX, ARM_PX = (180, 140), (150, 50)  # width and height
SHOULDER = (165.0, 45.0)  # of the card, where its arm is fixed by (15, 25) of the arm


def texture(seed: int, height: int, width: int) -> ColorImage:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.float32)
    return np.clip(128 + 9 * (cv2.GaussianBlur(noise, (0, 0), 3) - 128), 0, 255).astype(np.uint8)


class Mover:
    """With ``arm`` a second card hangs on the first and swings about its shoulder."""

    def __init__(self, *, arm: bool) -> None:
        self._wall = texture(1, HEIGHT, WIDTH)
        self._post = texture(3, HEIGHT, WIDTH)
        self._parts = [texture(2, CARD_PX[1], CARD_PX[0])]
        if arm:
            self._parts.append(texture(4, ARM_PX[1], ARM_PX[0]))

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Points to follow, (N, 2) on their part, and which part, (N,)."""
        found, of = [], []
        for part, picture in enumerate(self._parts):
            height, width = picture.shape[:2]
            across = 10 if part == 0 else 8
            u = np.linspace(15, width - 15, across)
            v = np.linspace(15, height - 15, 10 if part == 0 else 3)
            grid = np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)
            if len(self._parts) > 1 and part == 0:  # not below the arm's shoulder
                grid = grid[np.linalg.norm(grid - SHOULDER, axis=1) > 60]
            found.append(grid)
            of.append(np.full(len(grid), part))
        return np.concatenate(found), np.concatenate(of)

    def motion(self, k: int, part: int = 0) -> np.ndarray:
        """From a part's pixels to the picture's at frame k, (2, 3)."""
        middle = (CARD_PX[0] / 2, CARD_PX[1] / 2)
        turn = cv2.getRotationMatrix2D(middle, 8 * np.sin(k / 25), 1.0)
        turn[:, 2] += (110 + 2.8 * k - middle[0], 240 + 30 * np.sin(k / 20) - middle[1])
        if part == 0:
            return turn
        swing = cv2.getRotationMatrix2D((15, 25), 35 * np.sin(k / 15), 1.0)
        swing[:, 2] += np.array(SHOULDER) - (15, 25)
        return turn @ np.vstack([swing, (0, 0, 1)])

    def places(self, points: np.ndarray, of: np.ndarray, k: int) -> np.ndarray:
        """Where points truly are at frame k, (N, 2)."""
        out = np.empty_like(points)
        for part in range(len(self._parts)):
            M = self.motion(k, part)
            out[of == part] = points[of == part] @ M[:, :2].T + M[:, 2]
        return out.astype(np.float32)

    def look(self, k: int) -> tuple[ColorImage, DepthMap, np.ndarray]:
        """Colour, true depth, and which part each pixel shows (-1: none), at frame k."""
        color, shows = self._wall.copy(), np.full((HEIGHT, WIDTH), -1)
        depth_m = np.full((HEIGHT, WIDTH), WALL_Z, np.float32)
        for part, picture in enumerate(self._parts):
            M, size = self.motion(k, part), (WIDTH, HEIGHT)
            color = cv2.warpAffine(picture, M, size, color, borderMode=cv2.BORDER_TRANSPARENT)
            here = cv2.warpAffine(np.ones(picture.shape[:2], np.float32), M, size) > 0.5
            depth_m[here], shows[here] = CARD_Z, part
        color[:, POST], depth_m[:, POST], shows[:, POST] = self._post[:, POST], POST_Z, -1
        noise = 2 * np.random.default_rng(k).standard_normal(color.shape, np.float32)
        return np.clip(color + noise, 0, 255).astype(np.uint8), depth_m, shows


def visible(places: np.ndarray, of: np.ndarray, shows: np.ndarray) -> Mask:
    """Which points (N, 2) are seen."""
    column, row = np.rint(places).astype(int).T
    inside = (row >= 0) & (row < HEIGHT) & (column >= 0) & (column < WIDTH)
    at = shows[np.clip(row, 0, HEIGHT - 1), np.clip(column, 0, WIDTH - 1)]
    return np.asarray(inside & (at == of))
