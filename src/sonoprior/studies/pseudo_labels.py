"""What the pseudo-labels of runs were, from their logs: how many were used, and how many of those were right.

Training warns where none reached its threshold, and the notes of a run keep it; on a page such a run looks
like any other, so it is said here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.render.blocks import Block, Cell, Note, Paragraph, Table

from .figures import Runs
from .finished import FinishedRun
from .formats import NOTHING, counted, percentages

_RATE, _ACCURACY, _AGREEMENT = "pseudo_label_rate", "pseudo_label_accuracy", "pseudo_label_agreement"


@dataclass(frozen=True)
class Given:
    """The pseudo-labels of one objective of a variant.

    Attributes:
        variant: its name.
        objective: its name in the recipe.
        used: (runs,), in the last epoch, the share of images whose pseudo-label was learnt from.
        right: (runs,), the share of those with a known truth that were right; NaN where there was none.
        labels_right: (runs,), with several labels an image the share of single labels that were right.
        silent: (runs,), epochs in which no pseudo-label was learnt from.
        epochs: (runs,), all of them.
    """

    variant: str
    objective: str
    used: NDArray[np.float64]
    right: NDArray[np.float64]
    labels_right: NDArray[np.float64]
    silent: NDArray[np.int64]
    epochs: NDArray[np.int64]

    @property
    def mute(self) -> int:
        """How many runs learnt from no pseudo-label in any epoch."""
        return int((self.silent == self.epochs).sum())


def pseudo_labels(runs: Runs) -> list[Block]:
    """The pseudo-labels of each variant that gives some, and a warning where none was ever learnt from.

    Nothing where no variant gives any.

    Raises:
        FolderError: if a log is damaged.
    """
    found = [given(name, objective, of) for name, of in runs.items() for objective in _objectives(of)]
    if not found:
        return []
    about = Paragraph(
        "A pseudo-label is learnt from where it is sure enough. An objective without a single one learns"
        " nothing, and its variant is trained by the others alone."
    )
    return [about, *(_warning(one) for one in found if one.mute), _table(found)]


def _objectives(runs: Sequence[FinishedRun]) -> list[str]:
    """Those whose rate stands in the log of a run."""
    columns = dict.fromkeys(str(column) for run in runs for column in run.log.columns)
    rates = [column for column in columns if column.endswith(f".{_RATE}")]
    return [column.removeprefix("train.").removesuffix(f".{_RATE}") for column in rates]


def given(variant: str, objective: str, runs: Sequence[FinishedRun]) -> Given:
    """The pseudo-labels of one objective over the runs of a variant that log them."""
    runs = [run for run in runs if f"train.{objective}.{_RATE}" in run.log]
    rates = [run.log[f"train.{objective}.{_RATE}"].to_numpy(np.float64) for run in runs]
    return Given(
        variant=variant,
        objective=objective,
        used=np.array([rate[-1] for rate in rates]),
        right=_last(runs, f"train.{objective}.{_ACCURACY}"),
        labels_right=_last(runs, f"train.{objective}.{_AGREEMENT}"),
        silent=np.array([(rate == 0).sum() for rate in rates]),
        epochs=np.array([len(rate) for rate in rates]),
    )


def _last(runs: Sequence[FinishedRun], column: str) -> NDArray[np.float64]:
    """(runs,), the last of a column; NaN for a run without."""
    return np.array([run.log[column].iloc[-1] if column in run.log else np.nan for run in runs], np.float64)


def _warning(one: Given) -> Note:
    runs = len(one.epochs)
    where = "" if one.mute == runs else f" in {one.mute} of {counted(runs, 'run')}"
    return Note(
        f"{one.variant}: {one.objective} learnt nothing{where}, because no pseudo-label reached its threshold"
        " in any epoch.",
        "warning",
    )


def _table(found: Sequence[Given]) -> Table:
    several = any(np.isfinite(one.labels_right).any() for one in found)
    header = ["variant", "objective", "used, %", "of those right, %"]
    header += [*(["single labels right, %"] if several else []), "epochs without any"]
    caption = (
        "Mean ± standard deviation over runs, of the last epoch of training; epochs without any of all runs"
        f" together. What is right is known only where labels were hidden; {NOTHING}: nowhere, or none was"
        " used."
    )
    return Table(header, [_row(one, several) for one in found], caption)


def _row(one: Given, several: bool) -> Sequence[str | Cell]:
    return [
        one.variant,
        one.objective,
        percentages(one.used),
        percentages(one.right),
        *([percentages(one.labels_right)] if several else []),
        Cell(f"{one.silent.sum()} of {one.epochs.sum()}", "bad" if one.mute else "plain"),
    ]
