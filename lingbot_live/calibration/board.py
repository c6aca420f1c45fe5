"""Calibration boards: written as one word, drawn for the printer, found in a picture."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError, did_you_mean
from lingbot_live.frame import ColorImage, Matrix
from lingbot_live.system.outputs import marked_png
from lingbot_live.system.writing import writing

if TYPE_CHECKING:
    import cv2

KINDS = ("charuco", "chessboard")
DICTIONARY = "5x5_100"
LEAST_CORNERS = 6  # in one picture; a plane's pose needs four, two more tell mistakes
_DPM = 300 / 0.0254  # dots per metre
_UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}
_HOW = (
    "write charuco:7x5:40mm:30mm (squares, square, marker) or chessboard:9x6:25mm (inner corners)"
)


@dataclass(frozen=True, slots=True)
class Board:
    """A board. ``columns`` and ``rows`` count squares of a ChArUco, inner corners of a chessboard.

    Its axes: x along the columns, y along the rows, z away from who looks at it.
    """

    kind: str
    columns: int
    rows: int
    square_m: float
    marker_m: float = 0.0
    dictionary: str = DICTIONARY

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"board {self.kind!r}: known kinds are {', '.join(KINDS)}; {_HOW}")
        if not (3 <= self.columns <= 50 and 3 <= self.rows <= 50):
            raise ConfigError(f"board: {self.columns}x{self.rows} must lie within 3x3 and 50x50")
        if not 0.001 <= self.square_m <= 1:
            raise ConfigError(f"board: a square of {self.square_m:g} m must be 1 mm to 1 m; {_HOW}")
        if self.kind == "chessboard":
            if (self.columns + self.rows) % 2 == 0:
                raise ConfigError(
                    f"board: a chessboard of {self.columns}x{self.rows} inner corners looks the "
                    "same upside down; use one odd and one even number, such as 9x6"
                )
            return
        if not 0 < self.marker_m < self.square_m:
            raise ConfigError(
                f"board: a marker of {1e3 * self.marker_m:g} mm must be smaller than its square of "
                f"{1e3 * self.square_m:g} mm"
            )
        known = _dictionaries()
        if self.dictionary not in known:
            hint = did_you_mean(self.dictionary, known)
            raise ConfigError(f"board: no marker dictionary {self.dictionary!r}.{hint}")
        if self.columns * self.rows // 2 > int(self.dictionary.rpartition("_")[2]):
            raise ConfigError(
                f"board: {self.columns}x{self.rows} squares need more markers than "
                f"{self.dictionary} has; choose a larger dictionary, such as 5x5_1000"
            )

    @classmethod
    def parse(cls, text: str) -> Board:
        """Read ``charuco:COLUMNSxROWS:SQUARE:MARKER[:DICTIONARY]`` or ``chessboard:CxR:SQUARE``.

        Raises:
            ConfigError: it is neither, or no such board can be.
        """
        kind, _, rest = text.strip().lower().partition(":")
        parts = rest.split(":")
        counts = {"charuco": (3, 4), "chessboard": (2,)}.get(kind, ())
        if len(parts) not in counts:
            raise ConfigError(f"board {text!r}: {_HOW}")
        columns, _, rows = parts[0].partition("x")
        if not (columns.isdigit() and rows.isdigit()):
            raise ConfigError(f"board {text!r}: {parts[0]!r} is no COLUMNSxROWS; {_HOW}")
        lengths = [_metres(text, part) for part in parts[1:3]]
        marker_m = lengths[1] if len(lengths) > 1 else 0.0
        dictionary = parts[3] if len(parts) > 3 else DICTIONARY
        return cls(kind, int(columns), int(rows), lengths[0], marker_m, dictionary)

    def __str__(self) -> str:
        text = f"{self.kind}:{self.columns}x{self.rows}:{1e3 * self.square_m:g}mm"
        if self.kind == "chessboard":
            return text
        other = f":{self.dictionary}" if self.dictionary != DICTIONARY else ""
        return f"{text}:{1e3 * self.marker_m:g}mm{other}"

    @property
    def squares(self) -> tuple[int, int]:
        """Columns and rows of squares."""
        more = self.kind == "chessboard"
        return self.columns + more, self.rows + more

    @property
    def corners_m(self) -> Matrix:
        """Where the inner corners lie on the board, (N, 3) metres, z = 0, row by row."""
        columns, rows = self.squares
        x, y = np.meshgrid(np.arange(1, columns), np.arange(1, rows))
        out: Matrix = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3) * self.square_m
        return out

    def draw(self, px_per_square: int = 100) -> npt.NDArray[np.uint8]:
        """Return the board's picture, (H, W) uint8, with a white margin of one square."""
        columns, rows = self.squares
        if self.kind == "charuco":
            size = (columns * px_per_square, rows * px_per_square)
            inner = np.asarray(_charuco(self).generateImage(size, marginSize=0), np.uint8)
        else:
            dark = np.add.outer(np.arange(rows), np.arange(columns)) % 2 == 0
            inner = np.where(dark, 0, 255).astype(np.uint8)
            inner = inner.repeat(px_per_square, 0).repeat(px_per_square, 1)
        return np.pad(inner, px_per_square, constant_values=255)

    def save_picture(self, path: Path) -> None:
        """Write the picture for a printer with 300 dots per inch.

        Raises:
            ConfigError: its name does not end as a picture's.
            WriteError: it cannot be written there.
        """
        import cv2

        picture = self.draw(max(20, round(self.square_m * _DPM)))
        try:
            done, data = cv2.imencode(path.suffix.lower(), picture)
        except cv2.error:
            done = False
        if not done:
            raise ConfigError(f"{path}: cannot write such a picture; end the name in .png")
        is_png = path.suffix.lower() == ".png"
        with writing(path):
            path.write_bytes(marked_png(data.tobytes()) if is_png else data.tobytes())

    def find(self, color: ColorImage) -> Sighting | None:
        """Find the board in a picture, (H, W, 3) uint8 RGB; None where too little of it is seen.

        A ChArUco may be seen in part, a chessboard must be seen whole. 10 to 60 ms at 640x480.
        """
        import cv2

        gray = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)
        found = _find_charuco(self, gray) if self.kind == "charuco" else _find_chess(self, gray)
        if found is None or len(found[0]) < LEAST_CORNERS:
            return None
        order = np.argsort(found[0])
        ids, pixels = found[0][order], found[1][order]
        if np.linalg.matrix_rank(self.corners_m[ids, :2] - self.corners_m[ids[0], :2]) < 2:
            return None  # on one line, which any turn about it would fit
        return Sighting(ids, pixels)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """Inner corners of a board in one picture."""

    ids: npt.NDArray[np.intp]  # (N,) rows of `Board.corners_m`, ascending
    pixels: Matrix  # (N, 2) u, v


def _metres(text: str, part: str) -> float:
    number = part.rstrip("cm")
    try:
        return float(number) * _UNITS[part[len(number) :]]
    except (KeyError, ValueError):
        raise ConfigError(f"board {text!r}: {part!r} is no length; {_HOW}") from None


@functools.cache
def _dictionaries() -> dict[str, int]:
    """Return OpenCV's dictionaries by name, such as ``5x5_100``."""
    from cv2 import aruco

    names = (name for name in dir(aruco) if name.startswith("DICT_") and name[5].isdigit())
    return {name[5:].lower(): getattr(aruco, name) for name in names}


@functools.cache
def _charuco(board: Board) -> cv2.aruco.CharucoBoard:
    from cv2 import aruco

    marks = aruco.getPredefinedDictionary(_dictionaries()[board.dictionary])
    size = (board.columns, board.rows)
    return aruco.CharucoBoard(size, board.square_m, board.marker_m, marks)


def _find_charuco(board: Board, gray: Any) -> tuple[npt.NDArray[np.intp], Matrix] | None:
    from cv2 import aruco

    corners, ids, _, _ = aruco.CharucoDetector(_charuco(board)).detectBoard(gray)
    if ids is None or len(ids) == 0:
        return None
    numbers = ids.ravel().astype(np.intp)
    return numbers, _sharpened(board, numbers, corners.reshape(-1, 1, 2), gray)


def _sharpened(board: Board, ids: npt.NDArray[np.intp], corners: Any, gray: Any) -> Matrix:
    """Search again around each corner: OpenCV's own answer for a ChArUco is half a pixel off.

    The window ends before the nearest marker begins, whose edges would pull the corner.
    """
    import cv2

    where_m, pixels = board.corners_m[ids, :2], corners.reshape(-1, 2)
    apart = [np.linalg.norm(p - p[:, None], axis=-1) + np.eye(len(p)) * 1e9
             for p in (where_m, pixels)]  # fmt: skip
    px_per_m = float(np.median(apart[1].min(0) / apart[0].min(0))) if len(ids) > 1 else 0.0
    half = int(np.clip((board.square_m - board.marker_m) / 2 * px_per_m, 2, 6))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-3)
    found = cv2.cornerSubPix(gray, np.array(corners, np.float32), (half, half), (-1, -1), criteria)
    out: Matrix = found.reshape(-1, 2).astype(np.float64)
    return out


def _find_chess(board: Board, gray: Any) -> tuple[npt.NDArray[np.intp], Matrix] | None:
    import cv2

    size, flags = (board.columns, board.rows), cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCornersSB(gray, size, flags=flags)
    if not found:
        return None
    ids = np.arange(board.columns * board.rows)
    grid = _upright(corners.reshape(board.rows, board.columns, 2), gray)
    return ids, _sharpened(board, ids, grid.reshape(-1, 1, 2), gray)


def _upright(grid: Matrix, gray: Any) -> Matrix:
    """Number the corners as `Board.corners_m`: not mirrored, the first inner square dark.

    The board's first square is dark, and so is the one down and right of it.
    """
    across, down = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
    if across[0] * down[1] - across[1] * down[0] < 0:
        grid = grid[:, ::-1]
    return grid if _is_dark_first(grid, gray) else grid[::-1, ::-1]


def _is_dark_first(grid: Matrix, gray: Any) -> bool:
    """Whether squares of even column plus row, counted from the first inner one, are dark."""
    middles = (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4
    u, v = np.rint(middles).astype(int).reshape(-1, 2).T
    height, width = gray.shape
    values = gray[np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)].reshape(middles.shape[:2])
    even = np.add.outer(*(np.arange(n) for n in middles.shape[:2])) % 2 == 0
    return bool(values[even].mean() < values[~even].mean())
