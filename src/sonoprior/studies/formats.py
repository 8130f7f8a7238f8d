"""How a study's numbers are written."""

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from sonoprior.metrics import Interval
from sonoprior.render.blocks import Tone

from .differences import Difference
from .measures import Measure
from .outcome import Outcome

NOTHING = "–"
_LIKE_A_VOWEL = (*"aeiouAEIOU", "R-", "NMI")  # an R-precision, an NMI


def number(value: float, measure: Measure, sign: bool = False) -> str:
    """A number of a measure: percentages with one decimal and without their sign, correlations with two."""
    if not isfinite(value):
        return NOTHING
    shown = (
        f"{100 * value:{'+' if sign else ''}.1f}" if measure.percent else f"{value:{'+' if sign else ''}.2f}"
    )
    return shown.replace("-", "−")


def bounds(interval: Interval, measure: Measure, sign: bool = False) -> str:
    """The bounds of an interval: "1.0 to 7.3"."""
    if not isfinite(interval.low):
        return "too few groups"
    return f"{number(interval.low, measure, sign)} to {number(interval.high, measure, sign)}"


def chance(p: float) -> str:
    """A p-value: "0.03", "0.004", "< 0.001"."""
    if not isfinite(p):
        return NOTHING
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.01 else f"{p:.2f}"


def p_is(p: float) -> str:
    """A p-value in a sentence: "p = 0.03", "p < 0.001"."""
    return f"p {'' if p < 0.001 else '= '}{chance(p)}"


def share(interval: Interval) -> str:
    """A share with its bounds: "40 % (6 to 77 %)"."""
    value, low, high = (f"{100 * one:.0f}".replace("-", "−") for one in interval)
    return f"{value} % ({low} to {high} %)"


def spread(outcome: Outcome) -> str:
    """Mean and standard deviation over runs: "71.2 ± 2.1"."""
    mean = number(outcome.interval.value, outcome.measure)
    return f"{mean} ± {number(outcome.std, outcome.measure)}" if isfinite(outcome.std) else mean


def percentages(shares: NDArray[np.float64]) -> str:
    """Mean and standard deviation of the shares that are defined, in percent: "71.2 ± 2.1"."""
    defined = 100 * shares[~np.isnan(shares)]
    if not len(defined):
        return NOTHING
    mean = f"{defined.mean():.1f}"
    return f"{mean} ± {defined.std(ddof=1):.1f}" if len(defined) > 1 else mean


def counted(count: int, thing: str) -> str:
    """A count with its noun: "1 run", "6 runs"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def heading(measure: Measure) -> str:
    """A measure as a column is headed: "balanced accuracy, %"."""
    return f"{measure.title}, %" if measure.percent else measure.title


def with_article(measure: Measure) -> str:
    """A measure with its article: "an accuracy", "a balanced accuracy"."""
    return f"{'an' if measure.title.startswith(_LIKE_A_VOWEL) else 'a'} {measure.title}"


def unit(measure: Measure) -> str:
    """What a difference is counted in."""
    if measure.percent:
        return "points"
    return "in correlation" if measure.higher_is_better else "in distance"


def tone(difference: Difference | None, measure: Measure) -> Tone:
    """Good or bad where the interval leaves zero out, plain otherwise."""
    if difference is None or not difference.interval.excludes_zero:
        return "plain"
    return "good" if (difference.interval.value > 0) == measure.higher_is_better else "bad"


def valued(value: float, measure: Measure) -> str:
    """A number of a measure as it stands in a sentence: "71.2 %"."""
    return f"{number(value, measure)} %" if measure.percent else number(value, measure)


def better_by(value: float, measure: Measure) -> str:
    """A difference in words: "3.1 points better"."""
    if not isfinite(value):
        return "the difference is not defined"
    better = "better" if (value > 0) == measure.higher_is_better else "worse"
    return "no difference" if value == 0 else f"{number(abs(value), measure)} {unit(measure)} {better}"
