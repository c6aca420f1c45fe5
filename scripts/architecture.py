"""Draws the rooms and their imports into docs/architecture.svg: ``python scripts/architecture.py``.

With ``--check`` nothing is written, and the status is 1 if the picture is not true any more.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

import grimp
import tomllib

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
WIDE, HIGH, GAP, LEFT, TOP = 128, 34, 14, 20, 46
TITLES = {"ui": "ui", "lingbot_live": "lingbot_live (the core)", "drivers": "drivers"}
COLUMN_X = {"ui": LEFT, "lingbot_live": 390, "drivers": 1060}


def rows(package: str) -> list[list[str]]:
    """Return the floors of a package, as import-linter checks them."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for contract in config["tool"]["importlinter"]["contracts"]:
        if contract.get("containers") == [package]:
            floors = [row.replace(":", "|").split("|") for row in contract["layers"]]
            named = [[part.strip(" ()") for part in floor] for floor in floors]
            there = [[part for part in floor if exists(package, part)] for floor in named]
            return [floor for floor in there if floor]
    raise SystemExit(f"no floors of {package} in pyproject.toml")


def exists(package: str, room: str) -> bool:
    """Whether a room of the plan is built."""
    return (ROOT / package / room).is_dir() or (ROOT / package / f"{room}.py").exists()


def imports() -> set[tuple[str, str]]:
    """Return which room imports which other room."""
    graph = grimp.build_graph("lingbot_live", "drivers", "ui")
    found: set[tuple[str, str]] = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            ends = tuple(".".join(name.split(".")[:2]) for name in (module, other))
            if ends[0] != ends[1]:
                found.add((ends[0], ends[1]))
    return found


def places() -> dict[str, tuple[int, int]]:
    """Return the top left corner of every room."""
    found = {}
    for package, x in COLUMN_X.items():
        for at, floor in enumerate(rows(package)):
            for column, room in enumerate(floor):
                found[f"{package}.{room}"] = (x + column * (WIDE + GAP), TOP + at * (HIGH + 30))
    return found


def draw() -> str:
    """Return the picture: arrows run down or sideways to the core, never back up."""
    at = places()
    wide = max(x for x, _ in at.values()) + WIDE + LEFT
    high = max(y for _, y in at.values()) + HIGH + LEFT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" '
        'markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#53657a"/></marker></defs>',
    ]
    for package, x in COLUMN_X.items():
        parts.append(f'<text x="{x}" y="26" font-weight="bold">{TITLES[package]}</text>')
    for source, target in sorted(imports()):
        if source in at and target in at and source.split(".")[0] == target.split(".")[0]:
            parts.append(arrow(at[source], at[target], source, target))
    parts += [between(package) for package in COLUMN_X if package != "lingbot_live"]
    for name, (x, y) in at.items():
        room = escape(name.partition(".")[2])
        parts.append(
            f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="5" fill="#eef2f6" '
            f'stroke="#53657a"/><text x="{x + WIDE / 2:g}" y="{y + 22}" text-anchor="middle">'
            f"{room}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def between(package: str) -> str:
    """Return the one broad arrow from a package to the core."""
    x1, x2 = (320, 378) if package == "ui" else (1046, 988)
    y = TOP + 11 * HIGH
    words = ("all of ui may import the core;", "of the core, cli alone starts ui")
    if package == "drivers":
        words = ("drivers import the core;", "it finds them by entry point")
    lines = "".join(
        f'<text x="{LEFT if x1 < x2 else x2}" y="{y + 24 + 15 * at}" font-size="11">{word}</text>'
        for at, word in enumerate(words)
    )
    path = f'<path d="M{x1} {y}H{x2}" stroke="#53657a" stroke-width="6" marker-end="url(#tip)"/>'
    return path + lines


def arrow(start: tuple[int, int], end: tuple[int, int], source: str, target: str) -> str:
    """Return one arrow; one that runs back up is red."""
    color = "#d01c1c" if end[1] <= start[1] else "#8aa0b8"
    x1, x2 = start[0] + WIDE / 2, end[0] + WIDE / 2
    y1, y2 = start[1] + HIGH, end[1]
    bend = (y1 + y2) / 2
    return (
        f'<path d="M{x1:g} {y1:g} C{x1:g} {bend:g} {x2:g} {bend:g} {x2:g} {y2:g}" fill="none" '
        f'stroke="{color}" stroke-width="1.6" opacity="0.75" '
        f'marker-end="url(#tip)"><title>{source} to {target}</title></path>'
    )


def main() -> int:
    """Write the picture, or compare it."""
    picture = draw()
    if "--check" in sys.argv:
        is_true = PICTURE.exists() and PICTURE.read_text("utf-8") == picture
        if not is_true:
            sys.stderr.write("docs/architecture.svg is not what is built: make architecture\n")
        return int(not is_true)
    PICTURE.write_text(picture, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
