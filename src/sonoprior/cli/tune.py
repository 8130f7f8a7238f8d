"""`sonoprior tune`."""

from pathlib import Path

from .output import print_json
from .recipe import Set, Without
from .study import SOME_FAILED, carry_out


def tune(  # noqa: PLR0913 (each is an option)
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
    """Try the settings of a recipe's grid on validation, as many for every variant, and choose.

    The test cases have no part in it. What was tried is kept in tried.csv; chosen.yaml is the recipe with
    what was chosen, for `sonoprior refit`. The same command goes on with a tuning that was stopped. A
    setting that fails is reported and never chosen; the exit status is then 1.

    Parameters
    ----------
    recipe:
        A recipe's name, or the path of a YAML file; with a key `tune`.
    data:
        The folder of the case set.
    out:
        The tuning folder to write.
    quick:
        Take the recipe's quick form.
    changes:
        A setting to change, as dotted.key=value; may be given several times.
    without:
        A variant to leave out; * stands for any letters; may be given several times.
    seeds:
        Runs of each setting and fold; as many as the recipe says, if not given.
    jobs:
        Runs at a time; the cores are divided among them.
    cluster:
        The address of a dask scheduler whose workers train instead of this machine; all of them must see
        the case set and the tuning folder under the same paths.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print JSON instead of a line a variant.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.studies.runs import Machines
    from sonoprior.studies.tuning import CHOSEN, Tuning, run_tuning
    from sonoprior.training.recipe_file import load_recipe

    wanted = [*(changes or []), *([] if seeds is None else [f"tune.seeds={seeds}"])]
    settings = load_recipe(recipe, quick=quick, changes=wanted, without=without or [])
    case_set = CaseSet.open(data)
    failed = carry_out(out, lambda: run_tuning(settings, case_set, out, Machines(jobs, device, cluster)))
    tuning = Tuning.read(out)
    tuning.write()
    if json:
        print_json(tuning.summary() | {"failed": failed, "recipe": str(out / CHOSEN)})
    else:
        for line in tuning.lines():
            print(line)
        print(f"chosen by {tuning.metric} on validation: {out / CHOSEN}")
    return SOME_FAILED if failed else 0
