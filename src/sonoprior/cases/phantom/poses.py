"""How the probe is held for a view: by a human hand, well, badly, or on the way to the next view."""

from dataclasses import dataclass, replace

import numpy as np

from .geometry import Plane, Vector, turned, unit
from .patient import Patient
from .surroundings import probe_tip
from .views import Aim


@dataclass(frozen=True)
class Pose:
    """Where the probe is held: the middle of its face, what it looks at, and the image's direction."""

    tip: Vector
    target: Vector
    across: Vector

    @property
    def plane(self) -> Plane:
        """The section that it sees."""
        axial = unit(self.target - self.tip)
        return Plane(self.tip, unit(self.across - axial * (axial @ self.across)), axial)

    def toward(self, other: "Pose", share: float) -> "Pose":
        """A pose on the way to another one."""
        across = other.across if self.across @ other.across > -0.2 else -other.across
        return Pose(
            self.tip + share * (other.tip - self.tip),
            self.target + share * (other.target - self.target),
            unit(self.across + share * (across - self.across)),
        )


def pose(patient: Patient, aim: Aim, rng: np.random.Generator, jitter_mm: float = 2.0) -> Pose:
    """The probe held for an aim by a human hand."""
    target = aim.target + rng.normal(0, jitter_mm, 3)
    tip = probe_tip(patient.uterus, target, patient.around, patient.abdominal) + rng.normal(0, 1.5, 3)
    across = turned(aim.across, unit(target - tip), rng.normal(0, aim.roll_deg))
    return Pose(tip, target, across)


def off_plane(held: Pose, rng: np.random.Generator) -> Pose:
    """The same pose missed: the plane tilted or pushed away from what it should show."""
    normal = held.plane.normal
    away = rng.choice([-1, 1]) * rng.uniform(16, 30) * normal
    rolled = turned(held.across, held.plane.axial, rng.choice([-1, 1]) * rng.uniform(20, 50))
    return replace(held, target=held.target + away, across=rolled)
