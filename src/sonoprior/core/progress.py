"""A progress bar with the time left, for work that takes longer than a breath."""

import sys
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Ticker(Protocol):
    """What `bar` yields: call it after each piece of work."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Advance by `steps`; a note stands at the end of the bar until the next one."""
        ...


@contextmanager
def bar(text: str, total: int) -> Generator[Ticker, None, None]:
    """A bar on standard error that counts to `total`; on a plain file it writes one line at the end.

    Bars may stand inside one another.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task(text, total=total, note="")

        def tick(steps: int = 1, note: str = "") -> None:
            progress.advance(task, steps)
            if note:
                progress.update(task, note=note)

        yield tick


def track(items: Collection[Item], text: str) -> Iterator[Item]:
    """Yield the items one by one under a bar."""
    with bar(text, len(items)) as tick:
        for item in items:
            yield item
            tick()
