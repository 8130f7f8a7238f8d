"""The sections for what a study asks besides its main question: controls, a curve, a contrast."""

from math import isfinite

from sonoprior.core.checks import listed
from sonoprior.render.blocks import Block, Note, Paragraph, Table, Tone

from . import figures, tables
from .certainty import certainty, tone_of
from .contrast import Loss
from .curve import Line, Point
from .differences import Claim
from .formats import NOTHING, better_by, bounds, heading, number, share, spread, unit
from .measures import Measure
from .results import StudyResults

Blocks = list[Block]


def what_mattered(results: StudyResults) -> str:
    """The title of the controls: what they say of the thing that they are without."""
    kinds = {_kind(results, name) for name in results.recipe.study.controls}
    titles = {
        frozenset([_PLACE]): "Did the place matter",
        frozenset([_CASES]): "Did the unlabelled cases matter",
    }
    return titles.get(frozenset(kinds), "What the controls say")


def controls(results: StudyResults) -> Blocks:
    """Each controlled variant against its control, in words."""
    if not results.recipe.study.controls:
        return []
    claims, measure = results.control_claims, results.primary
    about = Paragraph(
        "A control is trained like the variant that it controls, but guided by maps that say nothing of their"
        " image, or otherwise without what is thought to help. If that helps, the variant is better than its"
        " control; if anything else of that kind would do, it is not."
    )
    waiting = [Note(text, "warning") for text in _without_runs(results)]
    if not claims:
        return [about, *waiting]
    named = [(f"{claim.treated} less {claim.reference}", claim.difference) for claim in claims]
    return [
        about,
        *(_verdict(claim, results) for claim in claims),
        *waiting,
        *figures.estimates_plot(named, measure, "controls"),
        tables.claims_table(claims, measure),
    ]


def _without_runs(results: StudyResults) -> list[str]:
    seen = {claim.reference for claim in results.control_claims}
    absent = [name for name in results.recipe.study.controls if name not in seen]
    if not absent:
        return []
    return [f"Not compared yet, for want of runs on the same fold and seed: {listed(absent)}."]


def _verdict(claim: Claim, results: StudyResults) -> Note:
    """One control in plain words."""
    measure, interval = results.primary, claim.difference.interval
    return Note(
        f"{claim.treated} against {claim.reference}: {better_by(interval.value, measure)} (95 % interval"
        f" {bounds(interval, measure, sign=True)}). {_meaning(claim, results)} {certainty(claim, measure)}"
        f"{_itself(claim.reference, results)}",
        tone_of(claim, measure),
    )


_OF_THE_PLACE = {
    "worse": "The control was worth more: the place did not help, it did harm.",
    "better": "The place mattered: a constraint of the same kind without it was worth less.",
    "here": "In these networks the place mattered; that it would in others is not shown.",
    "open": "That the place mattered is not shown: any constraint of this kind may do as much.",
}
_OF_ANOTHER_KIND = {
    "worse": "The control was worth more.",
    "better": "What the control does otherwise was worth less.",
    "here": "In these networks what the control does otherwise was worth less; of others that is not shown.",
    "open": "That what the control does otherwise is worth less is not shown.",
}


_OF_UNLABELLED_CASES = {
    "worse": "The control was worth more: the unlabelled cases did not help, they did harm.",
    "better": "The unlabelled cases mattered: the same with labelled ones alone was worth less.",
    "here": "In these networks the unlabelled cases mattered; that they would in others is not shown.",
    "open": "That the unlabelled cases mattered is not shown: views of the labelled ones may do as much.",
}
_PLACE, _CASES, _OTHER = "place", "cases", "other"
_SAID = {_PLACE: _OF_THE_PLACE, _CASES: _OF_UNLABELLED_CASES, _OTHER: _OF_ANOTHER_KIND}


def _kind(results: StudyResults, control: str) -> str:
    """What a control is without: the place of its priors, the unlabelled cases of its stream, or else."""
    settings = results.recipe.study.variants[control]
    if "data.priors.control" in settings:
        return _PLACE
    reads = [value for key, value in settings.items() if key.startswith("streams.") and key.endswith(".read")]
    return _CASES if "labelled" in reads else _OTHER


def _meaning(claim: Claim, results: StudyResults) -> str:
    """What the difference says of the thing that the control is without."""
    said = _SAID[_kind(results, claim.reference)]
    better = (claim.difference.interval.value > 0) == results.primary.higher_is_better
    if not claim.covers_patients:
        return said["open"]
    if not better:
        return said["worse"]
    return said["better" if tone_of(claim, results.primary) == "good" else "here"]


def _itself(control: str, results: StudyResults) -> str:
    """What the control is worth beside its own reference, which says whether any regularisation helps."""
    outcome = results.outcome(control)
    if outcome.difference is None:
        return ""
    found = outcome.difference.interval
    return (
        f" {control} itself against {outcome.reference}: {number(found.value, outcome.measure, sign=True)}"
        f" {unit(outcome.measure)} ({bounds(found, outcome.measure, sign=True)})."
    )


def curve(results: StudyResults) -> Blocks:
    """The endpoint over something that variants differ in; nothing without a curve."""
    settings, lines = results.recipe.study.curve, results.curve
    if settings is None:
        return []
    if not lines:
        return [Paragraph("No variant on the curve has a finished run.")]
    claims = [point.claim for line in lines for point in line.points if point.claim]
    return [
        Paragraph(_in_words(lines, results.primary, settings.axis)),
        *figures.curve_over_axis(lines, results.primary, settings.axis),
        _curve_table(lines, results, settings.axis),
        *([tables.claims_table(claims, results.primary)] if claims else []),
    ]


def _in_words(lines: list[Line], measure: Measure, axis: str) -> str:
    base = lines[0].name
    said = [
        f"at {point.place:g}, {line.name} against {base}:"
        f" {better_by(point.claim.difference.interval.value, measure)}"
        f" ({bounds(point.claim.difference.interval, measure, sign=True)})"
        for line in lines[1:]
        for point in line.points
        if point.claim
    ]
    if said:
        return f"By {axis}: {'; '.join(said)}. In brackets the 95 % interval over other patients."
    reached = [f"{line.name} {_reached(line, measure)}" for line in lines]
    return f"{heading(measure)} by {axis}: {'; '.join(reached)}."


def _reached(line: Line, measure: Measure) -> str:
    return ", ".join(f"{number(point.value.value, measure)} at {point.place:g}" for point in line.points)


def _curve_table(lines: list[Line], results: StudyResults, axis: str) -> Table:
    measure = results.primary
    rows = [
        [f"{point.place:g}", line.name, *_numbers(point, results)] for line in lines for point in line.points
    ]
    header = [axis, "line", heading(measure), "95 % interval", f"above {lines[0].name}, {unit(measure)}"]
    return Table([*header, "95 % interval"], rows, "Mean ± standard deviation over runs.")


def _numbers(point: Point, results: StudyResults) -> list[str]:
    measure = results.primary
    alone = [spread(results.outcome(point.variant)), bounds(point.value, measure)]
    if point.claim is None:
        return [*alone, NOTHING, NOTHING]
    found = point.claim.difference.interval
    return [*alone, number(found.value, measure, sign=True), bounds(found, measure, sign=True)]


def contrast(results: StudyResults) -> Blocks:
    """What each variant loses from one kind of test cases to the other; nothing without a contrast."""
    settings = results.recipe.study.contrast
    if settings is None:
        return []
    if results.kinds is None:
        return [
            Note(
                f"The case set was not at hand, so it is not known which cases have {settings.column} ="
                f" {settings.kept} and which {settings.lost}.",
                "warning",
            )
        ]
    if not results.losses:
        return [Paragraph(f"No run has test cases of both kinds ({settings.column}).")]
    measure = results.primary
    about = Paragraph(
        f"A loss is the {measure.title} on the test cases with {settings.column} = {settings.kept} less that"
        f" on those with {settings.lost}."
    )
    asked = [one for one in results.losses if one.difference and one.variant in results.treated]
    said = [Note(_loss(one, measure), _tone(one)) for one in asked]
    return [about, *said, _loss_table(results.losses, measure, settings.kept, settings.lost)]


def _loss(one: Loss, measure: Measure) -> str:
    assert one.difference is not None
    less = "less" if one.difference.value < 0 else "more"
    part = (
        f" Its loss is {share(one.share)} of that of {one.reference}."
        if one.share is not None and isfinite(one.share.low)
        else ""
    )
    return (
        f"{one.variant} loses {number(one.loss.value, measure)} {unit(measure)},"
        f" {number(abs(one.difference.value), measure)} {less} than {one.reference} (95 % interval of the"
        f" difference {bounds(one.difference, measure, sign=True)}).{part}"
    )


def _tone(one: Loss) -> Tone:
    assert one.difference is not None
    if not one.difference.excludes_zero:
        return "warning"
    return "good" if one.difference.value < 0 else "bad"


def _loss_table(losses: list[Loss], measure: Measure, kept: str, lost: str) -> Table:
    header = ["variant", f"kept ({kept})", f"lost ({lost})", "loss", "95 % interval"]
    header += ["compared with", "difference of losses", "95 % interval", "share of its loss"]
    caption = (
        f"{heading(measure)}, and {unit(measure)}; means over runs, 95 % intervals over patients. A share is"
        " given where the loss that it is a share of is certain."
    )
    return Table(header, [_loss_row(one, measure) for one in losses], caption)


def _loss_row(one: Loss, measure: Measure) -> list[str]:
    row = [one.variant, number(one.kept, measure), number(one.lost, measure)]
    row += [number(one.loss.value, measure, sign=True), bounds(one.loss, measure, sign=True)]
    if one.difference is None or one.share is None:
        return [*row, NOTHING, NOTHING, NOTHING, NOTHING]
    return [
        *row,
        str(one.reference),
        number(one.difference.value, measure, sign=True),
        bounds(one.difference, measure, sign=True),
        share(one.share) if isfinite(one.share.low) else NOTHING,
    ]
