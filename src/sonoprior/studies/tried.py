"""What a tuning tried on the validation part before the study, as it was kept: one row a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from sonoprior.core.errors import FolderError
from sonoprior.render.blocks import Block, Cell, Paragraph, Table
from sonoprior.training.parts import read_table

from .formats import NOTHING, counted, heading, number
from .layout import TRIED
from .measures import Measure, measure_named
from .results import StudyResults

_NOT_SETTINGS = ("variant", "fold", "seed", "value", "chosen")
_SAID_YES = "yes"


def what_was_tried(results: StudyResults) -> list[Block]:
    """Every setting of every variant with its mean on validation; nothing where nothing was tuned.

    Raises:
        FolderError: if the kept table is damaged.
    """
    path = results.folder / TRIED
    if not path.is_file():
        return []
    table = _read(path)
    keys = [str(name) for name in table.columns if name not in _NOT_SETTINGS]
    tuning = results.recipe.tune
    measure = measure_named((tuning and tuning.metric) or results.primary.name)
    settings = {str(name): rows.groupby(keys).ngroups for name, rows in table.groupby("variant", sort=False)}
    return [Paragraph(_budget(settings, measure)), _table(table, keys, measure)]


def _read(path: Path) -> pd.DataFrame:
    table = read_table(path)
    absent = [name for name in _NOT_SETTINGS if name not in table]
    if absent:
        raise FolderError(f"{path} must have the column '{absent[0]}', but lacks it.")
    try:
        values = [float(cell) if cell else np.nan for cell in table["value"]]
    except ValueError as error:
        raise FolderError(f"{path} must hold numbers in value: {error}.") from error
    return table.assign(value=values, chosen=table["chosen"] == _SAID_YES)


def _budget(settings: dict[str, int], measure: Measure) -> str:
    counts = sorted(set(settings.values()))
    each = (
        f"{counted(counts[0], 'setting')} each"
        if len(counts) == 1
        else f"{', '.join(f'{name} {count}' for name, count in settings.items())} settings"
    )
    return (
        f"Before the study, settings were chosen by the {measure.title} on the validation cases, for the"
        f" baseline as for the others: {each}. The test cases had no part in it."
    )


def _table(table: pd.DataFrame, keys: Sequence[str], measure: Measure) -> Table:
    found = table.groupby(["variant", *keys], sort=False)
    rows = [_row([str(cell) for cell in cast("tuple[str, ...]", of)], runs, measure) for of, runs in found]
    header = ["variant", *keys, f"validation: {heading(measure)}", "runs", "chosen"]
    return Table(header, rows, "Mean ± standard deviation over folds and seeds of the tuning.")


def _row(cells: Sequence[str], rows: pd.DataFrame, measure: Measure) -> Sequence[str | Cell]:
    chosen = _chosen(rows)
    values = rows["value"].to_numpy(np.float64)
    defined = values[~np.isnan(values)]
    mean = number(float(defined.mean()), measure) if len(defined) else NOTHING
    spread = f" ± {number(float(defined.std(ddof=1)), measure)}" if len(defined) > 1 else ""
    return [
        *(cell or NOTHING for cell in cells),
        Cell(f"{mean}{spread}", "plain" if chosen == NOTHING else "strong"),
        str(len(rows)),
        chosen,
    ]


def _chosen(rows: pd.DataFrame) -> str:
    folds = rows["fold"].nunique()
    chosen = rows.loc[rows["chosen"], "fold"].nunique()
    if not chosen:
        return NOTHING
    return "yes" if chosen == folds else f"in {chosen} of {folds} folds"
