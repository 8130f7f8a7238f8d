"""The section for how the primary endpoint spreads over seeds and over the values of a setting."""

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from sonoprior.render import plots, spread_plot
from sonoprior.render.blocks import Block, Note, Paragraph, Table, Tone

from . import tables
from .certainty import certainty, tone_of
from .figures import shown
from .formats import NOTHING, better_by, bounds, heading, number, unit
from .measures import Measure
from .results import StudyResults
from .spread import Against, Method, Spread, sample_std

Floats = NDArray[np.float64]


def spread(results: StudyResults) -> list[Block]:
    """Which method is better on average and which varies less; nothing where the study does not ask."""
    settings, found, measure = results.recipe.study.spread, results.spread, results.primary
    if settings is None:
        return []
    if found is None:
        return [Paragraph("No variant of it has a finished run.")]
    methods = {one.name: one for one in found.methods}
    notes: list[Block] = []
    for one in found.against:
        treated, first = methods[one.claim.treated], methods[one.claim.reference]
        notes.append(Note(_on_average(one, found, measure), tone_of(one.claim, measure)))
        if isfinite(one.over_setting.value):
            notes.append(Note(_varies(one, treated, first, settings.axis, measure), _tone(one)))
    absent = [] if found.against or len(settings.groups) < 2 else [Note(_NOT_COMPARED, "warning")]
    return [
        *notes,
        *absent,
        *_figure(found, measure, settings.axis),
        _methods_table(found, measure, settings.axis),
        _places_table(found, measure, settings.axis),
        *([tables.claims_table([one.claim for one in found.against], measure)] if found.against else []),
    ]


_NOT_COMPARED = "Not compared yet, for want of runs at the same value on the same fold and seed."


def _on_average(one: Against, found: Spread, measure: Measure) -> str:
    interval = one.claim.difference.interval
    over = f"over {len(found.shared)} values" if len(found.shared) > 1 else "at one value"
    return (
        f"{one.claim.treated} against {one.claim.reference}, on average {over} and"
        f" {len(one.claim.difference.of_runs)} pairs of runs: {better_by(interval.value, measure)} (95 %"
        f" interval {bounds(interval, measure, sign=True)}). {certainty(one.claim, measure)}"
    )


def _varies(one: Against, treated: Method, first: Method, axis: str, measure: Measure) -> str:
    more = one.over_setting
    shown_by = (
        ""
        if more.excludes_zero
        else " That the one is more sensitive than the other is not shown."
        if isfinite(more.low)
        else " There are too few patients or groups to say how sure this is."
    )
    return (
        f"By {axis}, the means of {treated.name} vary by {number(treated.over_setting, measure)}"
        f" {unit(measure)}, those of {first.name} by {number(first.over_setting, measure)} (standard"
        f" deviation; difference {number(more.value, measure, sign=True)}, 95 % interval"
        f" {bounds(more, measure, sign=True)}).{shown_by}"
    )


def _tone(one: Against) -> Tone:
    if not one.over_setting.excludes_zero:
        return "warning"
    return "good" if one.over_setting.value < 0 else "bad"


def _figure(found: Spread, measure: Measure, axis: str) -> list[Block]:
    scale = 100 if measure.percent else 1
    values = {
        one.name: {f"{place:g}": scale * of for place, of in one.of_runs.items()} for one in found.methods
    }
    shade = plots.colours([one.name for one in found.methods], found.methods[0].name)
    plot = spread_plot.spread(values, axis, heading(measure), shade)
    caption = (
        "Each dot is one run; a box holds the middle half of the runs, its line is the median, and its"
        " whiskers reach to the last run within one and a half boxes. On the right all values together."
    )
    return shown(plot, "spread", caption)


def _methods_table(found: Spread, measure: Measure, axis: str) -> Table:
    header = [
        "method",
        f"{heading(measure)}, mean",
        "95 % interval",
        f"standard deviation over {axis}",
        "over runs",
    ]
    rows = [
        [
            one.name,
            number(one.mean.value, measure),
            bounds(one.mean, measure),
            number(one.over_setting, measure),
            number(one.over_runs, measure),
        ]
        for one in found.methods
    ]
    values = ", ".join(f"{place:g}" for place in found.shared) or "none"
    caption = (
        f"Over the values that every method has finished runs at ({values}), each counted alike; over runs:"
        " the standard deviation over the runs at one value, the mean over the values. The interval is over"
        " patients. The chance of few test cases adds to every standard deviation, most to a small one: an"
        " interval of their difference tells whether one varies less, and rather understates by how much."
    )
    return Table(header, rows, caption)


def _places_table(found: Spread, measure: Measure, axis: str) -> Table:
    header = [axis, "method", "median", "mean", "standard deviation", "lowest", "highest", "runs"]
    places = sorted({place for one in found.methods for place in one.of_runs})
    rows = [
        [f"{place:g}", one.name, *_of_runs(one.of_runs[place], measure)]
        for place in places
        for one in found.methods
        if place in one.of_runs
    ]
    return Table(header, rows, f"{heading(measure)}, over the runs at a value.")


def _of_runs(values: Floats, measure: Measure) -> list[str]:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return [NOTHING] * 5 + ["0"]
    told = (np.median(defined), defined.mean(), sample_std(defined), defined.min(), defined.max())
    return [*(number(float(value), measure) for value in told), str(len(defined))]
