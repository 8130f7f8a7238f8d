"""How commands print: a table for people, JSON for programs."""

import json
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_json(content: object) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(content, indent=2, ensure_ascii=False))


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers are formatted by the caller."""
    table = Table(title=title, title_justify="left")
    for name in header:
        table.add_column(name)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))  # a path may hold brackets
    Console().print(table)
