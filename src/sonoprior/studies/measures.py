"""What studies report of a run: how well it classifies, whether it looked there, and what its cases find."""

from collections.abc import Mapping, Sequence
from functools import cache

from sonoprior.metrics import SCALARS, Mean, Metric, Pair, Sample, metric_named
from sonoprior.metrics.catalogue import ASSIGNED, DECISIONS, MACRO_F1, OF_CLASSES, class_of
from sonoprior.metrics.localisation import MEASURES

from .finished import FinishedRun
from .samples import taken, together

_LOCALISATION_TITLES = {
    "inside": "attribution inside the outline",
    "pointing": "pointing hits",
    "correlation": "correlation with the outline",
}


class Measure(Metric):
    """A metric, and how the cases of a run enter it."""

    @property
    def localises(self) -> bool:
        """Whether it is about where the model looked."""
        return self.reads == "outlines"

    @property
    def of_embeddings(self) -> bool:
        """Whether it is about what cases find."""
        return self.reads in {"cases", "clusters"}

    @property
    def of_one_class(self) -> bool:
        """Whether it is about a single class; a table of its own shows those."""
        return self.reads == "decisions" and class_of(self.name) is not None

    @property
    def level(self) -> str:
        """The label level or kind of a measure of embeddings; empty for others."""
        return self.name.partition(".")[2]

    def sample(self, run: FinishedRun, part: str = "test") -> Sample:
        """The cases of a run as the statistic takes them; for localisation those with an outline."""
        return taken(self, run, part).sample

    def pair(self, treated: FinishedRun, baseline: FinishedRun, part: str = "test") -> Pair:
        """The cases that both runs were tested on, in one order.

        None where it is asked whether they looked inside, and that is measured of each by another map or
        against other outlines.
        """
        first, second = together(taken(self, treated, part), taken(self, baseline, part))
        if self.localises and treated.looked_by != baseline.looked_by:
            first, second = first.at([]), second.at([])
        return Pair(first.groups, first.shared, first.given, second.given)


@cache
def measure_named(name: str) -> Measure:
    """A measure by its name, as it stands in results.csv.

    Raises:
        SonopriorError: if there is no such measure.
    """
    if name in MEASURES:
        title, percent = _LOCALISATION_TITLES[name], name != "correlation"
        return Measure(name, title, True, percent, "outlines", Mean())
    return Measure(**vars(metric_named(name)))


def available(runs: Mapping[str, Sequence[FinishedRun]]) -> list[Measure]:
    """What can be reported of these variants.

    The scalars where each run classifies, those of decisions where each decides on single classes,
    localisation where each variant has outlined test cases, and what is measured of embeddings where each run
    has one, by what all of them measured.
    """
    every = [run for of_variant in runs.values() for run in of_variant]
    names = _of_classes(every)
    if all(any(len(run.localisation()) for run in of_variant) for of_variant in runs.values()):
        names += MEASURES
    return [measure_named(name) for name in [*names, *_of_embeddings(every)]]


def _of_classes(runs: Sequence[FinishedRun]) -> list[str]:
    if all(run.classifies for run in runs):
        return list(SCALARS)
    if not all(run.decides for run in runs):
        return []
    clustered = all(run.by_clusters for run in runs)
    first, *others = [run.singles for run in runs]
    shared = [name for name in first if all(name in other for other in others)]
    of_classes = [f"{measure}.{name}" for measure in OF_CLASSES for name in shared]
    return [*DECISIONS, MACRO_F1, *(ASSIGNED if clustered else ()), *of_classes]


def _of_embeddings(runs: Sequence[FinishedRun]) -> list[str]:
    if not all(run.embeds for run in runs):
        return []
    first, *others = [run.found for run in runs]
    return [name for name in first if all(name in other for other in others)]
