"""A patient's abdomen: drawn once, as one three-dimensional model from which every frame is cut."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sonoprior.cases.phantom.geometry import Plane, Vector
from sonoprior.cases.phantom.section import Body, Waves
from sonoprior.cases.phantom.tissue import Structure, Tissue
from sonoprior.core.randomness import generator

from .kidneys import Kidney, draw_kidney, kidney_structures
from .liver import Liver, draw_liver, gallbladder_structures, liver_structures
from .lower import Lower, draw_lower, lower_structures
from .tissues import FATTY, LIVER
from .trunk import Trunk, back_structures, draw_trunk, wall_structures
from .upper import Upper, draw_upper, upper_structures

_ECHO_DB = 1.5  # by which the same tissue differs between patients
_MARGIN_MM = 25.0  # more than the warp moves anything
_FLUID = 0.12  # dB/cm/MHz; what attenuates less is fluid


@dataclass(frozen=True)
class Patient:
    """One patient, whole.

    Attributes:
        trunk: wall, bones, diaphragm and great vessels.
        liver: with the gallbladder.
        right_kidney, left_kidney: the kidneys.
        upper: spleen, pancreas, stomach.
        lower: bowel and bladder.
        seed: for what fills her in.
        attenuation: how strongly her tissue attenuates, against the table's.
    """

    trunk: Trunk
    liver: Liver
    right_kidney: Kidney
    left_kidney: Kidney
    upper: Upper
    lower: Lower
    seed: int
    attenuation: float

    @cached_property
    def body(self) -> Body:
        """What a section cuts, without what lies against the probe."""
        rng = generator(self.seed, "body")
        return Body(
            structures=self._personal(self._structures(), rng),
            background=replace(FATTY, attenuation=FATTY.attenuation * self.attenuation),
            warp=Waves.draw(rng, (45, 120), 8, 3),
            warp_mm=rng.uniform(1.5, 3.0),
            texture=Waves.draw(rng, (4, 26), 24, 1),
            layers=Waves.draw(rng, (12, 50), 16, 1),
        )

    def under(self, plane: Plane, radius_mm: float) -> Body:
        """The body with wall and ribs where a probe with a face of this radius is pressed against it."""
        organs, (centres, reaches) = self.body.structures, self._extents
        away = np.abs((centres - plane.origin) @ plane.normal)
        cut = [organs[int(i)] for i in np.flatnonzero(away < reaches + _MARGIN_MM)]
        wall = wall_structures(self.trunk, plane.origin, plane.axial, radius_mm)
        return replace(self.body, structures=[*cut, *wall, *self.trunk.ribs_near(plane.origin)])

    @cached_property
    def _extents(self) -> tuple[Vector, Vector]:
        """Centres (structures, 3) and reaches (structures,), to pass over far structures at once."""
        shapes = [structure.shape for structure in self.body.structures]
        return np.stack([shape.centre for shape in shapes]), np.array([shape.reach for shape in shapes])

    def _structures(self) -> list[Structure]:
        painted = back_structures(self.trunk) + lower_structures(self.lower)
        painted += liver_structures(self.liver) + upper_structures(self.upper)
        for kidney in (self.right_kidney, self.left_kidney):
            painted += kidney_structures(kidney)
        if self.liver.gallbladder is not None:
            painted += gallbladder_structures(self.liver.gallbladder)
        return painted

    def _personal(self, structures: list[Structure], rng: np.random.Generator) -> list[Structure]:
        """The same structures of her own tissue: brighter or darker, more or less attenuating."""
        kinds = {structure.tissue: None for structure in structures}
        own = {tissue: self._varied(tissue, rng.normal(0, _ECHO_DB)) for tissue in kinds}
        return [Structure(part.shape, own[part.tissue], part.zone) for part in structures]

    def _varied(self, tissue: Tissue, echo_db: float) -> Tissue:
        if tissue.attenuation < _FLUID:
            return tissue
        loss = self.liver.beam_loss if tissue is LIVER else 1.0
        brighter = self.liver.fat_db if tissue is LIVER else 0.0
        return replace(
            tissue,
            attenuation=tissue.attenuation * self.attenuation * loss,
            echo_db=tissue.echo_db + echo_db + brighter,
        )


def draw_patient(seed: int, number: int) -> Patient:
    """Patient `number` of the population of a seed."""
    rng = generator(seed, "abdomen", number)
    scale = float(np.clip(rng.normal(1.0, 0.05), 0.88, 1.12))
    trunk = draw_trunk(rng, scale)
    return Patient(
        trunk=trunk,
        liver=draw_liver(rng, trunk),
        right_kidney=draw_kidney(rng, -1, scale),
        left_kidney=draw_kidney(rng, 1, scale),
        upper=draw_upper(rng, trunk),
        lower=draw_lower(rng, trunk),
        seed=int(rng.integers(2**31)),
        attenuation=rng.uniform(0.85, 1.1),
    )
