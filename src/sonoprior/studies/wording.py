"""What a study says: the answer in a few sentences, and one line a variant for a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from sonoprior.core.checks import listed
from sonoprior.render.blocks import Tone

from .certainty import certainty, tone_of
from .differences import Claim
from .formats import better_by, bounds, counted, number, spread, unit, valued, with_article
from .measures import Measure
from .outcome import Outcome
from .results import StudyResults

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
    """The answer to the study's question: the chosen variant against its reference, with its intervals."""
    claim = None if results.chosen is None else results.claim(results.chosen)
    if claim is None:
        return Answer(_without_comparison(results), "warning")
    measure = results.primary
    text = f"{_comparison(results, claim)} {certainty(claim, measure)}{_luck(results)}"
    return Answer(text, tone_of(claim, measure))


def _without_comparison(results: StudyResults) -> str:
    variant = next(iter(results.runs))
    outcome = results.outcome(variant)
    return (
        f"Nothing can be compared yet: {listed(results.runs)} has finished runs, but no two variants that the"
        f" study compares have one on the same fold and seed. {variant} reached"
        f" {with_article(outcome.measure)} of {_valued(outcome)}."
    )


def _comparison(results: StudyResults, claim: Claim) -> str:
    measure, interval = results.primary, claim.difference.interval
    ours, base = results.outcome(claim.treated), results.outcome(claim.reference)
    return (
        f"{claim.treated} reached {with_article(measure)} of {_valued(ours)}, {claim.reference} of"
        f" {_valued(base)}: {better_by(interval.value, measure)} (95 % interval of the difference:"
        f" {bounds(interval, measure, sign=True)})."
    )


def _luck(results: StudyResults) -> str:
    """What few seeds leave open: the interval draws patients, not trainings."""
    seeds = results.recipe.study.seeds
    if seeds >= _SEEDS_THAT_SHOW_LUCK:
        return ""
    return (
        " The interval over patients does not cover the luck of training, of which"
        f" {counted(seeds, 'seed')} a fold shows little; believe no difference before it is seen over"
        " several."
    )


def _valued(outcome: Outcome) -> str:
    return valued(outcome.interval.value, outcome.measure)


def choice(results: StudyResults) -> str:
    """How the variant of the answer came to be the one, and in how many runs it was better."""
    claim = None if results.chosen is None else results.claim(results.chosen)
    if claim is None:
        return ""
    candidates = len(results.candidates)
    how = (
        f"{claim.treated} stands for the {candidates} compared variants because it was best on the"
        f" validation cases; {_part_of_test(results.recipe.split.protocol)}. "
        if candidates > 1
        else ""
    )
    found = claim.difference
    runs = f"{claim.treated} was better in {found.better} of {len(found.of_runs)} pairs of runs."
    return f"{how}{runs} {among_all(results.claims, results.primary)}".rstrip()


def _part_of_test(protocol: str) -> str:
    if protocol == "cross_evaluation":
        return "over all folds these are the test cases too, so that its number is a little too good"
    return "the test cases had no part in that choice"


def among_all(claims: Sequence[Claim], measure: Measure) -> str:
    """How many of several differences are certain, in either direction; nothing of a single one."""
    if len(claims) < 2:
        return ""
    ways = [
        (claim.difference.interval.value > 0) == measure.higher_is_better
        for claim in claims
        if claim.covers_patients
    ]
    return (
        f"Of the {len(claims)} differences that the study asks about, {sum(ways)} are for the better and"
        f" {len(ways) - sum(ways)} for the worse over other patients, corrected for their number;"
        f" {len(claims) - len(ways)} may be nothing."
    )


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
        f"{text}, {number(found.value, measure, sign=True)} {unit(measure)} against {outcome.reference},"
        f" 95 % interval {bounds(found, measure, sign=True)}"
    )
