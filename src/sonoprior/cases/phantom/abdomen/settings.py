"""What may be set for simulated exams of the abdomen."""

from dataclasses import dataclass

from sonoprior.cases.phantom.population import PopulationSettings
from sonoprior.core.checks import within
from sonoprior.core.errors import DataError

VERSION = 1
"""Of this kit: its anatomy, views and default settings. Results compare within one version only."""

PARTS = {"train": 0.35, "validation": 0.25, "test": 0.40}
"""Of the labelled patients: with 60 % unlabelled 0.14, 0.10 and 0.16 of all."""
FRAMES = (5, 12.2, 25)
"""The fewest, the mean and the most frames of an exam; the paper's 101 test exams have 12.3 on average."""


@dataclass(frozen=True)
class AbdomenSettings(PopulationSettings):
    """What may be set, besides what every population lets be set.

    Attributes:
        unlabelled: share of patients whom nobody labelled.
        out_of_scope: share of the unlabelled patients' frames that show another part of the body.
    """

    unlabelled: float = 0.6
    out_of_scope: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        within("out_of_scope", self.out_of_scope, 0, 1, DataError)
