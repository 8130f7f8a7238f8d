"""How a study's numbers are said: formats, the answer in a sentence, one line a variant."""

from dataclasses import dataclass
from math import isfinite

from sonoprior.core.checks import listed
from sonoprior.metrics import Interval
from sonoprior.render.blocks import Tone

from .measures import Measure
from .results import Difference, Outcome, StudyResults

NOTHING = "–"


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


def spread(outcome: Outcome) -> str:
    """Mean and standard deviation over runs: "71.2 ± 2.1"."""
    mean = number(outcome.interval.value, outcome.measure)
    return f"{mean} ± {number(outcome.std, outcome.measure)}" if isfinite(outcome.std) else mean


def counted(count: int, thing: str) -> str:
    """A count with its noun: "1 run", "6 runs"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def heading(measure: Measure) -> str:
    """A measure as a column is headed: "balanced accuracy, %"."""
    return f"{measure.title}, %" if measure.percent else measure.title


def unit(measure: Measure) -> str:
    """What a difference is counted in."""
    return "points" if measure.percent else "in correlation"


def tone(difference: Difference | None, measure: Measure) -> Tone:
    """Good or bad where the interval leaves zero out, plain otherwise."""
    if difference is None or not difference.interval.excludes_zero:
        return "plain"
    return "good" if (difference.interval.value > 0) == measure.higher_is_better else "bad"


_SEEDS_THAT_SHOW_LUCK = 3


@dataclass(frozen=True)
class Answer:
    """What the study says, to be read first.

    Attributes:
        text: two or three sentences.
        tone: whether the chosen variant is better, worse, or neither for certain.
    """

    text: str
    tone: Tone


def answer(results: StudyResults) -> Answer:
    """The answer to the study's question: the chosen variant against the baseline, with its interval."""
    if results.chosen is None or results.outcome(results.chosen).difference is None:
        return Answer(_without_comparison(results), "warning")
    outcome = results.outcome(results.chosen)
    found = outcome.difference
    assert found is not None
    says = tone(found, outcome.measure)
    return Answer(
        f"{_comparison(results, outcome, found)} {_meaning(found, says)}{_luck(results)}",
        "warning" if says == "plain" else says,
    )


def _without_comparison(results: StudyResults) -> str:
    variant = next(iter(results.runs))
    outcome = results.outcome(variant)
    return (
        f"Nothing can be compared yet: {listed(results.runs)} has finished runs, but none on a fold and seed"
        f" on which the baseline {results.baseline} has one too. {variant} reached a {outcome.measure.title}"
        f" of {_valued(outcome)}."
    )


def _comparison(results: StudyResults, outcome: Outcome, found: Difference) -> str:
    measure, value = outcome.measure, found.interval.value
    base = results.outcome(results.baseline)
    size = number(abs(value), measure)
    better = "better" if (value > 0) == measure.higher_is_better else "worse"
    return (
        f"{outcome.variant} reached a {measure.title} of {_valued(outcome)}, {results.baseline} of"
        f" {_valued(base)}: {size} {unit(measure)} {better} (95 % interval of the difference:"
        f" {bounds(found.interval, measure, sign=True)})."
    )


def _meaning(found: Difference, says: Tone) -> str:
    if not isfinite(found.interval.low):
        return "There are too few patients or groups to say how sure this is."
    if says == "plain":
        return "The interval includes zero: these cases do not show that the one is better than the other."
    return "The interval leaves zero out: for other patients like these, the difference would likely stand."


def _luck(results: StudyResults) -> str:
    """What few seeds leave open: the interval draws patients, not trainings."""
    seeds = results.recipe.study.seeds
    if seeds >= _SEEDS_THAT_SHOW_LUCK:
        return ""
    return (
        f" It does not cover the luck of training, of which {counted(seeds, 'seed')} a fold shows little;"
        " believe no difference before it is seen over several."
    )


def valued(value: float, measure: Measure) -> str:
    """A number of a measure as it stands in a sentence: "71.2 %"."""
    return f"{number(value, measure)} %" if measure.percent else number(value, measure)


def _valued(outcome: Outcome) -> str:
    return valued(outcome.interval.value, outcome.measure)


def choice(results: StudyResults) -> str:
    """How the variant of the answer came to be the one, and in how many runs it was better."""
    if results.chosen is None:
        return ""
    found = results.outcome(results.chosen).difference
    several = len(results.compared) > 1
    how = (
        f"{results.chosen} stands for the {len(results.compared)} compared variants because it was best on"
        " the validation cases; the test cases had no part in that choice. "
        if several
        else ""
    )
    runs = (
        f"{results.chosen} was better in {found.better} of {len(found.of_runs)} pairs of runs."
        if found
        else ""
    )
    return how + runs


def lines(results: StudyResults) -> list[str]:
    """The study on a terminal: one line a variant, then what is missing."""
    measure = results.primary
    width = max(len(name) for name in results.runs)
    shown = [_line(results.outcome(name), measure, width) for name in results.runs]
    if results.missing:
        runs = counted(len(results.missing), "run")
        shown.append(f"not complete: {runs} missing ({listed(results.missing, 4)})")
    return shown


def _line(outcome: Outcome, measure: Measure, width: int) -> str:
    runs = counted(len(outcome.of_runs), "run")
    text = f"{outcome.variant:<{width}}  {measure.title} {spread(outcome)} ({runs})"
    if outcome.difference is None:
        return text
    found = outcome.difference.interval
    return (
        f"{text}, {number(found.value, measure, sign=True)} {unit(measure)},"
        f" 95 % interval {bounds(found, measure, sign=True)}"
    )
