"""What of the window is not said in every language: ``make translations`` lists it, and fails.

With ``--write`` the catalogues in ui/shell/words get an empty entry for each text that is missing,
and lose those that nobody says any more. Whoever adds a text runs it and fills in what is empty.
``--errors`` lists the core's errors that stay English; they need not be in a catalogue.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
import sys
from collections.abc import Iterator
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME))

from drivers.realsense import controls as realsense  # noqa: E402
from lingbot_live.cameras.base import CameraState  # noqa: E402
from lingbot_live.export.formats import FORMATS  # noqa: E402
from lingbot_live.frame import EXTRAS  # noqa: E402
from lingbot_live.model.weights.zoo import ZOO  # noqa: E402
from lingbot_live.quality.depth_errors import Change  # noqa: E402
from lingbot_live.quality.metric import METRICS  # noqa: E402
from ui.cloud.scene import Which  # noqa: E402
from ui.dialogs.option_form import words_of  # noqa: E402
from ui.shell.language import CHINESE, FIELD, read_catalogue  # noqa: E402

WORDS = HOME / "ui" / "shell" / "words"
LANGUAGES = (CHINESE,)
_SAYING = ("tr", "phrase")
# Methods and classes of Qt and of the window that put their text on the screen.
_SHOWING = {
    "QLabel", "ElidedLabel", "QPushButton", "QCheckBox", "QGroupBox", "QAction",
    "QTableWidgetItem", "Notice", "ImageView", "DepthView", "setText", "setToolTip",
    "setWindowTitle", "setAccessibleName", "setAccessibleDescription", "setPlaceholderText",
    "setStatusTip", "setTitle", "setLabelText", "setSpecialValueText", "setFormat",
    "setInformativeText", "addItem", "addItems", "addRow", "addAction", "addMenu", "addSection",
    "addTab", "addButton", "drawText", "setLabel", "say", "_say", "offer", "show_error",
    "show_note", "show_offer", "show_busy", "show_mendable", "set_title", "set_placeholder",
    "getOpenFileName", "getSaveFileName", "getExistingDirectory", "setSuffix", "setPrefix",
    "about",
}  # fmt: skip
# Units, signs, names of files and of products: the same in every language.
_SAME = re.compile(
    r"(bottom|left|Software|mm|px|fps|ms|m|x|s|Hz|MB|GB|RGB|lingbot-live|\*?\.?\w+\.(png|ply|toml)|\*\.png)"
)


def trees(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Yield every Python file below, parsed."""
    for folder in folders:
        for path in sorted((HOME / folder).rglob("*.py")):
            yield path.relative_to(HOME), ast.parse(path.read_text(encoding="utf-8"))


# ---- what the window says ------------------------------------------------------------------------


def window_texts() -> dict[str, str]:
    """Return every text given to `tr` or `phrase`, and of the table of actions, with its place."""
    found: dict[str, str] = {}
    for path, tree in trees("ui"):
        for call in _calls(tree):
            texts = call.args[:1] if _name(call) in _SAYING else []
            if _name(call) == "ActionInfo":
                texts = [arg for at, arg in enumerate(call.args) if at in (1, 3)]
            for text in map(_literal, texts):
                if text:
                    found.setdefault(text, f"{path}:{call.lineno}")
    return found


def mistakes() -> list[str]:
    """Return where the window's sources say something that cannot be translated."""
    return [wrong for path, tree in trees("ui") for wrong in _mistakes(path, tree)]


def _mistakes(path: Path, tree: ast.Module) -> Iterator[str]:
    inside = {id(node) for outer in ast.walk(tree) if isinstance(outer, _SCOPES)
              for node in ast.walk(outer)}  # fmt: skip
    for call in _calls(tree):
        place, name = f"{path}:{call.lineno}", _name(call)
        if name == "tr":
            text, given = _literal(call.args[0]), {word.arg for word in call.keywords}
            if isinstance(call.args[0], ast.JoinedStr):
                yield f"{place}: no f-string in tr(); name its fields: tr('{{name}} ...', name=...)"
            elif text is not None and given and given != set(FIELD.findall(text)):
                yield f"{place}: tr({text!r}) is given {sorted(given)}"
            if id(call) not in inside:
                yield f"{place}: tr() before the language is known; use phrase() here, tr() later"
        elif name in _SHOWING:
            for arg in call.args:
                for text in _bare(arg):
                    yield f"{place}: {name}() shows {text!r} in English only; use tr()"


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def _bare(node: ast.expr) -> Iterator[str]:
    """Yield the texts in an argument that no call translates, if they have words."""
    if isinstance(node, ast.Call):
        return
    if isinstance(node, ast.Constant):
        words = str(node.value) if isinstance(node.value, str) else ""
        if re.search("[A-Za-z]{2}", _SAME.sub("", re.sub(r"<[^>]*>|&\w+;", "", words))):
            yield words
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and not isinstance(node, ast.Subscript | ast.Compare):
            yield from _bare(child.value if isinstance(child, ast.FormattedValue) else child)


# ---- what the core says --------------------------------------------------------------------------


def errors() -> dict[str, str]:
    """Return the sentences of all errors that are raised on purpose, each with its place."""
    found: dict[str, str] = {}
    for path, tree in trees("lingbot_live", "drivers", "ui"):
        if "cli" in path.parts:
            continue  # the command line speaks English
        constants = _constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                for arg in node.exc.args[:1]:
                    text = template(arg, constants)
                    if text and _has_words(text):
                        found.setdefault(text, f"{path}:{node.lineno}")
    return found


def tables() -> Iterator[str]:
    """Yield what stands in tables of the core that the window shows."""
    for metric in METRICS.values():
        yield from filter(None, (metric.title, metric.meaning))
    for kind in FORMATS.values():
        yield from (kind.title, kind.words)
        for option in kind.options:
            yield from filter(None, (words_of(option), option.help))
    for name in sorted(_controls()):
        yield name.replace("_", " ").capitalize()
    yield from (entry.purpose for entry in ZOO)
    yield from EXTRAS.values()
    yield from (each.value for each in (*CameraState, *Which))
    yield from (kind.name.capitalize() for kind in Change)
    yield from sorted(_causes())


def _causes() -> set[str]:
    """Return why frames were missed or not refined, as they are counted."""
    found = set()
    for _path, tree in trees("lingbot_live", "drivers"):
        for node in ast.walk(tree):
            counted = isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("missed")
            of_call = isinstance(node, ast.Call) and _name(node) in _COUNTING and node.args
            cause = node.slice if counted else node.args[0] if of_call else None
            found.add(_literal(cause) if cause is not None else None)
    return {cause for cause in found if cause} - {"replaced"}  # which has words of its own


_COUNTING = ("count_drop", "_skip", "_skipped")


def _controls() -> set[str]:
    """Return the names of all settings of sensors, without what they belong to."""
    names = {name for _option, name, _unit in realsense.OPTIONS}
    for _path, tree in trees("drivers"):
        for node in ast.walk(tree):
            text = _literal(node) if isinstance(node, ast.expr) else None
            if text and re.fullmatch(r"(color|depth)\.[a-z_]+", text):
                names.add(text.partition(".")[2])
    return names - {"txt", "png"}


def spoken() -> set[str]:
    """Return every text and sentence that stands anywhere in the sources."""
    found = set(tables())
    for _path, tree in trees("lingbot_live", "drivers", "ui"):
        constants = _constants(tree)
        for node in ast.walk(tree):
            text = template(node, constants) if isinstance(node, ast.expr) else None
            if text:
                found.add(text)
    return found


def template(node: ast.expr, constants: dict[str, str]) -> str | None:
    """Return a text with its fields by name, as ``{path}: no such file``; None for other nodes."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = [template(side, constants) for side in (node.left, node.right)]
        return "".join(side or "{more}" for side in sides) if any(sides) else None
    if not isinstance(node, ast.JoinedStr):
        return None
    text, names = "", dict[str, str]()
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            said = constants.get(part.value.id) if isinstance(part.value, ast.Name) else None
            text += said or "{" + _field(part.value, names) + "}"
    return text


def _field(value: ast.expr, names: dict[str, str]) -> str:
    """Return a name for a field, another one for each expression."""
    source = ast.unparse(value)
    if source not in names:
        bare = re.sub(r"'[^']*'", "", source)
        words = [w for w in re.findall(r"[A-Za-z_]\w*", bare) if w not in _NO_NAMES]
        name, count = (words[-1].strip("_") if words else "value") or "value", 2
        base = name
        while name in names.values():
            name, count = f"{base}{count}", count + 1
        names[source] = name
    return names[source]


_NO_NAMES = {"self", "f", *keyword.kwlist}


def _constants(tree: ast.Module) -> dict[str, str]:
    """Return the module's texts that have a name."""
    pairs = [(each.targets[0], each.value) for each in tree.body if isinstance(each, ast.Assign)]
    return {
        target.id: str(value.value)
        for target, value in pairs
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant)
        and isinstance(value.value, str) and " " in value.value
    }  # fmt: skip


def _has_words(text: str) -> bool:
    return bool(re.search("[A-Za-z]{2}", re.sub(r"\{[^}]*\}", "", text)))


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    return getattr(call.func, "attr", "") or getattr(call.func, "id", "")


def _literal(node: ast.expr) -> str | None:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else None  # type: ignore[attr-defined]


# ---- the catalogues ------------------------------------------------------------------------------


def findings(name: str) -> list[str]:
    """Return what is wrong with a language's catalogues."""
    found = []
    window, core = (read(name, part) for part in ("window", "core"))
    shown, texts_now = dict.fromkeys(tables(), "a table of the core"), window_texts()
    for texts, said in ((texts_now, window), (shown, core)):
        found += [f"{place}: {text!r} has no text in {name}" for text, place in texts.items()
                  if not said.get(text)]  # fmt: skip
    found += [f"{name}.window.po: nobody says {text!r}" for text in window if text not in texts_now]
    there = spoken()
    found += [f"{name}.core.po: nobody says {text!r}" for text in core if text not in there]
    for text, other in {**window, **core}.items():
        if other and set(FIELD.findall(text)) != set(FIELD.findall(other)):
            found.append(f"{name}: {text!r} and {other!r} differ in their fields")
    return found


def read(name: str, part: str) -> dict[str, str]:
    """Return a catalogue as it lies on the disk."""
    path = WORDS / f"{name}.{part}.po"
    return read_catalogue(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(name: str, part: str, said: dict[str, str]) -> None:
    """Write a catalogue, sorted, so that two people's new texts seldom meet."""
    head = f'msgid ""\nmsgstr "Language: {name}\\nContent-Type: text/plain; charset=UTF-8\\n"\n'
    entries = [f"msgid {_quoted(text)}\nmsgstr {_quoted(said[text])}\n" for text in sorted(said)]
    path = WORDS / f"{name}.{part}.po"
    path.write_text("\n".join([head, *entries]), encoding="utf-8")


def update(name: str) -> None:
    """Add what is missing, empty, and drop what nobody says."""
    before = read(name, "window")
    write(name, "window", {text: before.get(text, "") for text in window_texts()})
    before, there = read(name, "core"), spoken()
    kept = {text: said for text, said in before.items() if text in there}
    write(name, "core", {**dict.fromkeys(tables(), ""), **kept})


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main() -> int:
    """Tell what is missing; with ``--write`` make room for it."""
    if "--write" in sys.argv[1:]:
        for name in LANGUAGES:
            update(name)
    if "--errors" in sys.argv[1:]:
        known = read(CHINESE, "core")
        lacking = [f"{place}: {text}\n" for text, place in errors().items() if text not in known]
        sys.stdout.write("".join(lacking))
    found = mistakes() + [text for name in LANGUAGES for text in findings(name)]
    sys.stdout.write("".join(f"{text}\n" for text in found))
    if found:
        sys.stdout.write(
            f"{len(found)} to mend: make translations ARGS=--write puts what is missing into "
            "ui/shell/words/*.po, where it is filled in.\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
