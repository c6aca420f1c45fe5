"""Which language the window speaks: the chosen one, or the system's if it has the letters."""

from __future__ import annotations

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication

from ui.shell.language import CHINESE, ENGLISH, catalogue, use

LANGUAGES = {"": "", ENGLISH: "English", CHINESE: "中文"}  # as they call themselves; as the system
# Said in English, as it tells why the rest is in English.
NO_FONT = (
    "No font here has Chinese characters, so the window is in English. On Debian and Ubuntu: "
    "sudo apt install fonts-noto-cjk"
)


def start(app: QApplication, chosen: str) -> str:
    """Speak the chosen language, or the system's for an empty text; returns what hinders it."""
    name = _resolved(chosen)
    if name == CHINESE and not QFontDatabase.families(
        QFontDatabase.WritingSystem.SimplifiedChinese
    ):
        use(ENGLISH)
        return NO_FONT
    use(name)
    if name != ENGLISH:  # what Qt itself says: its buttons, its file dialog
        translator = QTranslator(app)
        place = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        if translator.load(f"qtbase_{name}", place):
            app.installTranslator(translator)
    return ""


def said_in(chosen: str, text: str) -> str:
    """Return a text in a language that is not spoken yet; empty stands for the system's."""
    return catalogue(_resolved(chosen), "window").get(text) or text


def _resolved(chosen: str) -> str:
    """Return a language that is known: the chosen one, else the system's, else English."""
    if chosen in LANGUAGES and chosen:
        return chosen
    spoken = QLocale.system().uiLanguages()
    return CHINESE if spoken and spoken[0].startswith("zh") else ENGLISH
