"""What each variant loses from one kind of test cases to the other, such as where a burnt-in mark misleads.

A run's loss is its primary metric on the test cases of the kept kind less that on those of the lost kind.
Which case is of which kind stands in a column of the case set, which is kept in the study folder, so that
the page can be written again without the case set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.folder import whole_file
from sonoprior.metrics import Interval, Pair, Sample
from sonoprior.metrics.bootstrap import Weighted, resampled, resampled_difference
from sonoprior.metrics.contrast import Contrast
from sonoprior.training.parts import read_table
from sonoprior.training.study_settings import ContrastSettings

from .measures import Measure
from .samples import Taken, taken, together

if TYPE_CHECKING:
    from .results import StudyResults

KINDS = "contrast.csv"


@dataclass(frozen=True)
class Kinds:
    """Which case is of which kind.

    Attributes:
        contrast: the two kinds.
        of_case: case to its value in the column; without the cases that have none.
    """

    contrast: ContrastSettings
    of_case: Mapping[str, str]

    def told_apart(self, cases: NDArray[np.str_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The positions of the cases of either kind, and whether each of them is of the kept one."""
        kinds = np.array([self.of_case.get(str(case), "") for case in cases], dtype=object)
        kept = kinds == self.contrast.kept
        at = np.flatnonzero(kept | (kinds == self.contrast.lost))
        return at, kept[at]

    @staticmethod
    def read(folder: Path, contrast: ContrastSettings | None, case_set: CaseSet | None) -> "Kinds | None":
        """From the case set, else as kept in the study folder; None without a contrast, or without either.

        Raises:
            DataError: if the case set cannot have such a column.
            FolderError: if the kept file is damaged.
        """
        if contrast is None:
            return None
        if case_set is not None:
            rows = zip(case_set.ids, case_set.column(contrast.column), strict=True)
            return Kinds(contrast, {case: cell for case, cell in rows if cell is not None})
        if not (folder / KINDS).is_file():
            return None
        table = read_table(folder / KINDS)
        return Kinds(contrast, dict(zip(table["case"].tolist(), table["kind"].tolist(), strict=True)))

    def write(self, folder: Path) -> None:
        """Keep them in the study folder."""
        rows = pd.DataFrame({"case": list(self.of_case), "kind": list(self.of_case.values())})
        with whole_file(folder / KINDS) as temporary:
            rows.to_csv(temporary, index=False)


@dataclass(frozen=True)
class Loss:
    """What a variant loses.

    Attributes:
        variant: its name.
        kept: its metric on the kept kind, mean over runs.
        lost: its metric on the lost kind.
        loss: kept less lost, with bounds over other patients.
        of_runs: the loss of each run.
        reference: the variant that it is compared with; None for one that is compared with none.
        difference: its loss less that of its reference.
        share: its loss over that of its reference; without bounds where the reference loses nothing certain.
    """

    variant: str
    kept: float
    lost: float
    loss: Interval
    of_runs: Sequence[float]
    reference: str | None = None
    difference: Interval | None = None
    share: Interval | None = None

    def row(self) -> dict[str, Any]:
        """For summary.json."""
        row: dict[str, Any] = {"variant": self.variant, "kept": self.kept, "lost": self.lost}
        named = {"loss": self.loss, "difference": self.difference, "share": self.share}
        for name, found in named.items():
            if found is not None:
                row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        return row | {"against": self.reference}


def losses(results: "StudyResults") -> list[Loss]:
    """What each variant loses; empty without a contrast, or where no run has test cases of both kinds."""
    if results.kinds is None:
        return []
    found = [_loss(results, name, results.kinds) for name in results.runs]
    return [one for one in found if one is not None]


def _loss(results: "StudyResults", variant: str, kinds: Kinds) -> Loss | None:
    measure, statistic = results.primary, _contrast(results.primary)
    samples = [_sample(taken(measure, run), kinds) for run in results.runs[variant]]
    samples = [sample for sample in samples if _has_both(sample)]
    if not samples:
        return None
    alone = Loss(
        variant=variant,
        kept=float(np.mean([measure.statistic(*_of_kind(sample, kept=True)) for sample in samples])),
        lost=float(np.mean([measure.statistic(*_of_kind(sample, kept=False)) for sample in samples])),
        loss=resampled(statistic, samples).interval(),
        of_runs=[statistic(*sample.arrays) for sample in samples],
    )
    reference = results.reference(variant)
    matched = results.matched(variant, reference) if reference else []
    pairs = [_pair(*together(*(taken(measure, run) for run in runs)), kinds) for runs in matched]
    pairs = [pair for pair in pairs if _has_both(Sample(pair.groups, pair.shared))]
    if not pairs:
        return alone
    difference = resampled_difference(statistic, pairs).interval()
    return replace(alone, reference=reference, difference=difference, share=_share(statistic, pairs))


def _contrast(measure: Measure) -> Contrast:
    return Contrast(cast("Weighted", measure.statistic))


def _sample(of: Taken, kinds: Kinds) -> Sample:
    """The cases of either kind: groups; whether kept, and what the metric takes."""
    at, kept = kinds.told_apart(of.cases)
    own = of.at(at)
    return Sample(own.groups, (kept, *own.shared, own.given))


def _pair(treated: Taken, base: Taken, kinds: Kinds) -> Pair:
    """The same of the test cases that two runs share."""
    at, kept = kinds.told_apart(treated.cases)
    first, second = treated.at(at), base.at(at)
    return Pair(first.groups, (kept, *first.shared), first.given, second.given)


def _has_both(sample: Sample) -> bool:
    kept = np.asarray(sample.arrays[0])
    return bool(kept.any() and not kept.all())


def _of_kind(sample: Sample, kept: bool) -> list[NDArray[Any]]:
    is_kept, *arrays = (np.asarray(array) for array in sample.arrays)
    return [array[is_kept == kept] for array in arrays]


def _share(statistic: Contrast, pairs: Sequence[Pair]) -> Interval:
    """The loss of the treated over that of the baseline, both on the same cases and draws."""
    above = resampled(statistic, [Sample(pair.groups, (*pair.shared, pair.treated)) for pair in pairs])
    below = resampled(statistic, [Sample(pair.groups, (*pair.shared, pair.baseline)) for pair in pairs])
    found = above.ratio(below).interval()
    # Over a loss that may be nothing, a share may be anything.
    return found if below.interval().low > 0 else Interval(found.value, float("nan"), float("nan"))
