"""The plots of a report: finished runs become arrays, and `render.plots` draws them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sonoprior.metrics import metric_named
from sonoprior.metrics.calibration import reliability
from sonoprior.metrics.classification import confusion
from sonoprior.render import plots
from sonoprior.render.blocks import Block, Download, Figure, Table

from .curve import Line
from .differences import Difference
from .finished import FinishedRun
from .formats import heading, unit
from .measures import Measure
from .outcome import Outcome
from .results import StudyResults

Runs = Mapping[str, Sequence[FinishedRun]]
Floats = NDArray[np.float64]


def shown(plot: plots.Plot, file: str, caption: str) -> list[Block]:
    """A plot, with its numbers to be saved beside it."""
    return [
        Figure(plot.svg, caption, file=file),
        Download("The numbers behind this plot (CSV)", f"{file}.csv", plot.csv),
    ]


_IN_A_ROW = 3


def in_rows(names: Sequence[str]) -> list[list[str]]:
    """Names of pictures, one or more, in rows that can be read, of nearly one length."""
    rows = np.array_split(np.arange(len(names)), -(-len(names) // _IN_A_ROW))
    return [[names[int(at)] for at in row] for row in rows]


def difference_plot(results: StudyResults) -> list[Block]:
    """Every compared variant's difference to its reference in the primary endpoint."""
    found = [(results.outcome(name), name) for name in results.compared]
    named = [(_named(of, name, results.baseline), of.difference) for of, name in found if of.difference]
    return estimates_plot(named, results.primary, "differences")


def _named(outcome: Outcome, name: str, baseline: str) -> str:
    return name if outcome.reference == baseline else f"{name} less {outcome.reference}"


def estimates_plot(
    named: Sequence[tuple[str, Difference]], measure: Measure, file: str, label: str = ""
) -> list[Block]:
    """Differences with both of their intervals; nothing without one."""
    if not named:
        return []
    scale = 100 if measure.percent else 1
    estimates = [
        plots.Estimate(name, *(scale * value for value in (*found.interval, *found.corrected[1:3])))
        for name, found in named
    ]
    thin = any(found.corrected.splits > 1 for _, found in named)
    caption = (
        "Thick: 95 % interval over other patients, blue where it leaves zero out, grey where it includes it."
    ) + (" Thin: over other training sets; it may leave the plot." if thin else "")
    plot = plots.differences(estimates, label or f"{measure.title}: difference, {unit(measure)}")
    return shown(plot, file, caption)


def curve_over_axis(lines: Sequence[Line], measure: Measure, axis: str) -> list[Block]:
    """The study's curve, and beside it the difference of every line to the first at each place."""
    scale = 100 if measure.percent else 1
    base = lines[0].name
    panels = {heading(measure): {line.name: _values(line, scale) for line in lines}}
    gains = {line.name: _gains(line, scale) for line in lines[1:] if any(one.claim for one in line.points)}
    label = f"{unit(measure)} above {base}"
    panels |= {label: gains} if gains else {}
    shade = plots.colours([line.name for line in lines], base)
    caption = "Bands: 95 % intervals over other patients, each point for itself."
    return shown(plots.over_axis(panels, axis, shade, {label}), "curve", caption)


def _values(line: Line, scale: float) -> plots.Places:
    rows = [(one.place, *(scale * value for value in one.value)) for one in line.points]
    return plots.Places(*zip(*rows, strict=True))


def _gains(line: Line, scale: float) -> plots.Places:
    found = [(one.place, one.claim.difference.interval) for one in line.points if one.claim]
    return plots.Places(
        *zip(*((place, *(scale * value for value in of)) for place, of in found), strict=True)
    )


def paired_plot(results: StudyResults) -> list[Block]:
    """Every run, joined over variants where fold and seed are the same."""
    measure = results.primary
    scale = 100 if measure.percent else 1
    keys = sorted({(run.fold, run.seed) for run in results.every_run})
    values: dict[str, Floats] = {}
    for name, runs in results.runs.items():
        of = dict(zip([(run.fold, run.seed) for run in runs], results.outcome(name).of_runs, strict=True))
        values[name] = np.array([scale * of.get(key, np.nan) for key in keys])
    names = [f"fold {fold}, seed {seed}" for fold, seed in keys]
    caption = (
        "Each dot is one run; a line joins the runs on the same fold with the same seed; bars are means."
    )
    return shown(plots.paired(values, names, heading(measure)), "runs", caption)


def confusion_plots(runs: Runs, classes: Sequence[str]) -> list[Block]:
    """One confusion matrix a variant, side by side, over all runs."""
    drawn = {name: plots.confusion(_counts(of), classes) for name, of in runs.items()}
    pictures = {
        name: Figure(plot.svg, alt=f"confusion matrix of {name}", file=f"confusion-{name}")
        for name, plot in drawn.items()
    }
    caption = (
        "Share of each true class (row) that was called so (column); in brackets the cases, of all runs."
    )
    links = [
        Download(f"The numbers of {name} (CSV)", f"confusion-{name}.csv", plot.csv)
        for name, plot in drawn.items()
    ]
    first, *below = in_rows(list(drawn))
    rows = [Table(names, [[pictures[name] for name in names]]) for names in below]
    return [Table(first, [[pictures[name] for name in first]], caption), *rows, *links]


def _counts(runs: Sequence[FinishedRun]) -> NDArray[np.int64]:
    found = [run.predictions() for run in runs]
    return np.sum([confusion(of.labels, of.probabilities) for of in found], axis=0)


def reliability_plot(runs: Runs, colours: Mapping[str, str]) -> list[Block]:
    """Reliability diagram over the test cases of all runs."""
    models: dict[str, plots.Bins] = {}
    for name, of_variant in runs.items():
        found = [run.predictions() for run in of_variant]
        labels = np.concatenate([of.labels for of in found])
        bins = reliability(labels, np.concatenate([of.probabilities for of in found]))
        models[name] = plots.Bins(bins.confidence, bins.accuracy, bins.count)
    caption = "How sure, and how often right. Below the line a model is surer than it is right."
    return shown(plots.reliability(models, colours), "reliability", caption)


def curve_plot(runs: Runs, colours: Mapping[str, str], monitor: str) -> list[Block]:
    """Learning curves: what chose the weights, and each term of the loss where it was trained.

    The sum of the terms is left out: variants weigh them differently, so their sums do not compare.
    """
    columns = {f"val.{monitor}": f"validation: {metric_named(monitor).title}"}
    columns |= {f"train.{name}": f"training: {name}" for name in _objective_names(runs)}
    panels = {title: _lines(runs, column) for column, title in columns.items()}
    panels = {title: lines for title, lines in panels.items() if lines}
    if not panels:
        return []
    caption = "Mean over runs, with a band of one standard deviation; a line ends with its longest run."
    return shown(plots.curves(panels, colours), "training", caption)


def _objective_names(runs: Runs) -> list[str]:
    recipes = [run.recipe for of_variant in runs.values() for run in of_variant]
    return list(dict.fromkeys(name for recipe in recipes for name in recipe.active_objectives))


def _lines(runs: Runs, column: str) -> dict[str, Floats]:
    """Variant to (runs, epochs), for the variants that have such a column."""
    return {
        name: _padded([run.log[column].to_numpy() for run in of_variant])
        for name, of_variant in runs.items()
        if all(column in run.log for run in of_variant)
    }


def _padded(rows: Sequence[Floats]) -> Floats:
    longest = max(len(row) for row in rows)
    return np.array([np.pad(row, (0, longest - len(row)), constant_values=np.nan) for row in rows])


def localisation_by_class(runs: Sequence[FinishedRun], column: str, classes: Sequence[str]) -> Floats:
    """A localisation measure for each class, (K,): mean over the cases of a run, then over runs."""
    found = np.array([[_mean_of(run, column, name) for name in classes] for run in runs])
    defined = (~np.isnan(found)).sum(axis=0)
    return np.divide(np.nansum(found, axis=0), defined, out=np.full(len(classes), np.nan), where=defined > 0)


def _mean_of(run: FinishedRun, column: str, label: str) -> float:
    table = run.localisation()
    values = np.asarray(table[column], dtype=np.float64)[np.asarray(table["label"]) == label]
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def outlined_classes(runs: Runs, classes: Sequence[str]) -> list[str]:
    """The classes that have a test case with an outline."""
    tables = [run.localisation() for of_variant in runs.values() for run in of_variant]
    seen = {str(label) for table in tables for label in table["label"]}
    return [name for name in classes if name in seen]


def localisation_plot(
    runs: Runs, classes: Sequence[str], colours: Mapping[str, str], measure: Measure, number: int = 1
) -> list[Block]:
    """A localisation measure by class and variant, beside what looking everywhere alike would give.

    Args:
        runs: of variants that are measured against the same outlines.
        classes: those that have outlines.
        colours: of the variants.
        measure: which one.
        number: of the plot on its page.
    """
    values = {name: 100 * localisation_by_class(of, measure.name, classes) for name, of in runs.items()}
    everywhere = 100 * localisation_by_class(next(iter(runs.values())), "area", classes)
    caption = (
        "Share of the positive attribution inside the outline; the dashed line is the outline's share of the"
        " image, which looking everywhere alike would give."
    )
    plot = plots.by_class(values, classes, colours, "inside the outline, %", everywhere)
    return shown(plot, "localisation" if number == 1 else f"localisation-{number}", caption)
