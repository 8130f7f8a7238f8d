"""Results as rows of results.csv and of summary.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .differences import Claim, Difference
from .outcome import Outcome


def row_of(outcome: Outcome) -> dict[str, Any]:
    """One measure of one variant, and its difference to its reference, if it has one."""
    row: dict[str, Any] = {
        "variant": outcome.variant,
        "measure": outcome.measure.name,
        "runs": len(outcome.of_runs),
        "mean": outcome.interval.value,
        "std": outcome.std,
        "low": outcome.interval.low,
        "high": outcome.interval.high,
    }
    found = outcome.difference
    return row if found is None else row | {"against": outcome.reference} | difference_columns(found)


def difference_columns(found: Difference) -> dict[str, Any]:
    """A difference: bounds and p over other patients, then (t_...) over other training sets."""
    return {
        "difference": found.interval.value,
        "difference_low": found.interval.low,
        "difference_high": found.interval.high,
        "p": found.p,
        "t_low": found.corrected.low,
        "t_high": found.corrected.high,
        "t_p": found.corrected.p,
        "t_splits": found.corrected.splits,
        "pairs": len(found.of_runs),
        "better": found.better,
    }


def corrected_columns(claim: Claim) -> dict[str, Any]:
    """The p-values of a claim, corrected over its family."""
    return {"p_holm": claim.patients, "t_p_holm": claim.training_sets, "comparisons": claim.family}


def claim_row(claim: Claim) -> dict[str, Any]:
    """A difference of two variants."""
    names = {"variant": claim.treated, "against": claim.reference}
    return names | difference_columns(claim.difference) | corrected_columns(claim)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers for JSON, which knows no NaN."""
    return {
        name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()
    }
