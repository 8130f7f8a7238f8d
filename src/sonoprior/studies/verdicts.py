"""What a variant says of each test case over all its runs, and what it gets wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.combinations import name_of
from sonoprior.render.blocks import Block, Gallery, Note, Paragraph, Tile
from sonoprior.render.overlays import outlined
from sonoprior.render.pictures import thumbnail

from .finished import FinishedRun
from .gallery import SIDE, position, prior_masks


@dataclass(frozen=True)
class Verdicts:
    """What a variant says of each test case, its probabilities averaged over the runs that tested it.

    Attributes:
        labels: case to class.
        said: case to the most probable class and its mean probability; where single classes are decided on,
            those that at least half of the runs name, as a combination, and how sure the runs are on average.
    """

    labels: Mapping[str, str]
    said: Mapping[str, tuple[str, float]]

    def right(self, case: str) -> bool:
        """Whether the most probable class is the right one."""
        return self.said[case][0] == self.labels[case]


def verdicts(runs: Sequence[FinishedRun]) -> Verdicts:
    """The averaged predictions of a variant's runs."""
    if runs[0].decides:
        return _decided(runs)
    classes, found = runs[0].classes, [run.predictions() for run in runs]
    cases = np.concatenate([of.cases for of in found])
    probabilities = np.concatenate([of.probabilities for of in found])
    labels = np.concatenate([of.labels for of in found])
    names, first, place = np.unique(cases, return_index=True, return_inverse=True)
    sums = np.zeros((len(names), len(classes)))
    np.add.at(sums, place, probabilities)
    means = sums / np.bincount(place)[:, None]
    said = {
        str(name): (classes[int(row.argmax())], float(row.max()))
        for name, row in zip(names, means, strict=True)
    }
    of_case = {str(name): classes[int(labels[at])] for name, at in zip(names, first, strict=True)}
    return Verdicts(of_case, said)


def _decided(runs: Sequence[FinishedRun]) -> Verdicts:
    singles, found = runs[0].singles, [run.decisions() for run in runs]
    cases = np.concatenate([of.cases for of in found])
    names, first, place = np.unique(cases, return_index=True, return_inverse=True)
    times = np.bincount(place)
    votes, sure = np.zeros((len(names), len(singles))), np.zeros(len(names))
    np.add.at(votes, place, np.concatenate([of.predicted for of in found]))
    np.add.at(sure, place, np.concatenate([of.confidence for of in found]))
    shown = np.concatenate([of.shown for of in found])[first]
    said = {
        str(name): (name_of(vote >= count / 2, singles), float(total / count))
        for name, vote, total, count in zip(names, votes, sure, times, strict=True)
    }
    of_case = {str(name): name_of(row, singles) for name, row in zip(names, shown, strict=True)}
    return Verdicts(of_case, said)


def changes(variant: str, of_variant: Verdicts, baseline: str, of_baseline: Verdicts) -> Paragraph:
    """How many cases the variant put right, and how many it put wrong."""
    cases = [case for case in of_variant.said if case in of_baseline.said]
    gained = sum(of_variant.right(case) and not of_baseline.right(case) for case in cases)
    lost = sum(of_baseline.right(case) and not of_variant.right(case) for case in cases)
    both = sum(not of_baseline.right(case) and not of_variant.right(case) for case in cases)
    return Paragraph(
        f"Of {len(cases)} test cases, {gained} are wrong in {baseline} and right in {variant}, {lost} are"
        f" right in {baseline} and wrong in {variant}, and {both} are wrong in both (probabilities averaged"
        " over runs)."
    )


def worst_errors(name: str, of: Verdicts, run: FinishedRun, case_set: CaseSet, most: int = 12) -> list[Block]:
    """The test cases that a variant got wrong and was most sure of, with their outlines, if any."""
    wrong = sorted((case for case in of.said if not of.right(case)), key=lambda case: -of.said[case][1])
    if not wrong:
        return [Note(f"{name} got no test case wrong.", "good")]
    tiles = [_tile(case, of, run, case_set) for case in wrong[:most]]
    which = f"the {most} of {len(wrong)}" if len(wrong) > most else f"all {len(wrong)}"
    caption = f"{name}: {which} wrong cases, those first that it was most sure of."
    return [Gallery(tiles, caption, width=SIDE)]


def _tile(case: str, of: Verdicts, run: FinishedRun, case_set: CaseSet) -> Tile:
    at = position(case_set, case)
    picture = outlined(case_set.read_image(at), list(prior_masks(run, case_set, at).values()))
    said, sure = of.said[case]
    return Tile(thumbnail(picture, SIDE), f"is {of.labels[case]}, called {said} ({100 * sure:.0f} %); {case}")
