"""The frame of the abdomen: its wall, ribs, spine, muscles, diaphragm and the great vessels.

The origin lies in the middle of the trunk at the height of the first lumbar vertebra.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sonoprior.cases.phantom.geometry import (
    FRONT,
    HEAD,
    Capsule,
    Ellipsoid,
    HalfSpace,
    Vector,
    bent,
    tube,
    unit,
)
from sonoprior.cases.phantom.tissue import BONE, FAT, MUSCLE, PERITONEUM, SKIN, Structure

from .tissues import ARTERY_WALL, DIAPHRAGM, FATTY, LUMEN, LUNG

_RIBS = 8  # on either side, from the lowest upwards
_RIB_STEP_MM = 26.0
_RIB_PIECES = 7
_RIB_FROM_DEG = -80.0  # where a rib leaves the spine; 0 is the side, 90 the front
_RIB_TO_DEG = (-25.0, 0.0, 22.0, 36.0, 46.0, 54.0, 60.0, 64.0)
_RIB_FALL_MM = 45.0  # how much lower its front end runs than its middle
_RIB_NEAR_MM = 75.0  # farther from the probe no rib is in its way


@dataclass(frozen=True)
class Trunk:
    """The wall and the bones.

    Attributes:
        scale: of the whole patient against the average.
        semi: (2,) half width and half depth inside the wall, mm.
        wall_mm: skin, fat and muscle.
        domes: of the diaphragm: right, left, and the middle below the heart.
        base_mm: height below which there is no lung.
        aorta, cava: their middle lines; the cava bends to the front under the diaphragm.
        vessel_mm: their radii.
    """

    scale: float
    semi: Vector
    wall_mm: tuple[float, float, float]
    domes: tuple[Ellipsoid, Ellipsoid, Ellipsoid]
    base_mm: float
    aorta: tuple[Vector, ...]
    cava: tuple[Vector, ...]
    vessel_mm: tuple[float, float]

    def skin(self, round_deg: float, height: float) -> Vector:
        """A place on the skin; 0 degrees is the patient's left, 90 her front, 180 her right."""
        angle = np.radians(round_deg)
        across, deep = self.semi + sum(self.wall_mm)
        return np.array([across * np.cos(angle), deep * np.sin(angle), height])

    def rib_height(self, rib: float, side_deg: float) -> float:
        """How high a rib (from 0, the lowest) runs at an angle from the side towards the front."""
        fall = _RIB_FALL_MM * np.sin(np.radians(side_deg))
        return self.scale * float(_RIB_STEP_MM * rib - 8.0 - fall)

    def along_ribs(self, round_deg: float) -> Vector:
        """The direction in which a rib runs towards the front at a place of the skin."""
        side = round_deg if abs(round_deg) <= 90 else 180 - round_deg
        angle, across = np.radians(side), 1.0 if abs(round_deg) <= 90 else -1.0
        fall = self.scale * _RIB_FALL_MM * np.cos(angle)
        run = np.array([-across * self.semi[0] * np.sin(angle), self.semi[1] * np.cos(angle), -fall])
        return unit(run)

    def between_ribs(self, round_deg: float, height: float) -> Vector:
        """The place of the gap between two ribs that is nearest to a height."""
        side = round_deg if abs(round_deg) <= 90 else 180 - round_deg
        gaps = [self.rib_height(rib + 0.5, side) for rib in range(-1, _RIBS - 1)]
        angle, (across, deep) = np.radians(round_deg), self._rib_semi
        nearest = min(gaps, key=lambda gap: abs(gap - height))
        return np.array([across * np.cos(angle), deep * np.sin(angle), nearest])

    @property
    def _rib_semi(self) -> Vector:
        """Half width and half depth of the rib cage along the middle of the ribs."""
        return self.semi + 0.5 * self.wall_mm[2] + 1.0

    @property
    def above_ribs_mm(self) -> float:
        """From the skin to the middle of the ribs."""
        return sum(self.wall_mm) - 0.5 * self.wall_mm[2] - 1.0

    @cached_property
    def _ribs(self) -> list[Capsule]:
        """All pieces of all ribs."""
        pieces: list[Capsule] = []
        across, deep = self._rib_semi
        for side in (-1, 1):
            for rib in range(_RIBS):
                angles = np.linspace(_RIB_FROM_DEG, _RIB_TO_DEG[rib], _RIB_PIECES + 1)
                line = [
                    np.array(
                        [
                            side * across * np.cos(np.radians(angle)),
                            deep * np.sin(np.radians(angle)),
                            self.rib_height(rib, float(angle)),
                        ]
                    )
                    for angle in angles
                ]
                pieces += tube(line, 4.6 * self.scale)
        return pieces

    @cached_property
    def _rib_centres(self) -> Vector:
        return np.stack([piece.centre for piece in self._ribs])

    def ribs_near(self, tip: Vector) -> list[Structure]:
        """The pieces of ribs around a probe."""
        away = np.linalg.norm(self._rib_centres - tip, axis=1)
        return [Structure(self._ribs[i], BONE) for i in np.flatnonzero(away < _RIB_NEAR_MM)]


def draw_trunk(rng: np.random.Generator, scale: float) -> Trunk:
    """A trunk; fat is thin in most patients and thick in some."""
    semi = scale * np.array([rng.uniform(128, 140), rng.uniform(84, 94)])
    shake = rng.normal(0, 1.5, (2, 3))
    aorta = [scale * np.array(place) + shake[0] for place in ((8, -36, -75), (10, -33, 0), (9, -30, 130))]
    cava = [scale * np.array(place) + shake[1] for place in ((-17, -33, -75), (-18, -27, 20), (-20, -4, 112))]
    return Trunk(
        scale=scale,
        semi=semi,
        wall_mm=(2.0, float(np.clip(rng.gamma(2.4, 4.5), 3, 28)), rng.uniform(6, 11)),
        domes=(
            _dome(scale, np.array([-66.0, 0.0, 22.0]), np.array([70.0, 86.0, rng.uniform(94, 104)])),
            _dome(scale, np.array([70.0, -6.0, 20.0]), np.array([68.0, 86.0, rng.uniform(88, 98)])),
            _dome(scale, np.array([0.0, 10.0, 10.0]), np.array([78.0, 92.0, rng.uniform(78, 88)])),
        ),
        base_mm=scale * rng.uniform(12, 28),
        aorta=tuple(bent(aorta[0], aorta[1], aorta[2], 4)),
        cava=tuple(bent(cava[0], cava[1], cava[2], 5)),
        vessel_mm=(rng.uniform(7.5, 10.5), rng.uniform(7, 12)),
    )


def _dome(scale: float, centre: Vector, semi: Vector) -> Ellipsoid:
    return Ellipsoid(scale * centre, np.eye(3), scale * semi)


def back_structures(trunk: Trunk) -> list[Structure]:
    """Lung, diaphragm, fat, muscles, spine and the great vessels: what is painted before the organs."""
    s = trunk.scale
    painted = [Structure(HalfSpace(trunk.base_mm * HEAD, -HEAD), LUNG)]
    shells = [Ellipsoid(dome.centre, dome.axes, dome.semi + 3.2) for dome in trunk.domes]
    painted += [Structure(shell, DIAPHRAGM) for shell in shells]
    painted += [Structure(dome, FATTY) for dome in trunk.domes]
    painted.append(Structure(HalfSpace(trunk.base_mm * HEAD, HEAD), FATTY))
    painted.append(Structure(HalfSpace(-76 * s * FRONT, FRONT), MUSCLE))
    for side in (-1, 1):
        ends = s * np.array([side * 56.0, -38.0, -150.0]), s * np.array([side * 28.0, -54.0, 10.0])
        painted.append(Structure(Capsule(*ends, 19 * s, 9 * s), MUSCLE))
    painted += _spine(s)
    return painted + vessel_structures(trunk)


def _spine(s: float) -> list[Structure]:
    """Vertebral bodies with discs between them, which let some sound through."""
    heights = s * np.arange(-190.0, 150.0, 34.0)
    return [
        Structure(
            Ellipsoid(np.array([0.0, -62 * s, height]), np.eye(3), s * np.array([21.0, 19.0, 19.0])), BONE
        )
        for height in heights
    ]


def vessel_structures(trunk: Trunk) -> list[Structure]:
    """Aorta with its bright wall, and cava."""
    aorta, cava = trunk.vessel_mm
    painted = [Structure(part, ARTERY_WALL) for part in tube(list(trunk.aorta), aorta + 1.6)]
    painted += [Structure(part, LUMEN) for part in tube(list(trunk.aorta), aorta)]
    return painted + [Structure(part, LUMEN) for part in tube(list(trunk.cava), cava, 0.9 * cava)]


def wall_structures(trunk: Trunk, tip: Vector, axial: Vector, radius_mm: float) -> list[Structure]:
    """The layers of the abdominal wall, which follow the face of the probe that is pressed against them.

    Args:
        trunk: whose.
        tip: the middle of the probe's face.
        axial: where it looks.
        radius_mm: of the probe's face.
    """
    skin, fat, muscle = trunk.wall_mm
    centre = tip - radius_mm * unit(axial)
    layers = (
        (skin + fat + muscle + 1.5, PERITONEUM),
        (skin + fat + muscle, MUSCLE),
        (skin + fat, FAT),
        (skin, SKIN),
    )
    return [
        Structure(Ellipsoid(centre, np.eye(3), np.full(3, radius_mm + depth)), tissue)
        for depth, tissue in layers
    ]
