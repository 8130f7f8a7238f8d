"""How sure a difference is, in words: over other patients, over other training sets, where they disagree."""

from math import isfinite

from sonoprior.metrics import Interval
from sonoprior.render.blocks import Tone

from .differences import Claim
from .formats import bounds, p_is
from .measures import Measure


def tone_of(claim: Claim, measure: Measure) -> Tone:
    """Good or bad where every way of counting that is at hand leaves zero out, a warning otherwise."""
    found = claim.difference
    if not claim.covers_patients or (found.corrected.splits > 1 and not claim.covers_training_sets):
        return "warning"
    return "good" if (found.interval.value > 0) == measure.higher_is_better else "bad"


def certainty(claim: Claim, measure: Measure) -> str:
    """What the two ways of counting say, and what follows where they disagree."""
    return f"{_over_patients(claim)} {_over_training_sets(claim, measure)}"


def _over_patients(claim: Claim) -> str:
    found, several = claim.difference, claim.family > 1
    if not isfinite(found.interval.low):
        return "There are too few patients or groups to say how sure this is."
    if not found.interval.excludes_zero:
        return "The interval includes zero: these cases do not show that the one is better than the other."
    corrected = f"{p_is(claim.patients)}, corrected over {claim.family} comparisons"
    if several and not claim.covers_patients:
        return f"The interval leaves zero out, but among so many one may do so by chance ({corrected})."
    return (
        "The interval leaves zero out: for other patients like these, the difference between these trained"
        f" networks would likely stand{f' ({corrected})' if several else ''}."
    )


def _over_training_sets(claim: Claim, measure: Measure) -> str:
    found = claim.difference.corrected
    if found.splits < 2:
        return "With one split, nothing is said of networks trained on other cases."
    several = f", corrected over {claim.family} comparisons" if claim.family > 1 else ""
    numbers = f"{bounds(Interval(*found[:3]), measure, sign=True)}; {p_is(claim.training_sets)}{several}"
    test = f"the corrected t-test over {found.splits} folds, which asks about other training sets,"
    if claim.covers_patients and claim.covers_training_sets:
        return f"{_capital(test)} leaves zero out too ({numbers})."
    if claim.covers_patients:
        return (
            f"But {test} does not leave zero out ({numbers}): whether networks trained on other cases would"
            " differ so is not shown."
        )
    if claim.covers_training_sets:
        return (
            f"{_capital(test)} leaves zero out ({numbers}): the folds agree with one another, but over other"
            " patients the difference may vanish, so take it for a hint and no more."
        )
    return f"{_capital(test)} does not leave zero out either ({numbers})."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
