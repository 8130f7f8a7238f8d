"""The tables of a report."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.metrics.classification import class_f1, class_recall
from sonoprior.render.blocks import Cell, Table
from sonoprior.training.recipe import PublishedTable

from .figures import Runs, localisation_by_class
from .finished import FinishedRun
from .measures import MEASURES_OF_RUNS, Measure
from .results import StudyResults
from .wording import NOTHING, bounds, heading, number, spread, tone, unit

Row = Sequence[str | Cell]


def primary_table(results: StudyResults) -> Table:
    """The primary endpoint: each variant, and its difference to the baseline."""
    measure = results.primary
    header = [
        "variant",
        heading(measure),
        "95 % interval",
        f"difference, {unit(measure)}",
        "95 % interval",
        "better in",
    ]
    rows = [_primary_row(results, name, measure) for name in results.runs]
    return Table(
        header, rows, "Mean ± standard deviation over runs; intervals over patients or duplicate groups."
    )


def _primary_row(results: StudyResults, name: str, measure: Measure) -> Row:
    outcome = results.outcome(name)
    row = [name, spread(outcome), bounds(outcome.interval, measure)]
    found = outcome.difference
    if found is None:
        return [*row, NOTHING, NOTHING, NOTHING]
    difference = Cell(number(found.interval.value, measure, sign=True), tone(found, measure))
    runs = f"{found.better} of {len(found.of_runs)} runs"
    return [*row, difference, bounds(found.interval, measure, sign=True), runs]


def measures_table(results: StudyResults) -> Table:
    """Every measure of every variant; coloured where the difference to the baseline leaves zero out."""
    header = ["measure", *results.runs]
    rows = [[heading(measure), *_measure_cells(results, measure)] for measure in results.measures]
    caption = (
        f"Mean ± standard deviation over runs. Green or red: better or worse than {results.baseline}, with an"
        " interval that leaves zero out; one in twenty does so by chance."
    )
    return Table(header, rows, caption)


def _measure_cells(results: StudyResults, measure: Measure) -> Row:
    outcomes = [results.outcome(name, measure) for name in results.runs]
    return [Cell(spread(outcome), tone(outcome.difference, measure)) for outcome in outcomes]


def class_table(runs: Runs, classes: Sequence[str]) -> Table:
    """F1 and the share found of each class, for each variant."""
    rows: list[Row] = []
    for title, of in (("F1, %", class_f1), ("found, %", class_recall)):
        values = {name: _by_class(of_variant, of) for name, of_variant in runs.items()}
        rows += [
            [title, name, *(_spread(found[:, at]) for found in values.values())]
            for at, name in enumerate(classes)
        ]
    return Table(["measure", "class", *runs], rows, "Mean ± standard deviation over runs.")


def _by_class(
    runs: Sequence[FinishedRun], of: Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """(runs, K)."""
    found = [run.predictions() for run in runs]
    return np.array([of(one.labels, one.probabilities) for one in found])


def _spread(values: NDArray[np.float64]) -> str:
    defined = 100 * values[~np.isnan(values)]
    if not len(defined):
        return NOTHING
    mean = f"{defined.mean():.1f}"
    return f"{mean} ± {defined.std(ddof=1):.1f}" if len(defined) > 1 else mean


def localisation_table(runs: Runs, classes: Sequence[str]) -> Table:
    """Where each variant looked, by class, beside what looking everywhere alike would give."""
    some = next(iter(runs.values()))
    counts = {name: len(_outlined_cases(some, name)) for name in classes}
    area = dict(zip(classes, localisation_by_class(some, "area", classes), strict=True))
    rows: list[Row] = []
    for measure in (one for one in MEASURES_OF_RUNS.values() if one.localises):
        found = [localisation_by_class(of, measure.name, classes) for of in runs.values()]
        everywhere = {name: number(area[name], measure) if measure.percent else "0.00" for name in classes}
        rows += [
            [
                heading(measure),
                name,
                str(counts[name]),
                *(number(of[at], measure) for of in found),
                everywhere[name],
            ]
            for at, name in enumerate(classes)
        ]
    return Table(
        ["measure", "class", "outlined cases", *runs, "looking everywhere"],
        rows,
        "Mean over cases, then over runs.",
    )


def _outlined_cases(runs: Sequence[FinishedRun], label: str) -> set[str]:
    tables = [run.localisation() for run in runs]
    return {case for table in tables for case in table.loc[np.asarray(table["label"]) == label, "case"]}


def metrics_table(run: FinishedRun, measures: Sequence[tuple[Measure, float, str]]) -> Table:
    """One run: each measure with its interval."""
    rows = [[heading(measure), number(value, measure), interval] for measure, value, interval in measures]
    groups = len(set(run.predictions().groups.tolist()))
    caption = f"{len(run.predictions())} test cases of {groups} patients or duplicate groups."
    return Table(["measure", "value", "95 % interval"], rows, caption)


def published_table(results: StudyResults, published: PublishedTable) -> Table:
    """Numbers that others published, with ours of the same metric in a column of their own."""
    keys = [key for key in dict.fromkeys(key for row in published.rows for key in row) if key != "variant"]
    measure = MEASURES_OF_RUNS.get(published.metric)
    rows = [
        [*(_cell(row.get(key)) for key in keys), _ours(results, row.get("variant"), measure)]
        for row in published.rows
    ]
    ours = f"this study: {published.metric if measure is None else heading(measure)}"
    return Table([*keys, ours], rows)


def _cell(value: str | float | None) -> str:
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else f"{value:g}"


def _ours(results: StudyResults, variant: str | float | None, measure: Measure | None) -> str:
    if measure is None or variant not in results.runs:
        return NOTHING
    return spread(results.outcome(str(variant), measure))
