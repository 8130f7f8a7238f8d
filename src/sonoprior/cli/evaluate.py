"""`sonoprior evaluate`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import print_json, print_table

if TYPE_CHECKING:
    from sonoprior.cases import CaseSet

Metrics = Mapping[str, Mapping[str, Mapping[str, float | None]]]


def evaluate(
    run: Path,
    *,
    data: Path | None = None,
    report: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Measure a run: on the cases it was tested on, or on another case set.

    Cases of the same set keep their parts, so that those that the run has learnt from stay apart.

    Parameters
    ----------
    run:
        The run folder.
    data:
        The folder of a case set; what was measured after training, if none is named.
    report:
        An HTML page to write about the run, its Markdown form beside it; the HTML has images, if `data` is
        the set of the run.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print JSON instead of tables.
    """
    from sonoprior.cases import CaseSet

    case_set = None if data is None else CaseSet.open(data)
    metrics = _stored(run) if case_set is None else _measured(run, case_set, device)
    if report is not None:
        _write_report(run, report, case_set, device)
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
    from sonoprior.core.folder import read_json
    from sonoprior.studies.finished import FinishedRun

    return read_json(FinishedRun.read(run).folder / "metrics.json")


def _measured(run: Path, case_set: "CaseSet", device: str) -> Any:
    from sonoprior.training.predictor import load

    predictor = load(run, device)
    return predictor.evaluate(case_set, predictor.parts_of(case_set)).metrics


def _write_report(run: Path, report: Path, case_set: "CaseSet | None", device: str) -> None:
    from functools import partial

    from sonoprior.studies.report import run_report
    from sonoprior.training.predictor import load

    run_report(run, report, case_set, partial(load, device=device))
    print(f"report: {report}", file=sys.stderr)
