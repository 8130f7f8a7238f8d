"""What may be set for a simulated case set."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sonoprior.core.checks import at_least, one_of, within
from sonoprior.core.errors import DataError

from .burnt_in import OVERLAYS
from .patient import ABDOMINAL
from .views import BY_NAME, PLANES

VERSION = 1
"""Of the phantom: its physics, anatomy and default settings. Results compare within one version only."""

FRAMES_A_PATIENT = 2000 / 120
PARTS = {"train": 0.472, "validation": 0.1185, "test": 0.4095}
"""944 and 237 of 2,000 as in table 2.1 of the thesis; the test part is larger, since simulation is free."""


@dataclass(frozen=True)
class Confounder:
    """A burnt-in mark that goes with a class where a network learns, and with none where it is tested.

    Attributes:
        mark: one of `burnt_in.OVERLAYS`.
        plane: one of the eight classes.
        with_class: share of the class's frames for training and validation that carry the mark.
        otherwise: share of the other frames for training and validation.
        in_test: share of all frames for testing.
    """

    mark: str
    plane: str
    with_class: float = 0.95
    otherwise: float = 0.05
    in_test: float = 0.5

    def __post_init__(self) -> None:
        one_of("confounder: the mark", self.mark, OVERLAYS, DataError)
        one_of("confounder: the class", self.plane, PLANES, DataError)
        for name in ("with_class", "otherwise", "in_test"):
            within(f"confounder: {name}", getattr(self, name), 0, 1, DataError)

    def share(self, plane: str | None, part: str) -> float:
        """How likely a frame of a class in a part of the split carries the mark."""
        if part == "test":
            return self.in_test
        return self.with_class if plane == self.plane else self.otherwise


@dataclass(frozen=True)
class PhantomSettings:
    """What may be set for a simulated case set.

    Attributes:
        patients: how many; each has one exam.
        frames: how many with one of the eight classes; by default 16.7 a patient.
        seed: everything follows from it.
        size: pixels in each direction.
        outline_fraction: of the frames that come with outlines.
        box_fraction: of the frames that come with boxes.
        unlabelled: further frames, off their plane or between two views, as a share of `frames`.
        abdominal: share of patients scanned through the abdominal wall; as rare by default as in real exams.
        sweeps: clips of 10 to 60 frames a patient, on top.
        label_noise: share of frames whose view is wrong.
        outline_noise_px: standard deviation of an outline's error.
        view_weights: how often each view is taken, by its name; by default as in real exams.
        confounder: a burnt-in mark that goes with a class.
        overlay_masks: whether each burnt-in mark's place is kept, as a map of its name.
        splits: whether the set says which patients are for training, validation and test.
    """

    patients: int = 120
    frames: int | None = None
    seed: int = 7
    size: int = 256
    outline_fraction: float = 0.23
    box_fraction: float = 1.0
    unlabelled: float = 0.05
    abdominal: float = ABDOMINAL
    sweeps: int = 0
    label_noise: float = 0.0
    outline_noise_px: float = 0.0
    view_weights: Mapping[str, float] = field(default_factory=dict)
    confounder: Confounder | None = None
    overlay_masks: bool = False
    splits: bool = True

    def __post_init__(self) -> None:
        at_least("patients", self.patients, 1, DataError)
        at_least("frames", self.total, self.patients, DataError)
        at_least("seed", self.seed, 0, DataError)
        at_least("sweeps", self.sweeps, 0, DataError)
        within("size", self.size, 32, 1024, DataError)
        for name in ("outline_fraction", "box_fraction", "unlabelled", "abdominal", "label_noise"):
            within(name, getattr(self, name), 0, 1, DataError)
        at_least("outline_noise_px", self.outline_noise_px, 0, DataError)
        for view, weight in self.view_weights.items():
            one_of("view_weights: a view", view, list(BY_NAME), DataError)
            at_least(f"view_weights: {view}", weight, 0, DataError)

    @property
    def total(self) -> int:
        """How many frames have one of the eight classes."""
        return round(self.patients * FRAMES_A_PATIENT) if self.frames is None else self.frames
