"""The planes of a fetal scan: their classes, how often each is kept, and where the probe stands for it.

Classes and frequencies are those of FETAL_PLANES_DB [0]: 12,400 images of 1,792 patients. What its class
"Other" holds is not counted there; spine, face, limbs, kidneys, placenta, cord and planes missed are assumed.

[0] Burgos-Artizzu et al., Evaluation of deep convolutional neural networks for automatic classification of
    common maternal fetal ultrasound planes, Scientific Reports 10 (2020) 10200.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sonoprior.cases.importers.fetal_planes import BRAIN_PLANES, PLANES
from sonoprior.cases.phantom.geometry import FRONT, LEFT, Vector, unit

from .head import CAVUM_AT, CEREBELLUM_AT, VENTRICLE_AT
from .limbs import Bone
from .patient import Patient
from .trunk import HEART_AT, KIDNEYS_AT, VEIN_AT

ABDOMEN, BRAIN, FEMUR, THORAX, CERVIX, OTHER = PLANES
CEREBELLUM, THALAMIC, VENTRICULAR, OTHER_BRAIN = BRAIN_PLANES
_VAGINAL = 0.6  # of the cervix's planes
_TRIED = 8  # beams that an operator tries before a picture is kept
_ACCESS = 0.35  # least cosine between a plane and the beam an operator would like


@dataclass(frozen=True)
class Aim:
    """What an operator wants to see.

    Attributes:
        target: what stands in the middle of the picture, mm.
        normal: of the plane, unit.
        beam: which way the sound should run; it is laid into the plane.
        extent_mm: size of what is looked at.
        tilt_deg: spread of the plane about what is wanted.
        shift_mm: spread of the plane along its normal.
        vaginal: through the vagina.
    """

    target: Vector
    normal: Vector
    beam: Vector
    extent_mm: float
    tilt_deg: float = 4.0
    shift_mm: float = 1.2
    vaginal: bool = False

    @property
    def within_reach(self) -> bool:
        """Whether a beam from where a probe can stand lies in the plane."""
        return bool(abs(self.beam @ self.normal) < np.sqrt(1 - _ACCESS**2))


Finder = Callable[[Patient, np.random.Generator], Aim]


@dataclass(frozen=True)
class View:
    """A plane that is kept.

    Attributes:
        name: of the view.
        plane: its class.
        brain_plane: its class among the planes of the head, or None.
        images: how many of 12,400 images.
        find: where to aim in a patient.
    """

    name: str
    plane: str
    brain_plane: str | None
    images: int
    find: Finder


def _into(rng: np.random.Generator, spread: float = 0.15) -> Vector:
    """Into the mother from her front, more or less."""
    return unit(-FRONT + spread * np.array([1.0, 0.0, 1.0]) * rng.standard_normal(3))


# Head


def _through_head(patient: Patient, rng: np.random.Generator, at: tuple[float, float], pitch: float) -> Aim:
    """An axial plane: at a height of the midline, turned down behind by `pitch` degrees."""
    head = patient.head
    angle = np.radians(pitch)
    normal = head.local.toward(0, -float(np.sin(angle)), float(np.cos(angle)))
    side = head.local.axes[0]
    beam = side if side @ FRONT < 0 else -side
    wanted = unit(beam + rng.uniform(0.2, 0.8) * _into(rng))
    return Aim(head.at(0, at[0], at[1]), normal, wanted, 2 * head.half[1], 2.2, 0.02 * head.half[0])


def _thalamic(patient: Patient, rng: np.random.Generator) -> Aim:
    return _through_head(patient, rng, (0.0, -0.02), 2.0)


def _cerebellar(patient: Patient, rng: np.random.Generator) -> Aim:
    b, o, _ = patient.head.half
    fall = (CAVUM_AT[1] - CEREBELLUM_AT[1]) * b / ((CAVUM_AT[0] - CEREBELLUM_AT[0]) * o)
    middle = (CAVUM_AT[1] + CEREBELLUM_AT[1]) / 2
    return _through_head(patient, rng, (-0.06, middle), float(np.degrees(np.arctan(fall))))


def _ventricular(patient: Patient, rng: np.random.Generator) -> Aim:
    return _through_head(patient, rng, (0.0, VENTRICLE_AT), 2.0)


def _other_brain(patient: Patient, rng: np.random.Generator) -> Aim:
    """An axial plane too high, or one at a slant."""
    if rng.random() < 0.5:
        return _through_head(patient, rng, (0.0, rng.uniform(0.52, 0.66)), 0.0)
    return _through_head(
        patient, rng, (-0.1, rng.uniform(-0.3, 0.1)), float(rng.choice([-1, 1]) * rng.uniform(28, 45))
    )


def _profile(patient: Patient, rng: np.random.Generator) -> Aim:
    """The face from the side; where it looks away from the probe, from the front through the orbits."""
    head = patient.head
    aim = Aim(
        head.at(0, 0.72, -0.35),
        head.local.axes[0],
        _into(rng),
        2.2 * head.half[0],
        6,
    )
    if aim.within_reach and rng.random() < 0.7:
        return aim
    return Aim(head.at(0, 0.72, -0.55), head.local.toward(0, 1, 0.1), _into(rng), 1.9 * head.half[0], 7)


# Trunk


def _across_trunk(patient: Patient, rng: np.random.Generator, z: float, tilt_deg: float) -> Aim:
    trunk = patient.trunk
    target, normal = trunk.at(0, 0, z), trunk.local.axes[2]
    beam = _unhindered(patient, target, normal, [_into(rng, 0.6) for _ in range(_TRIED)])
    return Aim(target, normal, beam, 2.05 * trunk.r, tilt_deg, 0.03 * trunk.r)


def _unhindered(patient: Patient, target: Vector, normal: Vector, beams: list[Vector]) -> Vector:
    """The beam in whose way the fewest bones stand: an operator goes round arms and spine."""
    trunk = patient.trunk
    arch = [
        trunk.at(x, -0.72, float((target - trunk.at(0, 0, 0)) @ trunk.local.axes[2] / trunk.r))
        for x in (-0.15, 0, 0.15)
    ]
    bones = np.stack([*(place for limb in (*patient.arms, *patient.legs) for place in limb.places()), *arch])

    def hindered(beam: Vector) -> float:
        axial = unit(beam - normal * (normal @ beam))
        offset = bones - target
        nearer = np.clip(-(offset @ axial), 0, None)  # only what stands between the probe and the target
        beside = np.linalg.norm(offset + nearer[:, None] * axial, axis=1)
        return float(np.exp(-((beside / (0.4 * trunk.r)) ** 2)).sum())

    return min(beams, key=hindered)


def _abdomen(patient: Patient, rng: np.random.Generator) -> Aim:
    return _across_trunk(patient, rng, VEIN_AT, 4.0)


def _thorax(patient: Patient, rng: np.random.Generator) -> Aim:
    return _across_trunk(patient, rng, HEART_AT, 3.5)


def _kidneys(patient: Patient, rng: np.random.Generator) -> Aim:
    return _across_trunk(patient, rng, KIDNEYS_AT, 6.0)


def _pelvis(patient: Patient, rng: np.random.Generator) -> Aim:
    return _across_trunk(patient, rng, -1.55, 9.0)


def _spine(patient: Patient, rng: np.random.Generator) -> Aim:
    """Along the spine."""
    trunk = patient.trunk
    target = trunk.at(0, -0.62, rng.uniform(-0.9, 0.9))
    up: Vector = trunk.local.axes[2]
    return Aim(target, unit(np.cross(_into(rng), up)), _into(rng), 2.6 * trunk.r, 5.0)


def _lengthwise(patient: Patient, rng: np.random.Generator) -> Aim:
    """Thorax and abdomen at a slant."""
    trunk = patient.trunk
    up: Vector = trunk.local.axes[2]
    across: Vector = np.cross(_into(rng), up)
    slant = unit(across + rng.uniform(-0.7, 0.7) * up)
    return Aim(trunk.at(0, 0.1, rng.uniform(-1.0, 1.0)), slant, _into(rng), 2.4 * trunk.r, 10.0)


# Limbs


def _along_bone(bone: Bone, rng: np.random.Generator, tilt: float = 3.0, room: float = 1.7) -> Aim:
    """A bone at right angles to the beam."""
    beam = _into(rng, 0.25)
    lying = unit(beam - bone.axis * (bone.axis @ beam) * rng.uniform(0.75, 1.0))
    return Aim(bone.centre, unit(np.cross(bone.axis, lying)), lying, room * bone.length, tilt, 0.6)


def _nearer(bones: tuple[Bone, Bone]) -> Bone:
    """The one that lies more across the mother's front; where both do, the one closer to it."""
    return min(bones, key=lambda bone: max(abs(bone.axis[1]), 0.5) * 100 - float(bone.centre[1]))


def _femur(patient: Patient, rng: np.random.Generator) -> Aim:
    right, left = patient.legs
    return _along_bone(_nearer((right.upper, left.upper)), rng)


def _arm(patient: Patient, rng: np.random.Generator) -> Aim:
    right, left = patient.arms
    if rng.random() < 0.5:
        return _along_bone(_nearer((right.lower[0], left.lower[0])), rng, 7.0, 2.2)
    return _along_bone(_nearer((right.upper, left.upper)), rng, 9.0, 2.0)


def _lower_leg(patient: Patient, rng: np.random.Generator) -> Aim:
    """Shin and calf bone side by side, or the foot, of the leg that is further from the uterine wall."""
    room = patient.mother.room
    limb = min(patient.legs, key=lambda leg: float(room.distance(leg.lower[0].end[:, None])[0]))
    first, second = limb.lower
    if rng.random() < 0.4:
        return Aim(first.end, unit(rng.standard_normal(3) * 0.3 + LEFT), _into(rng), 1.6 * first.length, 20.0)
    normal = unit(np.cross(first.axis, second.centre - first.centre))
    aim = Aim((first.centre + second.centre) / 2, normal, _into(rng), 1.9 * first.length, 6.0)
    return aim if aim.within_reach else _along_bone(first, rng, 8.0, 1.9)


# Mother


def _cervix(patient: Patient, rng: np.random.Generator) -> Aim:
    cervix = patient.mother.cervix
    target = cervix.start + rng.uniform(0.5, 0.8) * (cervix.end - cervix.start)
    if rng.random() < _VAGINAL:
        axis = unit(cervix.end - cervix.start)
        lying = unit(np.cross(LEFT, axis))
        beam = unit((lying if lying @ FRONT < 0 else -lying) + rng.uniform(0.3, 0.9) * axis)
        return Aim(target, LEFT, beam, 55.0, 5.0, 1.0, vaginal=True)
    return Aim(target, LEFT, unit(-FRONT + np.array([0, 0, rng.uniform(-0.35, 0.05)])), 75.0, 5.0, 1.5)


def _placenta(patient: Patient, rng: np.random.Generator) -> Aim:
    placenta = patient.mother.placenta
    normal = unit(rng.standard_normal(3) * np.array([1.0, 0.05, 1.0]))
    inward = placenta.centre - 0.3 * placenta.semi[2] * placenta.axes[2]
    return Aim(inward, normal, _into(rng, 0.3), 95.0, 8.0)


def _fluid(patient: Patient, rng: np.random.Generator) -> Aim:
    """A pocket of fluid between the limbs, or a loop of the cord in it."""
    mother = patient.mother
    place = mother.cord[int(rng.integers(len(mother.cord)))]
    normal = unit(rng.standard_normal(3) * np.array([1.0, 0.05, 1.0]))
    return Aim(place, normal, _into(rng, 0.3), 70.0, 10.0)


VIEWS = (
    View("abdomen", ABDOMEN, None, 711, _abdomen),
    View("trans-thalamic plane", BRAIN, THALAMIC, 1638, _thalamic),
    View("trans-cerebellar plane", BRAIN, CEREBELLUM, 714, _cerebellar),
    View("trans-ventricular plane", BRAIN, VENTRICULAR, 597, _ventricular),
    View("other plane of the brain", BRAIN, OTHER_BRAIN, 143, _other_brain),
    View("femur", FEMUR, None, 1040, _femur),
    View("thorax", THORAX, None, 1718, _thorax),
    View("cervix", CERVIX, None, 1626, _cervix),
    View("spine", OTHER, None, 790, _spine),
    View("face", OTHER, None, 690, _profile),
    View("arm", OTHER, None, 460, _arm),
    View("lower leg", OTHER, None, 460, _lower_leg),
    View("kidneys", OTHER, None, 360, _kidneys),
    View("pelvis", OTHER, None, 250, _pelvis),
    View("placenta", OTHER, None, 460, _placenta),
    View("fluid and cord", OTHER, None, 373, _fluid),
    View("trunk at a slant", OTHER, None, 370, _lengthwise),
)
BY_NAME = {view.name: view for view in VIEWS}
