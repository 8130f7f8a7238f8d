"""The same pages as Markdown, for places that show it: text in one file, pictures as files beside it.

What only a browser can do is left out: links that save the numbers behind a plot. A table has as many cells
in every row as in its header, and nothing in a text is taken for markup.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from sonoprior.core.folder import whole_file, write_text

from .blocks import Bar, Block, Cell, Code, Download, Facts, Figure, Fold, Gallery, Note, Paragraph, Table
from .page import FOOTER, SIMULATED, Page, number_columns
from .pictures import content_of, ending_of

# An underscore between letters is never markup, and stays as it is.
_MARKUP = re.compile(r"[\\`*\[\]<>|~]|(?<![^\W_])_|_(?![^\W_])")
_AT_THE_START = re.compile(r"^([#+-]|\d+[.)])(?=\s)")
_PICTURES = {".svg", ".png", ".jpg", ".webp"}


def write_markdown(page: Page, path: Path) -> list[Path]:
    """Write a page as Markdown, each file whole or not at all.

    Pictures go into a folder beside it, named like the page without its ending; pictures that an earlier
    page left there are removed.

    Returns:
        Every file that was written, the page first.

    Raises:
        FolderError: if a file cannot be written.
    """
    text, pictures = markdown(page, path.stem)
    folder = path.parent / path.stem
    for name, content in pictures.items():
        with whole_file(folder / name) as temporary:
            temporary.write_bytes(content)
    for old in folder.glob("*"):
        if old.suffix in _PICTURES and old.name not in pictures:
            old.unlink()
    write_text(path, text)
    return [path, *(folder / name for name in pictures)]


def markdown(page: Page, folder: str) -> tuple[str, dict[str, bytes]]:
    """A page as text, and its pictures by the name of their file in `folder`."""
    writer = _Writer(folder)
    parts = [f"# {escaped(page.title)}"]
    parts += [f"> **{escaped(SIMULATED)}**"] if page.simulated else []
    parts += [escaped(page.about)] if page.about else []
    for section in page.sections:
        parts += [f"## {escaped(section.heading)}", *writer.section(section.anchor, section.blocks)]
    parts.append(f"*{escaped(FOOTER)} Made with sonoprior.*")
    return "\n\n".join(parts) + "\n", writer.pictures


def escaped(text: str) -> str:
    r"""Text on one line in which nothing is markup.

    >>> print(escaped("a|b, *c*, d_e"))
    a\|b, \*c\*, d_e
    """
    line = " ".join(text.split())
    return _AT_THE_START.sub(r"\\\1", _MARKUP.sub(lambda found: f"\\{found[0]}", line))


class _Writer:
    """One method for each kind of block, as the template `blocks.html` has one macro for each.

    Args:
        folder: where the page finds its pictures.
    """

    def __init__(self, folder: str) -> None:
        self.pictures: dict[str, bytes] = {}
        self._folder = folder
        self._section = ""

    def section(self, anchor: str, blocks: Iterable[Block]) -> list[str]:
        """The parts of a section; a picture without a name of its own is named after it."""
        self._section = anchor
        return self._blocks(blocks)

    def _blocks(self, blocks: Iterable[Block]) -> list[str]:
        return [part for block in blocks for part in getattr(self, block.kind)(block)]

    def paragraph(self, block: Paragraph) -> list[str]:
        return [escaped(block.text)]

    def note(self, block: Note) -> list[str]:
        text = escaped(block.text)
        return [f"> **{text}**" if block.tone == "strong" else f"> {text}"]

    def code(self, block: Code) -> list[str]:
        """Between fences that are longer than any in the code."""
        longest = max((len(found) for found in re.findall(r"`+", block.text)), default=0)
        fence = "`" * max(3, longest + 1)
        return [f"{fence}\n{block.text.rstrip()}\n{fence}"]

    def facts(self, block: Facts) -> list[str]:
        names, values = zip(*((fact.name, fact.value) for fact in block.items), strict=True)
        return [_table(names, [[escaped(value) for value in values]], [True] * len(names))]

    def figure(self, block: Figure) -> list[str]:
        return [self._picture(block), *_caption(block.caption)]

    def table(self, block: Table) -> list[str]:
        rows = [[self._cell(cell) for cell in row] for row in block.rows]
        return [_table(block.header, rows, number_columns(block)), *_caption(block.caption)]

    def gallery(self, block: Gallery) -> list[str]:
        said = [": ".join(text for text in (tile.badge, tile.caption) if text) for tile in block.tiles]
        shown = [
            self._picture(Figure(tile.picture, alt=text))
            for tile, text in zip(block.tiles, said, strict=True)
        ]
        rows = [[picture, escaped(text)] for picture, text in zip(shown, said, strict=True)]
        return [_table(["picture", "what"], rows, [False, False]), *_caption(block.caption)]

    def download(self, _block: Download) -> list[str]:
        return []

    def fold(self, block: Fold) -> list[str]:
        inside = self._blocks(block.blocks)
        return [f"<details><summary>{escaped(block.summary)}</summary>", *inside, "</details>"]

    def _cell(self, cell: str | float | Cell | Bar | Figure) -> str:
        if isinstance(cell, Figure):
            return " ".join([self._picture(cell), escaped(cell.caption)]).rstrip()
        if isinstance(cell, Cell):
            text = escaped(str(cell.content))
            return text if cell.tone == "plain" or not text else f"**{text}**"
        return escaped(cell.text if isinstance(cell, Bar) else str(cell))

    def _picture(self, figure: Figure) -> str:
        content = content_of(figure.picture)
        name = self._free(_file_name(figure.file or self._section), ending_of(content))
        self.pictures[name] = content
        return f"![{escaped(figure.alt or figure.file or figure.caption)}]({self._folder}/{name})"

    def _free(self, base: str, ending: str) -> str:
        name, number = f"{base}{ending}", 2
        while name in self.pictures:
            name, number = f"{base}-{number}{ending}", number + 1
        return name


def _file_name(name: str) -> str:
    """Without what an address in Markdown would have to escape."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-") or "picture"


def _caption(text: str) -> list[str]:
    return [f"*{escaped(text)}*"] if text else []


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[bool]) -> str:
    """A table of cells that are Markdown already, under names that are not."""
    lines = [_line(map(escaped, header)), _line("---:" if number else "---" for number in numbers)]
    return "\n".join([*lines, *map(_line, rows)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
