"""How many labels do with something, such as unlabelled frames, what more labels do without it.

Two lines of the study's curve are compared: for each place on the line without it, with so many labelled
training cases, the smallest number is sought at which the line with it reaches the same primary endpoint. The
bounds draw patients as everywhere; each draw gives every run of both lines another metric, from which the
number is read anew. They speak of other patients, not of other training sets or seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf
from typing import TYPE_CHECKING, Any

import numpy as np

from sonoprior.metrics import Interval
from sonoprior.metrics.bootstrap import Resampled, resampled_together
from sonoprior.metrics.labels_needed import censored_interval, labels_needed
from sonoprior.training.study_settings import LabelsSavedSettings

from .differences import SAMPLES
from .finished import FinishedRun
from .rows import plain

if TYPE_CHECKING:
    from .results import StudyResults


@dataclass(frozen=True)
class Amount:
    """A place on a line.

    Attributes:
        variant: what stands there.
        labels: its labelled training cases, the mean over folds and seeds.
        reached: its primary endpoint with bounds over other patients.
    """

    variant: str
    labels: float
    reached: Interval


@dataclass(frozen=True)
class Saved:
    """What labels do on a line what those of a place do without it.

    Attributes:
        line: the line with it.
        what: it, in words.
        without: the place on the line without it.
        needed: how many labels do the same, with bounds; -inf: fewer than `fewest`, inf: more than `most`.
        fewest: the smallest number measured on the line.
        most: the largest one.
    """

    line: str
    what: str
    without: Amount
    needed: Interval
    fewest: float
    most: float

    @property
    def saves(self) -> bool:
        """Whether fewer labels do, for certain."""
        return self.needed.high < self.without.labels

    @property
    def costs(self) -> bool:
        """Whether more labels are needed, for certain."""
        return self.needed.low > self.without.labels

    def count(self, number: float) -> str:
        """A number of labels in words: "62", "fewer than 12", "more than 125"."""
        if isinf(number):
            return f"more than {self.most:,.0f}" if number > 0 else f"fewer than {self.fewest:,.0f}"
        return f"{number:,.0f}"

    def row(self) -> dict[str, Any]:
        """For summary.json, which knows no infinity: there a number beyond the measured ones is in words."""
        told = {
            name: self.count(of) if isinf(of) else of
            for name, of in zip(("labels", "low", "high"), self.needed, strict=True)
        }
        at = {"labels_without": self.without.labels, "variant_without": self.without.variant}
        return {"line": self.line, **at, "metric": self.without.reached.value, **told}


@dataclass(frozen=True)
class LabelCurves:
    """The lines as they are read, and what they say.

    Attributes:
        lines: name to its places, by number of labels; the one without it first.
        saved: for each line with it and each place without it, in this order.
    """

    lines: Mapping[str, Sequence[Amount]]
    saved: Sequence[Saved]

    def of(self, line: str) -> list[Saved]:
        """What is said of one line."""
        return [one for one in self.saved if one.line == line]

    def rows(self) -> list[dict[str, Any]]:
        """For summary.json."""
        return [plain(one.row()) for one in self.saved]


def label_curves(results: "StudyResults") -> LabelCurves | None:
    """The study's lines over numbers of labels.

    None where the study does not ask, where a line has no finished run, or where the lines have no fold and
    seed in common that all their places have finished.
    """
    curve = results.recipe.study.curve
    if curve is None or curve.labels_saved is None:
        return None
    asked = curve.labels_saved
    names = {
        name: [variant for variant in curve.lines[name].values() if variant in results.runs]
        for name in (asked.without, *asked.using)
    }
    runs = _alike(results, [variant for of_line in names.values() for variant in of_line])
    if not all(names.values()) or not all(runs.values()):
        return None
    drawn = _drawn(results, runs)
    lines = {
        name: sorted(
            (_amount(variant, runs[variant], drawn[variant]) for variant in of_line),
            key=lambda amount: amount.labels,
        )
        for name, of_line in names.items()
    }
    return LabelCurves(lines, _saved(asked, lines, drawn, results.primary.higher_is_better))


def _alike(results: "StudyResults", variants: Sequence[str]) -> dict[str, list[FinishedRun]]:
    """The runs of each variant on the folds and seeds that all of them have finished and measured."""
    found = {
        name: {
            (run.fold, run.seed): run
            for run in results.runs[name]
            if np.size(results.primary.sample(run).groups)
        }
        for name in variants
    }
    common = set[tuple[int, int]].intersection(*(set(of) for of in found.values())) if found else set()
    return {name: [of[key] for key in sorted(common)] for name, of in found.items()}


def _drawn(results: "StudyResults", runs: Mapping[str, Sequence[FinishedRun]]) -> dict[str, Resampled]:
    """The primary endpoint of each variant, all with the same draws of patients."""
    measure = results.primary
    sets = [[measure.sample(run) for run in of_variant] for of_variant in runs.values()]
    return dict(zip(runs, resampled_together(measure.statistic, sets, SAMPLES), strict=True))


def _amount(variant: str, runs: Sequence[FinishedRun], drawn: Resampled) -> Amount:
    return Amount(variant, float(np.mean([run.part_sizes["train"] for run in runs])), drawn.interval())


def _saved(
    asked: LabelsSavedSettings,
    lines: Mapping[str, Sequence[Amount]],
    drawn: Mapping[str, Resampled],
    higher_is_better: bool,
) -> list[Saved]:
    sign = 1 if higher_is_better else -1
    return [
        Saved(
            line=name,
            what=what,
            without=place,
            needed=_needed(lines[name], drawn, drawn[place.variant], sign),
            fewest=lines[name][0].labels,
            most=lines[name][-1].labels,
        )
        for name, what in asked.using.items()
        for place in lines[asked.without]
    ]


def _needed(line: Sequence[Amount], drawn: Mapping[str, Resampled], target: Resampled, sign: int) -> Interval:
    labels = [place.labels for place in line]
    of_line = [drawn[place.variant] for place in line]
    values = sign * np.array([[one.value for one in of_line]])
    again = sign * np.stack([one.drawn for one in of_line], axis=1)
    value = float(labels_needed(labels, values, [sign * target.value])[0])
    needed = labels_needed(labels, again, sign * target.drawn)
    return censored_interval(Resampled(value, needed, target.groups))
