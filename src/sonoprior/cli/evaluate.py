"""`sonoprior evaluate`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .output import print_json, print_table

Metrics = Mapping[str, Mapping[str, Mapping[str, float | None]]]


def evaluate(run: Path, *, data: Path | None = None, device: str = "auto", json: bool = False) -> None:
    """Measure a run: on the cases it was tested on, or on another case set.

    Cases of the same set keep their parts, so that those that the run has learnt from stay apart.

    Parameters
    ----------
    run:
        The run folder.
    data:
        The folder of a case set; what was measured after training, if none is named.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print JSON instead of tables.
    """
    metrics = _stored(run) if data is None else _measured(run, data, device)
    if json:
        print_json({"run": str(run), "data": None if data is None else str(data), "metrics": metrics})
    else:
        print_metrics(metrics)


def print_metrics(metrics: Metrics) -> None:
    """One table: a line a metric, a column a part, each number with its interval."""
    names = list(dict.fromkeys(name for part in metrics.values() for name in part))
    rows = [[name, *(_cell(part.get(name)) for part in metrics.values())] for name in names]
    print_table("metrics, with 95 % intervals over groups of cases", ["metric", *metrics], rows)


def _cell(found: Mapping[str, float | None] | None) -> str:
    if found is None or found["value"] is None:
        return "-"
    value, low, high = found["value"], found["low"], found["high"]
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _stored(run: Path) -> Any:
    from sonoprior.core.errors import FolderError
    from sonoprior.core.folder import read_json, require

    require(run, "run", 1)
    if not (run / "metrics.json").is_file():
        raise FolderError(f"{run} is not finished: it has no metrics.json; resume its training first.")
    return read_json(run / "metrics.json")


def _measured(run: Path, data: Path, device: str) -> Any:
    from sonoprior.cases import CaseSet
    from sonoprior.training.predictor import load

    predictor = load(run, device)
    case_set = CaseSet.open(data)
    return predictor.evaluate(case_set, predictor.parts_of(case_set)).metrics
