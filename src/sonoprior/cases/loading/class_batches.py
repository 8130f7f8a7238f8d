"""Batches of k cases of n/k classes, so that a metric loss finds positives and negatives. Free of torch.

Source: Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015, section 3.2; as in the thesis on privileged
information, section 3.2.1.3. Classes are drawn alike, whatever their size, and dealt like cards: none comes
again before all have come, and the same holds for the cases of a class. Everything is derived from the seed
and the epoch alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassBatches:
    """How a loader fills its batches with whole classes.

    Attributes:
        each: k, cases a class in a batch.
        metas: (C,), the meta-class of each class, to draw the classes of a batch from a few of these.
        together: how many meta-classes a batch has.
    """

    each: int
    metas: Integers | None = None
    together: int = 0

    def epoch(self, labels: Integers, batch: int, seed: int, epoch: int) -> Integers:
        """The batches of one epoch, (batches, batch); see the two functions below."""
        if self.metas is None:
            return class_batches(labels, batch, self.each, seed, epoch)
        return hierarchical_batches(labels, self.metas, batch, self.each, self.together, seed, epoch)

    @staticmethod
    def count(labels: Integers, batch: int) -> int:
        """How many batches an epoch has."""
        return _batches(labels, batch)


def class_batches(labels: Integers, batch: int, each: int, seed: int, epoch: int) -> Integers:
    """The batches of one epoch: (batches, batch), indices into the labels.

    There are as many batches as the labelled cases fill, and one at least. A case without a label never
    comes. A class with fewer than `each` cases gives all it has, again and again until there are enough.

    Args:
        labels: (n,) class numbers, -1 for unknown.
        batch: n, cases a batch.
        each: k, cases a class in a batch.
        seed: the run's seed.
        epoch: counted from 0.

    Raises:
        DataError: if `each` does not divide the batch, or there are fewer classes than a batch needs.

    >>> class_batches(np.array([0, 0, 1, 1, -1]), batch=4, each=2, seed=0, epoch=0).shape
    (1, 4)
    """
    wanted = _classes_of_a_batch(batch, each)
    random = generator(seed, "class_batches", epoch)
    cards = _cards(labels, random)
    _enough(len(cards), wanted, batch, each)
    classes = _Deck(np.array(sorted(cards)), random)
    return _filled(cards, [classes.deal(wanted) for _ in range(_batches(labels, batch))], each)


def hierarchical_batches(
    labels: Integers, metas: Integers, batch: int, each: int, together: int, seed: int, epoch: int
) -> Integers:
    """As `class_batches`, but first meta-classes are drawn and then classes in them, in turns.

    A batch then has cousins, which are the hard negatives. Where the drawn meta-classes have too few classes,
    further meta-classes are drawn until the batch is full.

    Args:
        labels: (n,) class numbers, -1 for unknown.
        metas: (C,), the meta-class of each class.
        batch: n, cases a batch.
        each: k, cases a class in a batch.
        together: how many meta-classes a batch has, if they have enough classes.
        seed: the run's seed.
        epoch: counted from 0.

    Raises:
        DataError: if `each` does not divide the batch, there are fewer classes than a batch needs, a label
            has no meta-class, or `together` is not between 1 and the classes of a batch.
    """
    wanted = _classes_of_a_batch(batch, each)
    if not 1 <= together <= wanted:
        raise DataError(
            f"a batch of {wanted} classes can be drawn from 1 to {wanted} meta-classes, but got {together}."
        )
    if labels.max(initial=-1) >= len(metas):
        raise DataError(
            f"every class needs a meta-class, but class {labels.max()} is beyond the {len(metas)} given."
        )
    random = generator(seed, "hierarchical_batches", epoch)
    cards = _cards(labels, random)
    _enough(len(cards), wanted, batch, each)
    present = np.array(sorted(cards))
    groups = {int(meta): _Deck(present[metas[present] == meta], random) for meta in np.unique(metas[present])}
    order = _Deck(np.array(sorted(groups)), random)
    chosen = [_from_groups(groups, order, wanted, together) for _ in range(_batches(labels, batch))]
    return _filled(cards, chosen, each)


class _Deck:
    """Cards that are dealt in a random order, and shuffled again when all have been dealt."""

    def __init__(self, cards: Integers, random: np.random.Generator) -> None:
        self.size = len(cards)
        self._cards, self._random = cards, random
        self._left: list[int] = []

    def shuffled(self) -> list[int]:
        """All cards in a random order; what is dealt next does not change."""
        return self._random.permutation(self._cards).tolist()

    def deal(self, count: int) -> list[int]:
        """`count` cards; a card comes twice only where there are fewer cards than that."""
        dealt: list[int] = []
        held_back: list[int] = []
        while len(dealt) < count:
            if not self._left:
                self._left = self.shuffled()
            card = self._left.pop()
            # After a shuffle in the middle of a deal a card may come that this deal has already.
            (held_back if card in dealt[len(dealt) // self.size * self.size :] else dealt).append(card)
        self._left += held_back[::-1]
        return dealt


def _from_groups(groups: dict[int, _Deck], order: _Deck, wanted: int, together: int) -> list[int]:
    """`wanted` different classes, in turns from the first meta-classes, and from more if they run out."""
    first = order.deal(min(together, order.size))
    metas = [*first, *(meta for meta in order.shuffled() if meta not in first)]
    enough = next(
        count
        for count in range(len(first), order.size + 1)
        if sum(groups[meta].size for meta in metas[:count]) >= wanted
    )
    shares = _in_turns([groups[meta].size for meta in metas[:enough]], wanted)
    return [card for meta, share in zip(metas, shares, strict=False) for card in groups[meta].deal(share)]


def _in_turns(sizes: list[int], wanted: int) -> list[int]:
    """How many each gives when they give one in turns, until `wanted` are given.

    >>> _in_turns([1, 4, 4], 6)
    [1, 3, 2]
    """
    given = [0] * len(sizes)
    while sum(given) < wanted:
        for place, size in enumerate(sizes):
            if given[place] < size and sum(given) < wanted:
                given[place] += 1
    return given


def _cards(labels: Integers, random: np.random.Generator) -> dict[int, _Deck]:
    """A deck of cases for each class that occurs."""
    known = np.unique(labels[labels >= 0])
    return {int(label): _Deck(np.flatnonzero(labels == label), random) for label in known}


def _filled(cards: dict[int, _Deck], chosen: list[list[int]], each: int) -> Integers:
    return np.array(
        [[case for label in classes for case in cards[label].deal(each)] for classes in chosen], np.int64
    )


def _batches(labels: Integers, batch: int) -> int:
    return max(1, int(np.count_nonzero(labels >= 0)) // batch)


def _classes_of_a_batch(batch: int, each: int) -> int:
    if each < 1 or batch < 1 or batch % each:
        raise DataError(
            f"a batch must hold whole classes, but {batch} cases are no multiple of {each} a class."
        )
    return batch // each


def _enough(classes: int, wanted: int, batch: int, each: int) -> None:
    if classes < wanted:
        raise DataError(
            f"a batch of {batch} cases with {each} a class needs {wanted} classes, but only {classes} have"
            " labelled cases; take more cases a class, or a smaller batch."
        )
