"""What may be set for every kit whose exams are as long as they happen to be."""

from dataclasses import dataclass

from sonoprior.core.checks import at_least, within
from sonoprior.core.errors import DataError


@dataclass(frozen=True)
class PopulationSettings:
    """What may be set for a population; a kit derives its own settings from it.

    Attributes:
        patients: how many; each has one exam.
        seed: everything follows from it.
        size: pixels in each direction.
        outline_fraction: of the frames that come with outlines.
        box_fraction: of the frames that come with boxes.
        outline_noise_px: standard deviation of an outline's error.
        unlabelled: share of patients whom nobody labelled; what their frames show stands in columns
            `extra...`, for looking and never for training.
        overlay_masks: whether each burnt-in mark's place is kept, as a map of its name.
        splits: whether the set says which patients are for training, validation and test.
    """

    patients: int = 120
    seed: int = 7
    size: int = 256
    outline_fraction: float = 0.23
    box_fraction: float = 1.0
    outline_noise_px: float = 0.0
    unlabelled: float = 0.0
    overlay_masks: bool = False
    splits: bool = True

    def __post_init__(self) -> None:
        at_least("patients", self.patients, 1, DataError)
        at_least("seed", self.seed, 0, DataError)
        within("size", self.size, 32, 1024, DataError)
        at_least("outline_noise_px", self.outline_noise_px, 0, DataError)
        for name in ("outline_fraction", "box_fraction", "unlabelled"):
            within(name, getattr(self, name), 0, 1, DataError)
