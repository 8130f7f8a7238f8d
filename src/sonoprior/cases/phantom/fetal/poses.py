"""How the probe is held for an aim, and how much of the picture the screen shows."""

from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import HEAD, LEFT, Plane, Vector, turned, unit
from sonoprior.cases.phantom.probes import Probe, Screen

from .patient import Patient
from .planes import Aim

_STEP_MM = 10.0  # between depths that a machine offers
_ZOOMED = 0.8  # of the pictures are magnified to what is looked at
_PRESSED_MM = 1.0
_FORNIX_MM = 6.0  # of tissue between an endocavity probe and the cervix


@dataclass(frozen=True)
class Pose:
    """A plane, and how deep in it the target lies, mm."""

    plane: Plane
    depth: float

    def probe_centre(self, probe: Probe) -> Vector:
        """The centre of the probe's curved face."""
        return self.plane.origin - probe.radius_mm * self.plane.axial


def pose(patient: Patient, aim: Aim, rng: np.random.Generator) -> Pose:
    """The probe held for an aim by a human hand."""
    normal = _tilted(aim.normal, aim.tilt_deg, rng)
    target = patient.mother.kept_inside(aim.target + rng.normal(0, aim.shift_mm) * normal)
    axial = unit(aim.beam - normal * (normal @ aim.beam))
    lateral = np.cross(normal, axial)
    if lateral @ (LEFT - HEAD) < 0:
        lateral = -lateral
    if aim.vaginal:
        depth = patient.mother.cervix.radius + _FORNIX_MM + rng.uniform(0, 5)
    else:
        depth = patient.mother.skin_depth(target, axial) - _PRESSED_MM
    beside = rng.normal(0, 0.05) * aim.extent_mm
    return Pose(Plane(target - depth * axial + beside * lateral, lateral, axial), depth)


def _tilted(normal: Vector, degrees: float, rng: np.random.Generator) -> Vector:
    """A unit direction, turned by a random angle about an axis at right angles to it."""
    axis = rng.standard_normal(3)
    axis = unit(axis - normal * (axis @ normal))
    return turned(normal, axis, rng.normal(0, degrees))


def screen(aim: Aim, depth: float, size: int, rng: np.random.Generator) -> Screen:
    """The whole depth, or a box around what is looked at."""
    room = aim.extent_mm * rng.uniform(1.05, 1.4)
    if aim.vaginal or rng.random() >= _ZOOMED:
        return Screen(0.0, _stepped(max(depth + 0.62 * room, 0.9 * room)), size)
    height = _stepped(room)
    top = max(_STEP_MM * round((depth - rng.uniform(0.44, 0.56) * height) / _STEP_MM), 0.0)
    return Screen(top, height, size)


def _stepped(length: float) -> float:
    return float(max(_STEP_MM * np.ceil(length / _STEP_MM), 3 * _STEP_MM))
