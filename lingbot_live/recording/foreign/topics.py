"""Names of topics that a user chose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """Names for what cannot be matched by itself; as text ``DEPTH,COLOR,CAMERA_INFO``."""

    depth: str
    color: str
    camera_info: str

    @classmethod
    def parse(cls, text: str) -> Topics | None:
        """Read three topics with commas between; None where the text is something else."""
        parts = text.split(",")
        return cls(*parts) if len(parts) == 3 and text.startswith("/") else None

    def __str__(self) -> str:
        return f"{self.depth},{self.color},{self.camera_info}"
