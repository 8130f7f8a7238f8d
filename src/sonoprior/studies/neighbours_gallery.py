"""Queries with their nearest cases, each marked right, near or far: what a user of the search would see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.randomness import generator
from sonoprior.metrics.neighbours import Embedded, nearest
from sonoprior.render.blocks import Block, Gallery, Paragraph, Tile, Tone
from sonoprior.render.pictures import thumbnail

from .embedded import EmbeddedCases, Lineage, embedded, lineage
from .finished import FinishedRun
from .gallery import position
from .nearest_verdicts import Verdict, classes_of, verdict

NEIGHBOURS = 5
_SIDE = 122
_OF_EACH = 3
_KINDS: tuple[Verdict, ...] = ("far", "near", "right", "unknown")
# A sign and a word besides the colour, for those who do not see it.
_BADGES: Mapping[Verdict, tuple[str, Tone]] = {
    "right": ("✓ right", "good"),
    "near": ("≈ near", "warning"),
    "far": ("✗ far", "bad"),
    "unknown": ("? unknown", "plain"),
}


@dataclass(frozen=True)
class Searched:
    """A run's test cases as queries, with what was found for each.

    Attributes:
        run: the run.
        cases: its test cases.
        of: their classes.
        found: (n,) ids of the nearest cases of each, nearest first.
        known: case to its class at the lowest level.
    """

    run: FinishedRun
    cases: EmbeddedCases
    of: Lineage
    found: Sequence[Sequence[str]]
    known: Mapping[str, str]

    def label(self, case: str) -> str:
        """The class of a case, empty where it is unknown."""
        return self.known.get(case, "")

    def verdicts(self, at: int) -> list[Verdict]:
        """What each case is that was found for the query at a position."""
        query = self.label(str(self.cases.cases[at]))
        return [verdict(query, self.label(case), self.of) for case in self.found[at]]


def searched(run: FinishedRun, case_set: CaseSet | None = None, k: int = NEIGHBOURS) -> Searched:
    """The nearest cases of each test case of a run, those of its own group left out as when it was measured.

    Where the training cases were searched, whose embeddings are not kept, only the nearest is known.

    Raises:
        FolderError: if the run is damaged.
    """
    cases, of = embedded(run), lineage(run)
    known = classes_of(cases, of, case_set)
    return Searched(run, cases, of, _found(run, cases, k), known)


def _found(run: FinishedRun, cases: EmbeddedCases, k: int) -> list[list[str]]:
    settings = run.recipe.retrieval
    if settings.gallery != "part":
        return [[str(case)] if case else [] for case in cases.nearest]
    groups = cases.groups if settings.own_group == "left_out" else None
    places = nearest(Embedded(cases.embeddings, groups), k=k).index
    return [[str(cases.cases[at]) for at in row if at >= 0] for row in places]


def chosen_queries(of: Searched, each: int = _OF_EACH, seed: int = 0) -> list[int]:
    """Positions of queries: as many whose nearest case is far, near and right, the most wrong ones first.

    Where one kind has too few, others stand in. The far ones are those whose nearest is furthest in the
    ontology; the rest, and those equally far, are drawn by seed.
    """
    order = generator(seed, "queries").permutation(len(of.cases))
    kinds: dict[Verdict, list[int]] = {kind: [] for kind in _KINDS}
    for at in order.tolist():
        marks = of.verdicts(at)
        if marks:
            kinds[marks[0]].append(at)
    kinds["far"].sort(key=lambda at: -np.nan_to_num(of.cases.how_wrong[at]))
    taken = {at for places in kinds.values() for at in places[:each]}
    spare = [at for places in kinds.values() for at in places[each:]]
    taken |= set(spare[: max(0, each * 3 - len(taken))])
    return [at for places in kinds.values() for at in places if at in taken]


def neighbours_gallery(runs: Mapping[str, FinishedRun], chosen: str, case_set: CaseSet) -> list[Block]:
    """Queries with their nearest cases in each variant.

    Args:
        runs: variant to its run on one fold with one seed, the same for all.
        chosen: the variant by which the queries are chosen.
        case_set: where the images come from.

    Raises:
        FolderError: if a run is damaged.
        DataError: if the case set does not hold the cases of the runs.
    """
    every = {name: searched(run, case_set) for name, run in runs.items()}
    picked = [str(every[chosen].cases.cases[at]) for at in chosen_queries(every[chosen])]
    if not picked:
        return [Paragraph("No test case has another one that may be found for it.")]
    ordered = {chosen: every[chosen]} | every
    rows = [
        _row(name, of, case, case_set)
        for case in picked
        for name, of in ordered.items()
        if case in of.cases.cases
    ]
    return [Paragraph(_about(chosen, every[chosen])), *rows]


def _about(chosen: str, of: Searched) -> str:
    near = f"near, of another class of the same {of.of.up}; " if of.of.up else ""
    first = (
        f"Test cases of {of.run.name} as queries, each with its nearest cases, nearest first. A case is right"
        f" where it is of the query's class; {near}far otherwise. Queries whose nearest case in {chosen} is"
        " far come first, the furthest ones in the ontology before the others; then those where it is near,"
        " then those where it is right. Within these they are drawn by lot."
    )
    settings = of.run.recipe.retrieval
    own = (
        " Nothing of a query's own patient, exam or group of duplicates is found."
        if settings.own_group == "left_out"
        else ""
    )
    only = (
        " The training cases were searched; their embeddings are not kept, so only the nearest is shown."
        if settings.gallery != "part"
        else ""
    )
    return f"{first}{own}{only}"


def _row(name: str, of: Searched, case: str, case_set: CaseSet) -> Gallery:
    at = int(np.flatnonzero(of.cases.cases == case)[0])
    marks = of.verdicts(at)
    query = Tile(_image(case_set, case), f"{of.label(case)}; {case}", "query")
    tiles = [
        Tile(_image(case_set, found), of.label(found) or "of unknown class", *_BADGES[mark])
        for found, mark in zip(of.found[at], marks, strict=True)
    ]
    right = marks.count("right")
    said = f"{name}: {right} of {len(marks)} right" if marks else f"{name}: nothing may be found"
    return Gallery([query, *tiles], said, _SIDE, _BADGES[marks[0]][1] if marks else "plain")


def _image(case_set: CaseSet, case: str) -> bytes:
    image: NDArray[np.uint8] = case_set.read_image(position(case_set, case))
    return thumbnail(image, _SIDE + 20)
