"""What a section of a page is made of: text, notes, facts, tables, pictures.

Blocks are plain records; the template `blocks.html` has one macro for each, named by its `kind`.
All text is escaped by the template.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from .pictures import Picture

Tone = Literal["plain", "good", "warning", "bad", "strong"]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Note:
    """A sentence that must not be overlooked, in a coloured box."""

    kind: ClassVar[str] = "note"
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Code:
    """A command or a file's text, as it is typed."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Fact:
    """One number with what it counts: `Fact("624", "cases")`."""

    value: str
    name: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Facts:
    """The few numbers to read first, in a row."""

    kind: ClassVar[str] = "facts"
    items: Sequence[Fact]


@dataclass(frozen=True)
class Figure:
    """One picture. Without `alt`, the caption describes it to those who cannot see it.

    `width` is a CSS width such as "320px"; without it the picture keeps its size, within the page. `file`
    is the name, without an ending, that the picture takes where a page keeps its pictures beside it.
    """

    kind: ClassVar[str] = "figure"
    picture: Picture
    caption: str = ""
    alt: str = ""
    width: str = ""
    file: str = ""


@dataclass(frozen=True)
class Cell:
    """A table cell that stands out."""

    kind: ClassVar[str] = "cell"
    content: str | int | float
    tone: Tone = "strong"


@dataclass(frozen=True)
class Bar:
    """A table cell with a bar as long as its share, from 0 to 1, and a text beside it."""

    kind: ClassVar[str] = "bar"
    share: float
    text: str


@dataclass(frozen=True)
class Table:
    """A table. A cell is text, a number (formatted by the caller), a `Cell`, a `Bar`, or a `Figure`.

    Columns that hold only numbers are aligned right; pictures in cells make a grid with headings
    (rows = images, columns = models). On a narrow screen the table scrolls, not the page.
    """

    kind: ClassVar[str] = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[str | int | float | Cell | Bar | Figure]]
    caption: str = ""


@dataclass(frozen=True)
class Tile:
    """One picture of a gallery: a caption, and optionally a coloured word over the picture."""

    picture: Picture
    caption: str = ""
    badge: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Gallery:
    """Pictures in rows that wrap; `width` is that of one picture in pixels."""

    kind: ClassVar[str] = "gallery"
    tiles: Sequence[Tile]
    caption: str = ""
    width: int = 160
    tone: Tone = "plain"


@dataclass(frozen=True)
class Download:
    """A text file inside the page, saved on a click: the numbers behind a plot.

    `text` is what the link says, `content` the file's text.
    """

    kind: ClassVar[str] = "download"
    text: str
    file: str
    content: str


@dataclass(frozen=True)
class Fold:
    """Blocks behind a line that opens on a click; for what is long and seldom needed."""

    kind: ClassVar[str] = "fold"
    summary: str
    blocks: "Sequence[Block]"


Block = Paragraph | Note | Code | Facts | Figure | Table | Gallery | Download | Fold
