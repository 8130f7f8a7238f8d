"""The splits of a study, made once and kept: every variant and seed sees the same parts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import whole_file
from sonoprior.training.parts import Parts, parts_in, read_table


def write_splits(path: Path, case_set: CaseSet, groups: NDArray[np.str_], folds: Sequence[Parts]) -> None:
    """Write `splits.csv`: case, group, and for each fold the part of the case, empty where it has none."""
    table = pd.DataFrame({"case": case_set.ids, "group": groups})
    for number, fold in enumerate(folds):
        parts = np.full(len(case_set), "", dtype=object)
        for name, positions in fold.items():
            parts[positions] = name
        table[f"fold{number}"] = parts
    with whole_file(path) as temporary:
        table.to_csv(temporary, index=False)


def read_splits(path: Path, case_set: CaseSet) -> tuple[NDArray[np.str_], Sequence[Parts]]:
    """Groups (n,) and the parts of every fold.

    Raises:
        FolderError: if the file is missing or damaged, or was made for other cases.
    """
    table = read_table(path)
    if table["case"].tolist() != case_set.ids:
        raise FolderError(
            f"{path} was made for other cases than those of {case_set.root}; name a new folder."
        )
    folds = [table[name].to_numpy(str) for name in table.columns if name.startswith("fold")]
    parts = [{name: np.flatnonzero(fold == name) for name in parts_in(fold.tolist())} for fold in folds]
    return table["group"].to_numpy(str), parts
