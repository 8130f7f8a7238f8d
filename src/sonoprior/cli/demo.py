"""`sonoprior demo`: the main job on simulated exams, from nothing to the report."""

import os
from pathlib import Path

from .data_phantom import phantom
from .study import study

_RECIPE = "phantom-pga"


def demo(*, out: Path = Path("out/demo"), jobs: int | None = None, device: str = "auto") -> int:
    """Make a simulated case set, train a network plain and guided on it, and say what guidance was worth.

    The same command goes on with a demo that was stopped. Nothing measured here is a clinical result.

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
    data = out / "phantom"
    if not data.exists():
        phantom(data, jobs=workers)
    return study(_RECIPE, data=data, out=out / "study", quick=True, jobs=workers, device=device)
