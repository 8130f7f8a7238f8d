"""The tables of a report."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.metrics import Interval
from sonoprior.metrics.catalogue import HOW_WRONG, MAP_AT_R, NMI, SPEARMAN
from sonoprior.metrics.classification import class_f1, class_precision, class_recall
from sonoprior.metrics.localisation import MEASURES
from sonoprior.metrics.multilabel import MultiLabelScores, multilabel_scores
from sonoprior.render.blocks import Cell, Table

from .differences import SAMPLES, Claim
from .figures import Runs, localisation_by_class
from .finished import FinishedRun
from .formats import NOTHING, bounds, chance, heading, number, percentages, spread, tone, unit
from .measures import Measure, measure_named
from .outcome import Outcome
from .results import StudyResults

Row = Sequence[str | Cell]


def primary_table(results: StudyResults) -> Table:
    """The primary endpoint: each variant, and its difference to its reference."""
    measure = results.primary
    elsewhere = any(results.reference(name) not in {None, results.baseline} for name in results.runs)
    header = [
        "variant",
        heading(measure),
        "95 % interval",
        *(["compared with"] if elsewhere else []),
        f"difference, {unit(measure)}",
        "95 % interval",
        "better in",
    ]
    rows = [_primary_row(results.outcome(name), measure, elsewhere) for name in results.runs]
    return Table(
        header, rows, "Mean ± standard deviation over runs; intervals over patients or duplicate groups."
    )


def _primary_row(outcome: Outcome, measure: Measure, elsewhere: bool) -> Row:
    row = [outcome.variant, spread(outcome), bounds(outcome.interval, measure)]
    row += [outcome.reference or NOTHING] if elsewhere else []
    found = outcome.difference
    if found is None:
        return [*row, NOTHING, NOTHING, NOTHING]
    difference = Cell(number(found.interval.value, measure, sign=True), tone(found, measure))
    runs = f"{found.better} of {len(found.of_runs)} runs"
    return [*row, difference, bounds(found.interval, measure, sign=True), runs]


def claims_table(claims: Sequence[Claim], measure: Measure) -> Table:
    """Differences that are looked at together: over other patients, and over other training sets."""
    header = [
        "difference",
        unit(measure),
        *("other patients, 95 %", "p", "p, corrected"),
        *("other training sets, 95 %", "p", "p, corrected"),
    ]
    return Table(header, [_claim_row(claim, measure) for claim in claims], _how_sure(claims))


def _claim_row(claim: Claim, measure: Measure) -> Row:
    found = claim.difference
    split = found.corrected.splits < 2
    over_folds = NOTHING if split else bounds(Interval(*found.corrected[:3]), measure, sign=True)
    return [
        f"{claim.treated} less {claim.reference}",
        number(found.interval.value, measure, sign=True),
        bounds(found.interval, measure, sign=True),
        chance(found.p),
        Cell(chance(claim.patients), "strong" if claim.covers_patients else "plain"),
        over_folds,
        chance(found.corrected.p),
        Cell(chance(claim.training_sets), "strong" if claim.covers_training_sets else "plain"),
    ]


def _how_sure(claims: Sequence[Claim]) -> str:
    family = claims[0].family
    several = (
        f"p corrected over {family} comparisons after Holm"
        if family > 1
        else "one comparison, so nothing is corrected"
    )
    splits = max(claim.difference.corrected.splits for claim in claims)
    folds = (
        f"the corrected resampled t-test of Nadeau and Bengio over J = {splits} folds, {splits - 1} degrees"
        " of freedom, seeds of a fold averaged first"
        if splits > 1
        else "no test, because there is one split"
    )
    return f"Other patients: bootstrap with {SAMPLES:,} draws. Other training sets: {folds}. Here: {several}."


def measures_table(results: StudyResults, measures: Sequence[Measure]) -> Table:
    """Measures of every variant; coloured where the difference to the baseline leaves zero out."""
    rows = [
        [name, *(_measure_cell(results.outcome(name, measure)) for measure in measures)]
        for name in results.runs
    ]
    header = ["variant", *(heading(measure) for measure in measures)]
    caption = (
        "Mean ± standard deviation over runs. Green or red: better or worse than what the variant is compared"
        f" with ({results.baseline} unless said otherwise), with an interval over patients that leaves zero"
        " out; one in twenty does so by chance."
    )
    return Table(header, rows, caption + _of_wrong_ones(measures))


def _of_wrong_ones(measures: Sequence[Measure]) -> str:
    if not any(one.name.startswith(f"{HOW_WRONG}.") for one in measures):
        return ""
    return (
        " An error distance is that of the nearest case's class, where it is wrong, in the ontology; it is"
        " the mean over a variant's own errors, and two variants are compared on the cases that both get"
        " wrong."
    )


def in_short(measures: Sequence[Measure]) -> list[Measure]:
    """Of measures of embeddings those that are read first: few for the leaf, one for each other level."""
    leaf = measures[0].level
    first = [f"recall@1.{level}" for level in dict.fromkeys(one.level for one in measures)]
    first += [f"{measure}.{leaf}" for measure in (MAP_AT_R, NMI, HOW_WRONG, SPEARMAN)]
    by_name = {one.name: one for one in measures}
    return [by_name[name] for name in first if name in by_name]


def _measure_cell(outcome: Outcome) -> Cell:
    return Cell(spread(outcome), tone(outcome.difference, outcome.measure))


def class_table(runs: Runs, classes: Sequence[str]) -> Table:
    """F1, precision and the share found of each class, for each variant."""
    rows: list[Row] = []
    scores = {"F1, %": class_f1, "precision, %": class_precision, "found, %": class_recall}
    for title, of in scores.items():
        values = {name: _by_class(of_variant, of) for name, of_variant in runs.items()}
        rows += [
            [title, name, *(percentages(found[:, at]) for found in values.values())]
            for at, name in enumerate(classes)
        ]
    caption = (
        "Mean ± standard deviation over the runs in which it is defined: a class that a run never predicts"
        " has no precision there."
    )
    return Table(["measure", "class", *runs], rows, caption)


def decided_table(runs: Runs, singles: Sequence[str]) -> Table:
    """F1, precision and recall of each single class and their weighted averages, for each variant."""
    rows: list[Row] = []
    found = {name: [_scores(run) for run in of_variant] for name, of_variant in runs.items()}
    for score in ("f1", "precision", "recall"):
        values = {
            name: np.array([[*getattr(one, score), getattr(one, f"weighted_{score}")] for one in of])
            for name, of in found.items()
        }
        title = f"{'F1' if score == 'f1' else score}, %"
        rows += [
            [title, name, *(percentages(of[:, at]) for of in values.values())]
            for at, name in enumerate([*singles, "weighted average"])
        ]
    caption = (
        "Mean ± standard deviation over runs; averages are weighted by how many test cases show each class."
    )
    return Table(["measure", "class", *runs], rows, caption)


def _scores(run: FinishedRun) -> MultiLabelScores:
    of = run.decisions()
    return multilabel_scores(of.shown, of.predicted)


def _by_class(
    runs: Sequence[FinishedRun], of: Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """(runs, K)."""
    found = [run.predictions() for run in runs]
    return np.array([of(one.labels, one.probabilities) for one in found])


def localisation_table(runs: Runs, classes: Sequence[str]) -> Table:
    """Where each variant looked, by class, beside what looking everywhere alike would give."""
    some = next(iter(runs.values()))
    counts = {name: len(_outlined_cases(some, name)) for name in classes}
    area = dict(zip(classes, localisation_by_class(some, "area", classes), strict=True))
    rows: list[Row] = []
    for measure in (measure_named(name) for name in MEASURES):
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
    groups = len(set(run.measured().groups.tolist()))
    caption = f"{len(run.measured())} test cases of {groups} patients or duplicate groups."
    return Table(["measure", "value", "95 % interval"], rows, caption)
