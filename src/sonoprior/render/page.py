"""One HTML file that opens without a network: the base of every page that the project writes.

>>> from sonoprior.render.blocks import Paragraph, Table
>>> page = Page("Two runs", about="Recipe busi-pga on BUSI.")
>>> page = page.section("Accuracy", Paragraph("On the test part."), Table(["run", "accuracy"], [["a", 0.8]]))
>>> '<h2 id="accuracy">Accuracy</h2>' in page.html()
True
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from sonoprior.core.folder import write_text

from .blocks import Bar, Block, Cell, Figure, Table
from .pictures import data_uri

FOOTER = "Research use only; not a diagnosis."
SIMULATED = "Simulated data: no person was examined, and nothing here says how well it works on real images."


@dataclass(frozen=True)
class Section:
    """A heading with its blocks."""

    heading: str
    anchor: str
    blocks: tuple[Block, ...]


class Page:
    """A page with a title, sections of blocks (see `render.blocks`), and the project's footer.

    Args:
        title: the heading and the browser's title.
        about: one or two sentences under the title.
        simulated: the data are simulated; a banner says so at the top of the page.
    """

    def __init__(self, title: str, *, about: str = "", simulated: bool = False) -> None:
        self.title = title
        self.about = about
        self.simulated = simulated
        self.sections: list[Section] = []

    def section(self, heading: str, *blocks: Block) -> "Page":
        """Add a section; returns the page, so that calls can follow one another."""
        taken = {section.anchor for section in self.sections}
        self.sections.append(Section(heading, _anchor(heading, taken), blocks))
        return self

    def html(self) -> str:
        """The page as one text, with its style and its pictures inside."""
        return (
            _templates()
            .get_template("page.html")
            .render(
                page=self,
                footer=FOOTER,
                simulated=SIMULATED,
                data_uri=data_uri,
                number_columns=number_columns,
            )
        )

    def write(self, path: Path) -> None:
        """Write the page whole or not at all.

        Raises:
            FolderError: if the file cannot be written.
        """
        write_text(path, self.html())


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("sonoprior.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _anchor(heading: str, taken: set[str]) -> str:
    """The heading as an address within the page, unique in it."""
    base = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
    anchor, count = base, 2
    while anchor in taken:
        anchor, count = f"{base}-{count}", count + 1
    return anchor


_NUMBER = re.compile(r"^[<>≈+−-]?\s?\d[\d.,]*\s?%?(\s.*)?$|^(nan|–|—|)$")


def number_columns(table: Table) -> list[bool]:
    """For each column: do all its cells begin with a number (or are empty), and one of them for certain?"""
    return [
        _is_number_column([_text(row[index]) for row in table.rows]) for index in range(len(table.header))
    ]


def _is_number_column(cells: list[str]) -> bool:
    return all(_NUMBER.match(cell) for cell in cells) and any(any(map(str.isdigit, cell)) for cell in cells)


def _text(cell: object) -> str:
    if isinstance(cell, Figure | Bar):
        return "no number"
    return str(cell.content if isinstance(cell, Cell) else cell).strip()
