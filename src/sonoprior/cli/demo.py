"""`sonoprior demo`: the main job on simulated exams, from nothing to the report and to a search."""

import os
from pathlib import Path

from .casebase import build
from .casebase_search import search
from .data_phantom import phantom
from .export import export
from .study import study

_RECIPE = "phantom-pga"
_TERM = "adnexal view"
_FOUND = 5


def demo(*, out: Path = Path("out/demo"), jobs: int | None = None, device: str = "auto") -> int:
    """Make a simulated case set, train a network plain and guided on it, and say what guidance was worth.

    Then the guided network is exported, the simulated exams become a case base, and what a search for a frame
    and for a term finds is printed. The same command goes on with a demo that was stopped. Nothing measured
    here is a clinical result.

    Parameters
    ----------
    out:
        One folder for all that is written.
    jobs:
        Runs at a time; by default one a core.
    device:
        auto, cpu, cuda, cuda:1, mps.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = jobs or cores
    data, bundle, base = out / "phantom", out / "bundle", out / "cases"
    if not data.exists():
        phantom(data, jobs=workers)
    failed = study(_RECIPE, data=data, out=out / "study", quick=True, jobs=workers, device=device)
    if failed:
        return failed
    if not bundle.exists():
        export(_guided(out / "study"), out=bundle, data=data)
    if not base.exists():
        build(bundle, [data], out=base)
    _search(base, _tested(data))
    return 0


def _guided(folder: Path) -> Path:
    """The first run of the first variant that is not the baseline."""
    from sonoprior.studies.layout import PlannedRun
    from sonoprior.training.recipe_file import load_recipe

    asked = load_recipe(_RECIPE, quick=True).study
    variant = next(name for name in asked.variants if name != asked.baseline)
    return PlannedRun(variant, 0, 0).folder(folder)


def _tested(data: Path) -> Path:
    """An image that the network has not learnt from."""
    from sonoprior.cases import CaseSet

    cases = CaseSet.open(data)
    return data / cases.column("image")[cases.column("split").tolist().index("test")]


def _search(base: Path, image: Path) -> None:
    command = f"sonoprior casebase search {base}"
    print(f"\n{command} --image {image} --k {_FOUND}")
    search(base, images=[image], k=_FOUND)
    print(f"\n{command} --term '{_TERM}' --k {_FOUND}")
    search(base, term=_TERM, k=_FOUND)
    print(
        f"\nas pictures: {command} --image {image} --out {base.with_name('found')}"
        f"\nhow good the search is: sonoprior casebase evaluate {base}"
    )
