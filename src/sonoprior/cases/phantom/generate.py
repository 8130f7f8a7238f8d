"""A simulated case set: patients drawn, their exams taken, everything known of each frame written down."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
from joblib import Parallel, delayed

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.writer import CaseSetWriter
from sonoprior.core.progress import bar

from .kit import EARLY_PREGNANCY, KITS, Kit, Record, Settings
from .plan import Visit


def make_phantom(
    out: Path, kit: str = EARLY_PREGNANCY, *, jobs: int | None = None, **settings: Any
) -> CaseSet:
    """Simulate exams and write them as a case set.

    Args:
        out: the new folder.
        kit: which kind of exams, one of `kit.KITS`.
        jobs: processes; by default one a core. The result does not depend on it.
        settings: of the kit; `PhantomSettings`, for example, for early pregnancy.

    Raises:
        DataError: if the kit is unknown, or a setting is not the kit's or not allowed.
        FolderError: if the folder exists and is not empty, or cannot be written.
    """
    chosen_kit: Kit[Any] = KITS.load(kit)
    chosen = chosen_kit.choose(settings)
    planned = chosen_kit.visits(chosen)
    with CaseSetWriter(out, chosen_kit.describe(chosen)) as writer, bar("simulate", len(planned)) as tick:
        for records in _simulated(chosen_kit, planned, chosen, jobs or os.cpu_count() or 1):
            for record in records:
                writer.add(**record)
            tick()
    return CaseSet.open(out)


def _simulated(
    kit: Kit[Any], planned: Sequence[Visit], settings: Settings, jobs: int
) -> Iterator[list[Record]]:
    """The records of each patient, in order."""
    if jobs == 1:
        yield from (kit.records_of(visit, settings) for visit in planned)
        return
    work = (delayed(_in_worker)(kit, visit, settings) for visit in planned)
    together = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
    yield from cast("Iterator[list[Record]]", together(work))


def _in_worker(kit: Kit[Any], visit: Visit, settings: Settings) -> list[Record]:
    cv2.setNumThreads(1)  # the cores are shared among the workers
    return kit.records_of(visit, settings)
