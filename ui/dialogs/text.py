"""A page of text to be read and copied: the log, what `doctor` finds, a camera's data."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import QFontDatabase, QGuiApplication, QImage, QTextDocument
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPlainTextEdit,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from ui.shell.language import tr

_PAGE = QSize(860, 680)
_PICTURE_PX = 780  # beside the margins and the scroll bar of such a page


class TextDialog(QDialog):
    """Shows a text, which may be replaced; a button copies it."""

    def __init__(self, title: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.page = QPlainTextEdit(text)
        self.page.setReadOnly(True)
        self.page.setAccessibleName(title)
        self.page.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.page.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton(tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.page.toPlainText()))
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.page)
        column.addWidget(buttons)
        self.resize(820, 520)

    def show_text(self, text: str) -> None:
        """Show another text."""
        self.page.setPlainText(text)


class DocsPage(QTextBrowser):
    """A page whose pictures are no wider than the page: nobody scrolls sideways to see them."""

    def loadResource(self, kind: int, name: QUrl | str) -> object:  # noqa: N802, D102
        found = super().loadResource(kind, name)
        if kind != QTextDocument.ResourceType.ImageResource.value:
            return found
        image = QImage(self.source().resolved(QUrl(name)).toLocalFile())
        smooth = Qt.TransformationMode.SmoothTransformation
        return image.scaledToWidth(_PICTURE_PX, smooth) if image.width() > _PICTURE_PX else image


class DocsDialog(QDialog):
    """Shows a page of the docs; its links lead to the others."""

    def __init__(self, page: QUrl, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Documentation"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.browser = DocsPage()
        self.browser.setOpenExternalLinks(True)
        self.browser.setSource(page)
        column = QVBoxLayout(self)
        column.addWidget(self.browser)
        self.resize(_PAGE)
