"""Where an examiner of the abdomen holds the probe, and how often.

A view is what she aims at, not what the picture is labelled with: the labels follow from what is in it. The
weights were set once so that the labels of the frames come near those of the paper's test set [0].

[0] Tables 1 and 2 of "Deep clustering for abdominal organ classification in ultrasound imaging": 1,242
    images with 1,566 labels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sonoprior.cases.phantom.geometry import HEAD, LEFT, Plane, Vector, turned, unit

from .kidneys import Kidney
from .patient import Patient


@dataclass(frozen=True)
class Aim:
    """How the probe is held for a view.

    Attributes:
        round_deg: where on the skin: 0 is the patient's left, 90 her front, 180 her right.
        height: where on the skin, mm.
        target: what stands on the middle beam, mm.
        across: which way the image runs from left to right.
        depth_mm: how deep the picture is.
        between_ribs: whether the probe is moved to the next gap between two ribs.
        press_mm: how far the hand presses the soft front of the belly in.
    """

    round_deg: float
    height: float
    target: Vector
    across: Vector
    depth_mm: float
    between_ribs: bool = False
    press_mm: float = 0.0


Finder = Callable[[Patient, np.random.Generator], Aim | None]


@dataclass(frozen=True)
class View:
    """What an examiner aims at.

    Attributes:
        name: of the view.
        weight: how often.
        find: where to aim in a patient; None where she has no such thing.
    """

    name: str
    weight: float
    find: Finder


def held(patient: Patient, aim: Aim, rng: np.random.Generator) -> Plane:
    """The section when a human hand holds the probe for an aim."""
    around, height = aim.round_deg + rng.normal(0, 3), aim.height + rng.normal(0, 6)
    target = aim.target + rng.normal(0, 4, 3)
    trunk, unsteady_deg = patient.trunk, 8.0
    if aim.between_ribs:
        # The gap is narrow: the beam goes through its middle, and the probe is turned along it with care.
        gap = trunk.between_ribs(around, height) + rng.normal(0, 1, 3)
        tip, unsteady_deg = gap - trunk.above_ribs_mm * unit(target - gap), 4.0
    else:
        tip = trunk.skin(around, height)
    axial = unit(target - tip)
    across = turned(aim.across, axial, rng.normal(0, unsteady_deg))
    tip = tip + aim.press_mm * trunk.scale * axial
    return Plane(tip, unit(across - axial * (axial @ across)), axial)


def _liver_subcostal(patient: Patient, rng: np.random.Generator) -> Aim:
    liver, s = patient.liver.right, patient.trunk.scale
    target = liver.centre + np.array([rng.uniform(-12, 28), rng.uniform(-20, 15), rng.uniform(-5, 30)]) * s
    across = unit(LEFT + rng.uniform(-0.1, 0.5) * HEAD)
    return Aim(rng.uniform(102, 124), rng.uniform(2, 18) * s, target, across, rng.uniform(140, 175))


def _liver_sagittal(patient: Patient, rng: np.random.Generator) -> Aim:
    liver, s = patient.liver.right, patient.trunk.scale
    target = liver.centre + np.array([rng.uniform(-15, 20), rng.uniform(-15, 20), rng.uniform(-10, 25)]) * s
    return Aim(rng.uniform(108, 128), rng.uniform(0, 15) * s, target, -HEAD, rng.uniform(140, 175))


def _left_lobe(patient: Patient, rng: np.random.Generator) -> Aim:
    lobe, s = patient.liver.left, patient.trunk.scale
    target = lobe.centre + np.array([rng.uniform(-15, 20), -20, rng.uniform(-18, 14)]) * s
    across = -HEAD if rng.random() < 0.6 else LEFT
    high = float(lobe.centre[2]) - rng.uniform(5, 28)
    return Aim(rng.uniform(88, 98), high, target, across, rng.uniform(95, 135), press_mm=rng.uniform(8, 18))


def _liver_between_ribs(patient: Patient, rng: np.random.Generator) -> Aim:
    liver, s = patient.liver.right, patient.trunk.scale
    target = liver.centre + np.array([20, rng.uniform(-10, 15), rng.uniform(-25, 20)]) * s
    around = rng.uniform(148, 172)
    across = -patient.trunk.along_ribs(around)
    return Aim(around, float(target[2]) - rng.uniform(0, 15), target, across, rng.uniform(120, 160), True)


def _liver_and_kidney(patient: Patient, rng: np.random.Generator) -> Aim:
    kidney, s = patient.right_kidney.surface, patient.trunk.scale
    target = kidney.centre + rng.uniform(0.3, 0.8) * kidney.semi[2] * kidney.axes[2]
    height = float(target[2]) + rng.uniform(-10, 12) * s
    around = rng.uniform(146, 170)
    across = unit(-kidney.axes[2] + rng.uniform(0, 0.8) * patient.trunk.along_ribs(around))
    return Aim(around, height, target, across, rng.uniform(120, 155), True)


def _gallbladder(across_axis: bool) -> Finder:
    def find(patient: Patient, rng: np.random.Generator) -> Aim | None:
        found = patient.liver.gallbladder
        if found is None:
            return None
        target = found.lumen.centre + rng.uniform(-0.25, 0.2) * found.lumen.semi[2] * found.axis
        high = float(target[2]) + rng.uniform(2, 28)
        around = rng.uniform(104, 132)
        if across_axis:
            across = unit(np.cross(found.axis, np.array([0.2, 1.0, 0.1])))
            across = across if across @ LEFT > 0 else -across
        else:
            across = found.axis
        return Aim(around, high, target, across, rng.uniform(95, 135), press_mm=rng.uniform(0, 12))

    return find


def _pancreas(patient: Patient, rng: np.random.Generator) -> Aim:
    line, s = patient.upper.line, patient.trunk.scale
    target = line[int(rng.integers(2, 5))] + np.array([rng.uniform(-8, 8), -6, 0]) * s
    along = unit(line[-2] - line[1])
    across = unit(LEFT + rng.uniform(0.4, 1.0) * (along - LEFT))
    high = float(target[2]) + rng.uniform(0, 22) * s
    return Aim(rng.uniform(86, 98), high, target, across, rng.uniform(90, 125), press_mm=rng.uniform(20, 34))


def _spleen(patient: Patient, rng: np.random.Generator) -> Aim:
    spleen = patient.upper.spleen
    target = spleen.centre - 0.3 * spleen.semi[0] * spleen.axes[0]
    target += rng.uniform(-0.25, 0.3) * spleen.semi[2] * spleen.axes[2]
    around = rng.uniform(-22, 4)
    across = unit(patient.trunk.along_ribs(around) + rng.uniform(-0.1, 0.15) * spleen.axes[2])
    high = float(target[2]) + rng.uniform(-8, 8)
    return Aim(around, high, target, across, rng.uniform(100, 140), True)


def _spleen_and_kidney(patient: Patient, rng: np.random.Generator) -> Aim:
    spleen, kidney = patient.upper.spleen, patient.left_kidney.surface
    target = 0.6 * kidney.centre + 0.4 * spleen.centre + 0.25 * kidney.semi[2] * kidney.axes[2]
    high = float(target[2]) + rng.uniform(-5, 12)
    around = rng.uniform(-28, -6)
    across = unit(-kidney.axes[2] + rng.uniform(0.1, 1.0) * patient.trunk.along_ribs(around))
    return Aim(around, high, target, across, rng.uniform(115, 145), True)


def _kidney(side: int, longitudinal: bool) -> Finder:
    def of(patient: Patient) -> Kidney:
        return patient.left_kidney if side > 0 else patient.right_kidney

    def find(patient: Patient, rng: np.random.Generator) -> Aim:
        surface = of(patient).surface
        target = surface.centre + rng.uniform(-0.35, 0.3) * surface.semi[2] * surface.axes[2]
        back = rng.uniform(8, 34)
        around = 180 + back if side < 0 else -back
        across = -surface.axes[2]
        if not longitudinal:
            across = turned(across, unit(target - patient.trunk.skin(around, float(target[2]))), 90)
        high = float(target[2]) - rng.uniform(0, 18)
        return Aim(around, high, target, across, rng.uniform(105, 145))

    return find


def _bladder(across: Vector) -> Finder:
    def find(patient: Patient, rng: np.random.Generator) -> Aim:
        bladder = patient.lower.bladder
        top = float(bladder.centre[2] + rng.uniform(0.1, 0.8) * bladder.semi[2])
        return Aim(
            rng.uniform(84, 96), top, bladder.centre + rng.normal(0, 5, 3), across, rng.uniform(105, 155)
        )

    return find


def _great_vessels(patient: Patient, rng: np.random.Generator) -> Aim:
    s = patient.trunk.scale
    target = (patient.trunk.aorta if rng.random() < 0.7 else patient.trunk.cava)[0] * np.array([1, 1, 0])
    target = target + rng.uniform(-72, -34) * s * HEAD
    across = -HEAD if rng.random() < 0.5 else LEFT
    press = rng.uniform(24, 40)
    return Aim(rng.uniform(82, 100), float(target[2]), target, across, rng.uniform(90, 130), press_mm=press)


def _bowel(patient: Patient, rng: np.random.Generator) -> Aim:
    s, bladder = patient.trunk.scale, patient.lower.bladder
    above = float(bladder.centre[2] + bladder.semi[2]) + 40
    height = max(rng.uniform(-122, -62) * s, min(above, -62 * s))
    target = np.array([rng.uniform(-70, 80) * s, rng.uniform(0, 30) * s, height])
    around = float(np.degrees(np.arctan2(100.0, 1.4 * target[0])))
    across = unit(rng.normal(0, 0.3, 3) + (LEFT if rng.random() < 0.5 else -HEAD))
    return Aim(
        around, float(target[2]) + rng.uniform(-10, 10), target, across, rng.uniform(90, 135), press_mm=12
    )


def _flank(patient: Patient, rng: np.random.Generator) -> Aim:
    """Colon and muscle at the side, below the kidney."""
    s, left = patient.trunk.scale, rng.random() < 0.5
    target = s * np.array([(1 if left else -1) * rng.uniform(45, 75), -20, rng.uniform(-130, -92)])
    around = rng.uniform(-5, 55)
    across = -HEAD if rng.random() < 0.6 else LEFT
    high = float(target[2]) + rng.uniform(-5, 10)
    return Aim(around if left else 180 - around, high, target, across, rng.uniform(90, 135), press_mm=8)


def _stomach(patient: Patient, rng: np.random.Generator) -> Aim:
    stomach = patient.upper.stomach
    target = stomach.centre + rng.normal(0, 8, 3)
    across = LEFT if rng.random() < 0.6 else -HEAD
    high = float(target[2]) - rng.uniform(5, 30)
    return Aim(rng.uniform(58, 76), high, target, across, rng.uniform(95, 135), press_mm=8)


VIEWS = (
    View("liver from below the ribs", 10.3, _liver_subcostal),
    View("liver in a sagittal plane", 4, _liver_sagittal),
    View("left lobe of the liver", 5.5, _left_lobe),
    View("liver between the ribs", 4.5, _liver_between_ribs),
    View("liver and right kidney", 4.6, _liver_and_kidney),
    View("gallbladder along", 3.1, _gallbladder(across_axis=False)),
    View("gallbladder across", 1.7, _gallbladder(across_axis=True)),
    View("pancreas", 4.1, _pancreas),
    View("spleen", 5, _spleen),
    View("spleen and left kidney", 1.5, _spleen_and_kidney),
    View("right kidney along", 5, _kidney(-1, longitudinal=True)),
    View("right kidney across", 2.5, _kidney(-1, longitudinal=False)),
    View("left kidney along", 4.7, _kidney(1, longitudinal=True)),
    View("left kidney across", 2.9, _kidney(1, longitudinal=False)),
    View("bladder across", 1.9, _bladder(LEFT)),
    View("bladder along", 1.5, _bladder(-HEAD)),
    View("great vessels", 9.8, _great_vessels),
    View("bowel", 7.8, _bowel),
    View("flank", 7, _flank),
    View("stomach", 4.8, _stomach),
)
