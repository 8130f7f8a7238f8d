"""The kit of the abdomen: several organs in one picture, whole exams, most of them labelled by nobody."""

from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.phantom.kit import Kit
from sonoprior.cases.phantom.plan import Visit, exam_visits

from .records import records_of
from .settings import FRAMES, PARTS, VERSION, AbdomenSettings
from .tissues import ORGANS, OTHER


def describe(settings: AbdomenSettings) -> DatasetInfo:
    """What the case set says of itself."""
    return DatasetInfo(
        name=f"phantom of the abdomen {VERSION}",
        about=(
            "Simulated ultrasound of simulated abdomens; not real images. Nothing measured on it is a"
            " clinical result. An organ is a label of a frame where it covers enough of the picture; 'other'"
            f" is one where none does. Phantom version {VERSION}, seed {settings.seed}."
        ),
        levels={"organs": [*ORGANS, OTHER]},
        several=["organs"],
        zones=list(ORGANS),
        licence="Apache-2.0",
        source=f"sonoprior phantom of the abdomen, version {VERSION}",
        simulated=True,
    )


def visits(settings: AbdomenSettings) -> list[Visit]:
    """The patients, most of whom nobody labelled."""
    return exam_visits(settings.seed, settings.patients, PARTS, settings.unlabelled, FRAMES)


KIT = Kit("abdomen", AbdomenSettings, describe, visits, records_of)
