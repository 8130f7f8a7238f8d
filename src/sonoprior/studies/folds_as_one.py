"""The section for an ensemble of the folds, as `sonoprior refit --ensemble` kept it."""

from collections.abc import Mapping
from typing import cast

import numpy as np

from sonoprior.core.errors import FolderError
from sonoprior.metrics import Interval
from sonoprior.render.blocks import Block, Paragraph, Table
from sonoprior.training.parts import read_table

from .ensemble import TABLE
from .formats import NOTHING, bounds, heading, number, unit
from .measures import Measure, measure_named
from .results import StudyResults

_NUMBERS = ("value", "low", "high", "difference", "difference_low", "difference_high")


def folds_as_one(results: StudyResults) -> list[Block]:
    """The primary endpoint of each variant's ensemble of folds; nothing where none was made.

    Raises:
        FolderError: if the kept table is damaged.
    """
    path = results.folder / TABLE
    if not path.is_file():
        return []
    table = read_table(path)
    absent = [name for name in ("variant", "metric", "against", *_NUMBERS) if name not in table]
    if absent:
        raise FolderError(f"{path} must have the column '{absent[0]}', but lacks it.")
    made = [name for name in table["metric"] if name == results.primary.name] or list(table["metric"])
    measure = measure_named(made[0])  # the primary one, unless it is not of probabilities
    records = cast("list[dict[str, str]]", table.loc[table["metric"] == measure.name].to_dict("records"))
    rows = [[row["variant"], *_cells(row, measure)] for row in records]
    about = Paragraph(
        "The folds share their test cases, so their networks can be used as one: for every seed the mean of"
        " their probabilities. Intervals draw patients or duplicate groups."
    )
    header = ["variant", heading(measure), "95 % interval", "compared with", f"difference, {unit(measure)}"]
    return [about, Table([*header, "95 % interval"], rows, "Mean over seeds.")]


def _cells(row: Mapping[str, str], measure: Measure) -> list[str]:
    value, low, high, *of_difference = (float(row[name]) if row[name] else np.nan for name in _NUMBERS)
    alone = [number(value, measure), bounds(Interval(value, low, high), measure)]
    difference = Interval(*of_difference)
    if np.isnan(difference.value):
        return [*alone, NOTHING, NOTHING, NOTHING]
    said = number(difference.value, measure, sign=True)
    return [*alone, row["against"], said, bounds(difference, measure, sign=True)]
