"""PDF documents with fpdf2 and the standard fonts."""

import unicodedata
from collections.abc import Sequence
from typing import Final

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos
from fpdf.fonts import FontFace

from hashyard_cloud.services.ports.documents import Document, Section, Table
from hashyard_shared.clock import iso, utc

_FONT: Final = "helvetica"
_MARGIN_MM: Final = 15
_LINE_MM: Final = 4.6
_REPLACEMENTS: Final = {
    "\u2013": "-",
    "\u2014": "-",
    "\u2212": "-",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2192": "->",
    "\u2026": "...",
    "\u20ac": "EUR",
}


class _Page(FPDF):
    def __init__(self, foot: str) -> None:
        super().__init__(format="A4")
        self._foot = foot

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font(_FONT, size=7)
        self.cell(0, 5, printable(f"{self._foot} - page {self.page_no()}"), align="C")


class PdfRenderer:
    """Implements `services.ports.documents.DocumentRenderer`."""

    def render(self, document: Document) -> bytes:
        pdf = _Page(f"{document.title}, {iso(document.created_us)}")
        pdf.set_creation_date(utc(document.created_us))
        pdf.set_title(printable(document.title))
        pdf.set_margins(_MARGIN_MM, _MARGIN_MM)
        pdf.set_auto_page_break(auto=True, margin=_MARGIN_MM)
        pdf.add_page()
        _text(pdf, document.title, size=16, style="B", line_mm=8)
        _text(pdf, document.subtitle, size=10)
        for section in document.sections:
            _section(pdf, section)
        return bytes(pdf.output())


def _section(pdf: FPDF, section: Section) -> None:
    pdf.ln(3)
    _text(pdf, section.title, size=12, style="B", line_mm=7)
    for paragraph in section.paragraphs:
        _text(pdf, paragraph, size=9)
        pdf.ln(1)
    if section.table is not None and section.table.rows:
        _table(pdf, section.table)


def _table(pdf: FPDF, table: Table) -> None:
    pdf.set_font(_FONT, size=7.5)
    heading = FontFace(emphasis="BOLD", fill_color=(235, 238, 243))
    with pdf.table(
        col_widths=tuple(table.widths),
        headings_style=heading,
        line_height=_LINE_MM - 0.6,
        padding=0.6,
        text_align=Align.L,
    ) as grid:
        for cells in (table.headings, *table.rows):
            _row(grid.row(), cells)


def _row(row: "object", cells: Sequence[str]) -> None:
    for cell in cells:
        row.cell(printable(cell))  # type: ignore[attr-defined]  # fpdf2 does not export its row class


def _text(pdf: FPDF, text: str, *, size: float, style: str = "", line_mm: float = _LINE_MM) -> None:
    pdf.set_font(_FONT, style=style, size=size)
    pdf.multi_cell(0, line_mm, printable(text), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def printable(text: str) -> str:
    """The text in the characters of the standard fonts; letters lose their accents before they become `?`."""
    for character, replacement in _REPLACEMENTS.items():
        text = text.replace(character, replacement)
    found = []
    for character in text:
        if character.encode("latin-1", "ignore"):
            found.append(character)
            continue
        base = unicodedata.normalize("NFKD", character).encode("latin-1", "ignore").decode("latin-1")
        found.append(base or "?")
    return "".join(found)
