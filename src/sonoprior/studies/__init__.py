"""Studies: variants, folds and seeds compared, and the page that says what came out."""

from importlib import import_module
from typing import Any

_LAZY = {
    "StudyResults": "results",
    "compare_runs": "comparison",
    "run_report": "report",
    "study_report": "report",
}
__all__ = ["StudyResults", "compare_runs", "run_report", "study_report"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
