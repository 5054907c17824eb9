"""Printed documents: what is in them is decided by services, how they look by an adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings; `widths` are relative."""

    headings: Sequence[str]
    widths: Sequence[float]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with paragraphs and, below them, a table."""

    title: str
    paragraphs: Sequence[str] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document. `created_us` is its date, so that the same content makes the same bytes."""

    title: str
    subtitle: str
    created_us: int
    sections: Sequence[Section]


class DocumentRenderer(Protocol):
    """Makes a PDF."""

    def render(self, document: Document) -> bytes: ...
