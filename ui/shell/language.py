"""What the window says, in the user's language; the English text is the key.

`tr` translates what the window itself says, `told` what the core says: errors, reports, names.
Knows no Qt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ENGLISH, CHINESE = "en", "zh_CN"
_WORDS = Path(__file__).with_name("words")
_QUOTED = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
_ENTRY = re.compile(rf"^msgid ({_QUOTED})^msgstr ({_QUOTED})", re.MULTILINE)
FIELD = re.compile(r"\{(\w+)(?:![rsa])?(?::[^{}]*)?\}")
_LONGEST = 2000  # of what is looked for among sentences
_now = ENGLISH


def use(name: str) -> None:
    """Say everything in this language from now on; what is on the screen stays as it is."""
    global _now
    _now = name


def phrase(text: str) -> str:
    """Mark a text of a table that is made before the language is known; `tr` says it later."""
    return text


def tr(text: str, /, **fields: object) -> str:
    """Return a text in the user's language, with its named fields filled in."""
    said = catalogue(_now, "window").get(text) or text
    return said.format(**fields) if fields else said


def told(text: str) -> str:
    """Return in the user's language what the core said, if its kind of sentence is known.

    The core writes its sentences with the values already in them, and knows nothing of languages:
    what was the sentence is found by its words, and what were values stays as it is.
    """
    return text if _now == ENGLISH else _told(text)


def _told(text: str) -> str:
    found = catalogue(_now, "core").get(text) or catalogue(_now, "window").get(text)
    if found or len(text) > _LONGEST or not text:
        return found or text
    for pattern, words, said in _sentences(_now):
        match = pattern.fullmatch(text) if all(word in text for word in words) else None
        if match is not None:
            return _filled(said, {name: _told(v) for name, v in match.groupdict().items()})
    between = next((mark for mark in ("\n", "; ") if mark in text), "")
    return between.join(map(_told, text.split(between))) if between else text


def _filled(said: str, values: Mapping[str, str]) -> str:
    return FIELD.sub(lambda field: values.get(field[1], field[0]), said)


@cache
def catalogue(name: str, part: str) -> Mapping[str, str]:
    """Return a language's texts by the English ones: of the ``window``, or of the ``core``."""
    path = _WORDS / f"{name}.{part}.po"
    return read_catalogue(path.read_text(encoding="utf-8")) if path.is_file() else {}


def read_catalogue(text: str) -> dict[str, str]:
    """Return the entries of a gettext file (.po) without its head, which has an empty key."""
    pairs = ((_joined(key), _joined(said)) for key, said in _ENTRY.findall(text))
    return {key: said for key, said in pairs if key}


def _joined(quoted: str) -> str:
    parts = re.findall(r'"(?:[^"\\]|\\.)*"', quoted)
    return "".join(json.loads(part) for part in parts)


@cache
def _sentences(name: str) -> list[tuple[re.Pattern[str], list[str], str]]:
    """Return for every sentence with fields its pattern, its words, and what is said for it.

    The one with the most words of its own comes first.
    """
    found = []
    for text, said in catalogue(name, "core").items():
        words = FIELD.split(text)[::2]
        if len(words) > 1 and said:
            found.append((_pattern(text), [word for word in words if word], said))
    return sorted(found, key=lambda each: -sum(map(len, each[1])))


def _pattern(text: str) -> re.Pattern[str]:
    parts = FIELD.split(text)
    seen: set[str] = set()
    for at in range(1, len(parts), 2):
        name = parts[at]
        parts[at] = f"(?P={name})" if name in seen else f"(?P<{name}>.*?)"
        seen.add(name)
    parts[::2] = map(re.escape, parts[::2])
    return re.compile("".join(parts), re.DOTALL)
