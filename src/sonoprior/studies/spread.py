"""How the primary endpoint spreads over seeds, and over the values of a setting, for several methods.

A method that is better on average and moves less with its setting and its seed is the one that works on data
on which nothing can be tuned. The values that every method has finished runs at are compared: the mean over
them with bounds over other patients, and the sample standard deviation of their means over the values. All
methods see the same draws of patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.metrics import Interval
from sonoprior.metrics.bootstrap import Resampled, resampled_together

from .differences import SAMPLES, Claim, Difference, claims, difference
from .rows import claim_row, plain

if TYPE_CHECKING:
    from .results import StudyResults

Floats = NDArray[np.float64]
Places = Mapping[float, str]

_NOTHING = Interval(nan, nan, nan)


@dataclass(frozen=True)
class Method:
    """What the runs of a method say.

    Attributes:
        name: of the group.
        of_runs: value of the setting to the number of each run; of all values with a finished run.
        mean: over the values that all methods have.
        over_setting: the sample standard deviation of the means over these values; NaN for fewer than two.
        over_runs: the sample standard deviation over the runs of a value, the mean over the values; NaN
            without two runs at a value.
    """

    name: str
    of_runs: Mapping[float, Floats]
    mean: Interval
    over_setting: float
    over_runs: float

    def rows(self) -> list[dict[str, Any]]:
        """For summary.json: the whole, then a row for each value."""
        whole = {"mean": self.mean.value, "low": self.mean.low, "high": self.mean.high}
        whole |= {"over_setting": self.over_setting, "over_runs": self.over_runs}
        return [
            {"method": self.name, **whole},
            *(
                {"method": self.name, "place": place, "median": float(np.nanmedian(of))}
                | {"mean": float(np.nanmean(of)), "std": sample_std(of), "runs": len(of)}
                for place, of in self.of_runs.items()
                if not np.isnan(of).all()
            ),
        ]


@dataclass(frozen=True)
class Against:
    """A method beside the first one.

    Attributes:
        claim: its mean over the values less that of the first, run by run, corrected over all methods.
        over_setting: how much more its means vary over the values, with bounds; NaN for fewer than two.
    """

    claim: Claim
    over_setting: Interval

    def row(self) -> dict[str, Any]:
        """For summary.json."""
        found = self.over_setting
        return claim_row(self.claim) | {
            "over_setting": found.value,
            "over_setting_low": found.low,
            "over_setting_high": found.high,
        }


@dataclass(frozen=True)
class Spread:
    """All methods, the first of the recipe first.

    Attributes:
        methods: those with a finished run.
        shared: the values of the setting at which every one of them has a finished run.
        against: each of the others beside the first, where they have a run in common.
    """

    methods: Sequence[Method]
    shared: Sequence[float]
    against: Sequence[Against]

    def rows(self) -> list[dict[str, Any]]:
        """For summary.json."""
        found = [*(row for one in self.methods for row in one.rows()), *(one.row() for one in self.against)]
        return [plain(row) for row in found]


def spread_of(results: "StudyResults") -> Spread | None:
    """How the study's methods spread; None where it does not ask, or none has a finished run."""
    settings = results.recipe.study.spread
    groups = {} if settings is None else settings.groups
    found = {
        name: {place: variant for place, variant in sorted(places.items()) if variant in results.runs}
        for name, places in groups.items()
    }
    found = {name: places for name, places in found.items() if places}
    if not found:
        return None
    shared = sorted(set[float](next(iter(found.values()))).intersection(*found.values()))
    drawn = _drawn(results, found, shared)
    methods = [_method(results, name, found[name], drawn.get(name)) for name in found]
    return Spread(methods, shared, _against(results, found, shared, drawn))


def _drawn(
    results: "StudyResults", groups: Mapping[str, Places], shared: Sequence[float]
) -> dict[str, list[Resampled]]:
    """Method to the endpoint at each shared value, all with the same draws of patients.

    Empty where none is shared, or where no run of a variant has a case of the endpoint.
    """
    measure = results.primary
    sets = [
        [sample for run in results.runs[groups[name][at]] if np.size((sample := measure.sample(run)).groups)]
        for name in groups
        for at in shared
    ]
    if not sets or not all(sets):
        return {}
    found = resampled_together(measure.statistic, sets, SAMPLES)
    return {
        name: found[number * len(shared) : (number + 1) * len(shared)] for number, name in enumerate(groups)
    }


def _method(results: "StudyResults", name: str, places: Places, drawn: Sequence[Resampled] | None) -> Method:
    of_runs = {at: np.array(results.outcome(variant).of_runs) for at, variant in places.items()}
    stds = [sample_std(of) for of in of_runs.values()]
    return Method(
        name=name,
        of_runs=of_runs,
        mean=_mean(drawn) if drawn else _NOTHING,
        over_setting=float(_std_over_setting(_values(drawn))[0]) if drawn else nan,
        over_runs=float(np.mean(known)) if (known := [std for std in stds if not isnan(std)]) else nan,
    )


def _against(
    results: "StudyResults",
    groups: Mapping[str, Places],
    shared: Sequence[float],
    drawn: Mapping[str, Sequence[Resampled]],
) -> list[Against]:
    """Empty where nothing was drawn."""
    first, *others = groups
    found: list[tuple[str, str, Difference]] = []
    for name in others if drawn else ():
        pairs = [
            pair for place in shared for pair in results.matched(groups[name][place], groups[first][place])
        ]
        of = difference(results.primary, pairs, SAMPLES)
        found += [] if of is None else [(name, first, of)]
    return [Against(one, _more_varied(drawn[one.treated], drawn[first])) for one in claims(found)]


def sample_std(values: Floats) -> float:
    """Of what is defined; NaN for fewer than two."""
    defined = values[~np.isnan(values)]
    return float(defined.std(ddof=1)) if len(defined) > 1 else nan


def _values(places: Sequence[Resampled]) -> Floats:
    """(1, P)."""
    return np.array([[place.value for place in places]])


def _draws(places: Sequence[Resampled]) -> Floats:
    """(samples, P)."""
    return np.stack([place.drawn for place in places], axis=1)


def _mean(places: Sequence[Resampled]) -> Interval:
    drawn = _draws(places).mean(axis=1)
    return Resampled(float(_values(places).mean()), drawn, places[0].groups).interval()


def _std_over_setting(values: Floats) -> Floats:
    """(B, P) to (B,), NaN for one place."""
    return values.std(axis=1, ddof=1) if values.shape[1] > 1 else np.full(len(values), nan)


def _more_varied(treated: Sequence[Resampled], first: Sequence[Resampled]) -> Interval:
    """The standard deviation over the values less that of the first.

    Resampling adds its own noise to every standard deviation; so the draws are moved to lie around the
    number, which keeps their spread and not their bias.
    """
    value = float((_std_over_setting(_values(treated)) - _std_over_setting(_values(first)))[0])
    drawn = _std_over_setting(_draws(treated)) - _std_over_setting(_draws(first))
    if isnan(value) or np.isnan(drawn).all():
        return Interval(value, nan, nan)
    return Resampled(value, drawn + (value - float(np.nanmean(drawn))), first[0].groups).interval()
