"""How a plane through a patient becomes a map of tissue along the beams."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .geometry import Field, Plane
from .physics import TissueMap
from .probes import BEAMS, SAMPLES, BeamGrid
from .tissue import KEEP, Structure, Tissue

_EDGE_MM = 1.5  # beyond a structure's reach: its soft edge and its wall
_GRAZING = 0.35  # below this cosine of incidence a curved wall bends the beam away
_LAYER = 0.12  # how sharp the layers of connective tissue are, as a share of their period


@dataclass(frozen=True)
class Waves:
    """Smooth random functions of position: sums of plane waves, fixed for a patient.

    Attributes:
        vectors: (waves, 3) angular wave vectors, rad/mm.
        phases: (waves,).
        weights: (outputs, waves).
    """

    vectors: Field
    phases: Field
    weights: Field

    @classmethod
    def draw(
        cls, rng: np.random.Generator, lengths_mm: tuple[float, float], waves: int, outputs: int
    ) -> "Waves":
        """Waves of lengths between two bounds; each output has standard deviation 1."""
        direction = rng.standard_normal((waves, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        length = np.exp(rng.uniform(np.log(lengths_mm[0]), np.log(lengths_mm[1]), waves))
        weights = rng.standard_normal((outputs, waves))
        weights *= np.sqrt(2 / np.sum(weights**2, axis=1, keepdims=True))
        vectors = direction * (2 * np.pi / length)[:, None]
        phases = rng.uniform(0, 2 * np.pi, waves)
        return cls(vectors.astype(np.float32), phases.astype(np.float32), weights.astype(np.float32))

    def __call__(self, points: Field) -> Field:
        """Values (outputs, ...) at points (3, ...)."""
        flat = points.reshape(3, -1)
        values = self.weights @ np.sin(self.vectors @ flat + self.phases[:, None])
        return values.reshape(-1, *points.shape[1:])


@dataclass(frozen=True)
class Body:
    """A patient as a section sees her: structures in the order in which they are painted.

    Attributes:
        structures: later ones replace earlier ones where they are.
        background: what lies between the structures.
        warp: displaces every point by a smooth amount, so that nothing is an exact ellipsoid.
        warp_mm: its standard deviation.
        texture: slow variations of echogenicity.
        layers: where it crosses zero lies a layer of connective tissue.
    """

    structures: Sequence[Structure]
    background: Tissue
    warp: Waves
    warp_mm: float
    texture: Waves
    layers: Waves


def section(body: Body, plane: Plane, grid: BeamGrid) -> TissueMap:
    """The tissue that a plane through the patient meets, along the beams of a probe."""
    painter = _Painter(body, plane, grid)
    for structure in body.structures:
        painter.paint(structure)
    return painter.tissue


class _Painter:
    """Structures painted one over the other; each only inside the rows and beams that it can touch."""

    def __init__(self, body: Body, plane: Plane, grid: BeamGrid) -> None:
        self._plane, self._grid = plane, grid
        self._points = plane.points(grid.lateral, grid.depth)
        coarse = np.ascontiguousarray(self._points[:, ::4, ::2])
        shift = body.warp(coarse) * np.float32(body.warp_mm)
        for axis in range(3):
            self._points[axis] += _fine(shift[axis])
        self._margin = _EDGE_MM + float(np.linalg.norm(shift, axis=0).max())
        self._texture = _fine(body.texture(coarse + shift)[0])
        self.tissue = self._bare(body.background, _fine(body.layers(coarse + 2 * shift)[0]))

    def _bare(self, background: Tissue, layers: Field) -> TissueMap:
        shape = (SAMPLES, BEAMS)
        layer = np.exp(-((layers / np.float32(_LAYER)) ** 2))
        return TissueMap(
            echo_db=background.echo_db + background.texture_db * (self._texture + 1.5 * layer),
            attenuation=np.full(shape, background.attenuation, np.float32),
            specular=np.float32(background.wall) * layer * self._facing(layers),
            zone=np.zeros(shape, np.uint8),
        )

    def _facing(self, field: Field) -> Field:
        """How much the surfaces on which a field is constant look at the probe, 0 to 1."""
        down, across = np.gradient(field)
        across *= np.float32(self._grid.step_mm) / self._grid.beam_spacing_mm[:, None]
        return down**2 / (down**2 + across**2 + np.float32(1e-9))

    def paint(self, structure: Structure) -> None:
        """Put a structure over what is there."""
        shape, tissue = structure.shape, structure.tissue
        window = self._grid.window(self._plane, shape.centre, shape.reach + self._margin)
        if window is None:
            return
        distance = shape.distance(self._points[:, *window])
        inside = np.clip(np.float32(0.5) - distance / np.float32(tissue.edge_mm), 0, 1)
        self._replace(tissue, window, inside)
        if tissue.wall:
            self._add_wall(tissue, window, distance)
        if structure.zone != KEEP:
            self.tissue.zone[window][distance < 0] = structure.zone

    def _replace(self, tissue: Tissue, window: tuple[slice, slice], inside: Field) -> None:
        echo = tissue.echo_db + np.float32(tissue.texture_db) * self._texture[window]
        self.tissue.echo_db[window] += inside * (echo - self.tissue.echo_db[window])
        attenuation = self.tissue.attenuation[window]
        attenuation += inside * (np.float32(tissue.attenuation) - attenuation)
        self.tissue.specular[window] *= 1 - inside

    def _add_wall(self, tissue: Tissue, window: tuple[slice, slice], distance: Field) -> None:
        """A mirror where the surface faces the probe, a bent-away beam where it grazes the surface."""
        shell = np.exp(-((distance / np.float32(tissue.wall_mm)) ** 2))
        facing = np.minimum(np.abs(np.gradient(distance, axis=0)) / np.float32(self._grid.step_mm), 1)
        self.tissue.specular[window] += np.float32(tissue.wall) * shell * facing**4
        if tissue.attenuation < 0.1:
            grazing = np.maximum(np.float32(_GRAZING) - facing, 0) * np.float32(2.5)
            self.tissue.attenuation[window] += shell * grazing


def _fine(coarse: Field) -> Field:
    return np.asarray(cv2.resize(coarse, (BEAMS, SAMPLES), interpolation=cv2.INTER_LINEAR), np.float32)
