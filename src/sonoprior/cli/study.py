"""`sonoprior study`."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .output import print_json
from .recipe import Set, Without
from .train import plain_warnings

if TYPE_CHECKING:
    from sonoprior.cases import CaseSet

SOME_FAILED = 1


def study(  # noqa: PLR0913 (each is an option)
    recipe: str,
    *,
    data: Path,
    out: Path,
    quick: bool = False,
    changes: Set = None,
    without: Without = None,
    seeds: int | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Train variants x folds x seeds of a recipe, and write what came out.

    The same command goes on with a study that was stopped: finished runs are kept, and with more seeds
    it grows. A run that fails is reported, and the others go on; the exit status is then 1.

    Parameters
    ----------
    recipe:
        A recipe's name, or the path of a YAML file.
    data:
        The folder of the case set.
    out:
        The study folder to write.
    quick:
        Take the recipe's quick form.
    changes:
        A setting to change, as dotted.key=value; may be given several times.
    without:
        A variant to leave out; * stands for any letters; may be given several times.
    seeds:
        Runs of each variant and fold; as many as the recipe says, if not given.
    jobs:
        Runs at a time; the cores are divided among them.
    cluster:
        The address of a dask scheduler whose workers train instead of this machine; all of them must see
        the case set and the study folder under the same paths.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.studies.runs import Machines
    from sonoprior.studies.study import run_study
    from sonoprior.training.exportable import warn_of_tap
    from sonoprior.training.recipe_file import load_recipe

    wanted = [*(changes or []), *([] if seeds is None else [f"study.seeds={seeds}"])]
    settings = load_recipe(recipe, quick=quick, changes=wanted, without=without or [])
    case_set = CaseSet.open(data)

    def train() -> dict[str, str]:
        warn_of_tap(settings)
        return run_study(settings, case_set, out, Machines(jobs, device, cluster))

    failed = carry_out(out, train)
    show_study(out, case_set, failed, json)
    return SOME_FAILED if failed else 0


def carry_out(out: Path, train: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Train runs, say how to go on after a stop, and print what failed; the failed runs with their errors."""
    try:
        with plain_warnings():
            failed = train()
    except KeyboardInterrupt:
        print(f"sonoprior: finished runs are kept in {out}; the same command goes on.", file=sys.stderr)
        raise
    for name, error in failed.items():
        print(f"sonoprior: {name} failed: {error}", file=sys.stderr)
    return failed


def show_study(out: Path, case_set: "CaseSet", failed: Mapping[str, str], json: bool) -> None:
    """Write results and report, and print them in short; nothing where no run is finished."""
    from sonoprior.studies.finished import is_finished
    from sonoprior.studies.report import study_report
    from sonoprior.studies.results import StudyResults
    from sonoprior.studies.wording import lines

    if not any(is_finished(run) for run in out.glob("runs/*/*")):
        return
    results = StudyResults.read(out, case_set)
    results.write()
    report = study_report(results, case_set)
    if json:
        print_json(results.summary() | {"failed": dict(failed), "report": str(report)})
        return
    for line in lines(results):
        print(line)
    print(f"report: {report}")
