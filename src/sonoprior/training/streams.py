"""Streams of batches: what a step reads, each stream with its own cases, order and views."""

from collections.abc import Generator, Iterator, Mapping
from typing import Protocol

from sonoprior.cases.loading.batch import Batch
from sonoprior.cases.loading.loader import Loader

ONLY = "only"
"""The name of the view of a stream that has one."""


class Stream(Protocol):
    """Batches of one epoch after the other; `ViewLoader` is one."""

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, epoch: int) -> Iterator[Mapping[str, Batch]]:
        """The batches of one epoch, counted from 0, each as its views by name."""
        ...


class OneView:
    """A loader as a stream of one view.

    Args:
        loader: which cases, in which order, augmented how.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._loader)

    def epoch(self, epoch: int) -> Iterator[Mapping[str, Batch]]:
        """The batches of one epoch, counted from 0."""
        return ({ONLY: batch} for batch in self._loader.epoch(epoch))


def rounds(stream: Stream, steps: int, epoch: int) -> Generator[Mapping[str, Batch], None, None]:
    """At least as many batches of a stream as an epoch has steps; a short stream begins anew.

    Every round is an epoch of the stream of its own, so no two rounds of a run are in the same order; what an
    epoch holds depends on its number alone, so a resumed run reads the same.
    """
    turns = -(-steps // len(stream))
    for turn in range(turns):
        yield from stream.epoch(epoch * turns + turn)
