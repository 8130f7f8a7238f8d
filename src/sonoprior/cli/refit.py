"""`sonoprior refit`."""

import sys
from pathlib import Path

from .study import SOME_FAILED, carry_out, show_study


def refit(  # noqa: PLR0913 (each is an option)
    tuned: Path,
    *,
    data: Path,
    out: Path,
    seeds: int | None = None,
    ensemble: bool = False,
    jobs: int = 1,
    cluster: str | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Train the settings that a tuning chose, on all folds and seeds, and write what came out.

    This is the study of the recipe that `sonoprior tune` kept as chosen.yaml, with what was tried on its
    page. What tuning trained already with these settings and seeds is not trained again, only measured on the
    test part. The same command goes on with one that was stopped.

    Parameters
    ----------
    tuned:
        A folder that `sonoprior tune` wrote.
    data:
        The folder of the case set, the one that was tuned on.
    out:
        The study folder to write.
    seeds:
        Runs of each variant and fold; as many as the recipe says, if not given.
    ensemble:
        Average the folds' probabilities too, where all folds share the test part; written to ensemble.csv.
    jobs:
        Runs at a time; the cores are divided among them.
    cluster:
        The address of a dask scheduler whose workers train instead of this machine; all of them must see
        the case set, the tuning and the study folder under the same paths.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.studies.ensemble import TABLE, write_ensemble
    from sonoprior.studies.refit import run_refit
    from sonoprior.studies.runs import Machines

    case_set, on = CaseSet.open(data), Machines(jobs, device, cluster)
    failed = carry_out(out, lambda: run_refit(tuned, case_set, out, on, seeds=seeds, ensemble=ensemble))
    if ensemble:
        write_ensemble(out)
        print(f"ensemble of the folds: {out / TABLE}", file=sys.stderr)
    show_study(out, case_set, failed, json)
    return SOME_FAILED if failed else 0
