"""A simulated case set: patients drawn, their exams taken, everything known of each frame written down."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cv2
from joblib import Parallel, delayed

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.writer import CaseSetWriter
from sonoprior.core.progress import bar

from .exam import QUALITIES
from .patient import SITUATIONS
from .plan import Visit, visits
from .records import Record, records_of
from .settings import VERSION, PhantomSettings
from .tissue import ZONES
from .views import META, MIRRORED, PLANES, VIEWS

THREE_ZONES = {
    "gestation": ["amniotic sac", "embryo", "gestational sac", "yolk sac", "trophoblast"],
    "uterus": ["midline echo", "cervix external ostium", "endometrium", "uterus borders"],
    "ovary": ["ovary"],
}


def make_phantom(out: Path, *, jobs: int | None = None, **settings: Any) -> CaseSet:
    """Simulate exams of early pregnancy and write them as a case set.

    Args:
        out: the new folder.
        jobs: processes; by default one a core. The result does not depend on it.
        settings: see `PhantomSettings`.

    Raises:
        DataError: if a setting is not allowed.
        FolderError: if the folder exists and is not empty, or cannot be written.
    """
    chosen = PhantomSettings(**settings)
    planned = visits(chosen)
    with CaseSetWriter(out, describe(chosen)) as writer, bar("simulate", len(planned)) as tick:
        for records in _simulated(planned, chosen, jobs or os.cpu_count() or 1):
            for record in records:
                writer.add(**record)
            tick()
    return CaseSet.open(out)


def describe(settings: PhantomSettings) -> DatasetInfo:
    """What the case set says of itself."""
    return DatasetInfo(
        name=f"phantom of early pregnancy {VERSION}",
        about=(
            "Simulated ultrasound of simulated patients in early pregnancy; not real images. Nothing measured"
            f" on it is a clinical result. Phantom version {VERSION}, seed {settings.seed}."
        ),
        levels={
            "plane": list(PLANES),
            "view": [view.name for view in VIEWS],
            "meta": list(META),
            "quality": list(QUALITIES),
            "disorder": [situation.disorder for situation in SITUATIONS],
        },
        zones=list(ZONES),
        groupings={"three": THREE_ZONES},
        mirror=[(left, right) for left, right in MIRRORED],
        licence="Apache-2.0",
        source=f"sonoprior phantom, version {VERSION}",
        simulated=True,
    )


def _simulated(planned: list[Visit], settings: PhantomSettings, jobs: int) -> Iterator[list[Record]]:
    """The records of each patient, in order."""
    if jobs == 1:
        yield from (records_of(visit, settings) for visit in planned)
        return
    work = (delayed(_in_worker)(visit, settings) for visit in planned)
    together = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
    yield from cast("Iterator[list[Record]]", together(work))


def _in_worker(visit: Visit, settings: PhantomSettings) -> list[Record]:
    cv2.setNumThreads(1)  # the cores are shared among the workers
    return records_of(visit, settings)
