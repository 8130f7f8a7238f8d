"""The section for the number of labels that something saves, the sentence that users want first."""

from collections.abc import Sequence
from math import isinf, isnan

from sonoprior.render import plots
from sonoprior.render.blocks import Block, Cell, Note, Paragraph, Table, Tone

from .figures import shown
from .formats import NOTHING, bounds, heading, number
from .labels_saved import LabelCurves, Saved
from .measures import Measure
from .results import StudyResults

_CONTROLLED = (
    "The controls say how much of this is owed to what the line is named for: not what a control reaches"
    " without it."
)


def labels_saved(results: StudyResults) -> list[Block]:
    """With it so many labels do what more do without; nothing where the study does not ask."""
    curve = results.recipe.study.curve
    if curve is None or curve.labels_saved is None:
        return []
    found = results.label_curves
    if found is None:
        names = " and ".join([curve.labels_saved.without, *curve.labels_saved.using])
        return [Note(f"Not read off yet, for want of runs of {names} on the same fold and seed.", "warning")]
    said = [one for line in curve.labels_saved.using for one in _said_first(found.of(line))]
    doubt = [Note(_CONTROLLED, "warning")] if results.recipe.study.controls else []
    return [
        *(Note(sentence(one), tone(one)) for one in said),
        *doubt,
        Paragraph(_how_read(found, results.primary)),
        *_figure(found, results.primary),
        _table(found, results.primary),
    ]


def _said_first(of_line: Sequence[Saved]) -> list[Saved]:
    """Of the places without, the one with the most labels and the median one."""
    median = of_line[(len(of_line) - 1) // 2]
    return [of_line[-1]] + ([median] if median is not of_line[-1] else [])


def sentence(one: Saved) -> str:
    """With it so many labels do what so many do without, or that this is not shown."""
    what, same = one.what, f"do what {one.without.labels:,.0f} did without"
    needed = one.needed
    if isnan(needed.value):
        return f"At {one.without.labels:,.0f} labels, what is saved is not defined."
    short = "would be needed to " if needed.value > one.most else ""
    if isnan(needed.low):
        unsure = "there are too few patients or groups to say how sure this is"
        return f"With {what}, {one.count(needed.value)} labels {short}{same}; {unsure}."
    told = f"{one.count(needed.value)} labels (95 % interval {_interval(one)}) {short}{same}"
    if one.saves:
        return f"With {what}, {told}."
    if one.costs:
        return f"With {what}, more labels were needed, not fewer: {told}."
    return f"No saving could be shown at {one.without.labels:,.0f} labels: with {what}, {told}."


def tone(one: Saved) -> Tone:
    """Good where labels are saved for certain, bad where they are lost."""
    if one.saves:
        return "good"
    return "bad" if one.costs else "warning"


def _interval(one: Saved) -> str:
    low, high = one.count(one.needed.low), one.count(one.needed.high)
    return low if low == high and isinf(one.needed.low) else f"{low} to {high}"


def _how_read(found: LabelCurves, measure: Measure) -> str:
    first, *others = found.lines
    return (
        f"Labels are labelled training cases, the mean over folds and seeds; those of validation come on top,"
        f" on every line alike. For each place on the line {first} the smallest number is sought at which"
        f" {' or '.join(others)} reaches the same {measure.title}, between measured places linearly in the"
        " logarithm of the number. Intervals draw patients, the same for all lines, and read the number anew"
        " in every draw; they speak of these trained networks, not of other training sets or seeds, and are"
        " not corrected for their number."
    )


def _figure(found: LabelCurves, measure: Measure) -> list[Block]:
    scale = 100 if measure.percent else 1
    lines = {
        name: plots.Places(
            [round(place.labels) for place in places],
            *zip(*(tuple(scale * value for value in place.reached) for place in places), strict=True),
        )
        for name, places in found.lines.items()
    }
    needed = {line: [_asked(one) for one in found.of(line)] for line in list(found.lines)[1:]}
    shade = plots.colours(list(found.lines), next(iter(found.lines)))
    plot = plots.labels_saved(lines, needed, heading(measure), shade)
    caption = (
        "Left: bands are 95 % intervals over other patients, each point for itself. Right: below the dashed"
        " line labels are saved; a triangle points beyond the numbers that were measured."
    )
    return shown(plot, "labels-saved", caption)


def _asked(one: Saved) -> plots.Needed:
    return plots.Needed(one.without.labels, *one.needed, one.fewest, one.most)


def _table(found: LabelCurves, measure: Measure) -> Table:
    header = ["labels without", heading(measure), "with", "labels with", "95 % interval", "labels saved"]
    rows = [_row(one, measure) for one in found.saved]
    caption = (
        f"What the labels of the first column reach without, and how many reach it with; saved: for certain,"
        f" by the interval. Without: {next(iter(found.lines))}."
    )
    return Table(header, rows, caption)


def _row(one: Saved, measure: Measure) -> list[str | Cell]:
    reached = one.without.reached
    value = f"{number(reached.value, measure)} ({bounds(reached, measure)})"
    told = NOTHING if isnan(one.needed.value) else one.count(one.needed.value)
    interval = _interval(one) if not isnan(one.needed.low) else "too few groups"
    verdict = (
        Cell("yes", "good") if one.saves else Cell("it costs labels", "bad") if one.costs else "not shown"
    )
    return [f"{one.without.labels:,.0f}", value, one.line, told, interval, verdict]
