"""Probes: where their beams run, and how a picture in beams becomes a picture on the screen."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import Field, Plane, Vector

SAMPLES = 416
BEAMS = 192
_SCREEN = 0.96  # of the screen's height is picture


@dataclass(frozen=True)
class Probe:
    """A transducer.

    Attributes:
        kind: endocavity, convex or linear.
        radius_mm: radius of the curved face; 0 for a flat one.
        opening_deg: opening of the sector of a curved face.
        width_mm: width of a flat face.
        frequency_mhz: centre frequency.
        cycles: length of the pulse in cycles.
        aperture_mm: largest active aperture; sets the beam's width at depth.
        f_number: the smallest ratio of depth to aperture.
        tick_mm: what one tick of the depth ruler is worth without magnification.
        frame_rate_hz: frames a second of a clip.
    """

    kind: str
    radius_mm: float
    opening_deg: float
    width_mm: float
    frequency_mhz: float
    cycles: float
    aperture_mm: float
    f_number: float
    tick_mm: float
    frame_rate_hz: float

    @property
    def wavelength_mm(self) -> float:
        """Wavelength at 1540 m/s."""
        return 1.54 / self.frequency_mhz


@dataclass(frozen=True)
class Screen:
    """What the screen shows of the sector.

    Attributes:
        top_mm: depth of its upper edge; above 0 for a zoom box.
        height_mm: from the upper to the lower edge.
        size: pixels in each direction.
    """

    top_mm: float
    height_mm: float
    size: int

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel."""
        return self.height_mm / (_SCREEN * self.size)


@lru_cache(maxsize=96)
def beam_grid(probe: Probe, screen: Screen) -> "BeamGrid":
    """The beams of a probe for a screen; kept, because an exam uses few of them."""
    return BeamGrid(probe, screen)


class BeamGrid:
    """Samples along beams, and the map from them to the screen.

    Attributes:
        lateral, depth: image position of each sample, mm, (SAMPLES, BEAMS).
        range_mm: distance from the probe's face of each row, (SAMPLES,).
        step_mm: between rows.
    """

    def __init__(self, probe: Probe, screen: Screen) -> None:
        self.probe = probe
        self.screen = screen
        self.range_mm = np.linspace(screen.top_mm, self._far(), SAMPLES, dtype=np.float32)
        self.step_mm = float(self.range_mm[1] - self.range_mm[0])
        self._side = np.linspace(-self._widest(), self._widest(), BEAMS, dtype=np.float32)
        self.pitch = float(self._side[1] - self._side[0])
        self.lateral, self.depth = self._positions()

    @property
    def _half_screen(self) -> float:
        return self.screen.pixel_mm * self.screen.size / 2

    def _far(self) -> float:
        """Range of the last sample: an arc without zoom, the corners of the box with it."""
        bottom = self.screen.top_mm + self.screen.height_mm
        if self.screen.top_mm == 0 or not self.probe.radius_mm:
            return bottom
        return float(np.hypot(self._half_screen, bottom + self.probe.radius_mm)) - self.probe.radius_mm

    def _widest(self) -> float:
        """Largest angle (rad) or offset (mm, flat face) that the screen shows."""
        if not self.probe.radius_mm:
            return min(self.probe.width_mm / 2, self._half_screen)
        seen = np.arctan2(self._half_screen, self.screen.top_mm + self.probe.radius_mm)
        if self.screen.top_mm == 0:
            seen = np.pi
        return float(min(np.radians(self.probe.opening_deg / 2), seen))

    def _positions(self) -> tuple[Field, Field]:
        if not self.probe.radius_mm:
            side, depth = np.meshgrid(self._side, self.range_mm)
            return side, depth
        radius = (self.range_mm + np.float32(self.probe.radius_mm))[:, None]
        return radius * np.sin(self._side), radius * np.cos(self._side) - np.float32(self.probe.radius_mm)

    @cached_property
    def beam_spacing_mm(self) -> Field:
        """Distance between neighbouring beams at each row (SAMPLES,)."""
        if not self.probe.radius_mm:
            return np.full(SAMPLES, self.pitch, np.float32)
        return (self.range_mm + np.float32(self.probe.radius_mm)) * np.float32(self.pitch)

    @cached_property
    def _maps(self) -> tuple[Field, Field]:
        """Fractional (beam, row) of every pixel of the screen; -1 outside the sector."""
        size, pixel = self.screen.size, self.screen.pixel_mm
        x = (np.arange(size, dtype=np.float32) + 0.5 - size / 2) * np.float32(pixel)
        y = np.arange(size, dtype=np.float32) * np.float32(pixel) + np.float32(self.screen.top_mm)
        y -= np.float32((1 - _SCREEN) / 2 * size * pixel)
        side, along = np.meshgrid(x, y)
        if self.probe.radius_mm:
            down = along + np.float32(self.probe.radius_mm)
            side, along = np.arctan2(side, down), np.hypot(side, down) - np.float32(self.probe.radius_mm)
        beam = (side - self._side[0]) / np.float32(self.pitch)
        row = (along - self.range_mm[0]) / np.float32(self.step_mm)
        outside = (beam < 0) | (beam > BEAMS - 1) | (row < 0) | (row > SAMPLES - 1)
        beam[outside], row[outside] = -2, -2
        return beam, row

    @cached_property
    def sector(self) -> NDArray[np.bool_]:
        """Where the screen shows picture (size, size)."""
        return self._maps[0] >= 0

    def on_screen(self, beams: Field) -> Field:
        """Scan conversion: values along beams (SAMPLES, BEAMS) to pixels (size, size), 0 outside."""
        pixels = cv2.remap(
            beams, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
        )
        return np.asarray(pixels, np.float32)

    def window(self, plane: Plane, centre: Vector, reach: float) -> tuple[slice, slice] | None:
        """Rows and beams that a ball can touch, None where the plane or the screen misses it."""
        if not np.isfinite(reach):
            return slice(0, SAMPLES), slice(0, BEAMS)
        lateral, depth, height = plane.place(centre)
        if abs(height) >= reach:
            return None
        radius = float(np.sqrt(reach**2 - height**2))
        rows, sides = self._spans(lateral, depth, radius)
        first = (rows[0] - self.range_mm[0]) / self.step_mm, (sides[0] - self._side[0]) / self.pitch
        last = (rows[1] - self.range_mm[0]) / self.step_mm, (sides[1] - self._side[0]) / self.pitch
        window = (_span(first[0], last[0], SAMPLES), _span(first[1], last[1], BEAMS))
        return window if all(part.stop - part.start > 1 for part in window) else None

    def _spans(
        self, lateral: float, depth: float, radius: float
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges (mm) and sides (rad or mm) that a disc in the plane covers."""
        if not self.probe.radius_mm:
            return (depth - radius, depth + radius), (lateral - radius, lateral + radius)
        down = depth + self.probe.radius_mm
        away = float(np.hypot(lateral, down))
        rows = (away - self.probe.radius_mm - radius, away - self.probe.radius_mm + radius)
        if away <= radius:
            return rows, (-np.pi, np.pi)
        angle, half = float(np.arctan2(lateral, down)), float(np.arcsin(radius / away))
        return rows, (angle - half, angle + half)


def _span(first: float, last: float, count: int) -> slice:
    return slice(int(np.clip(np.floor(first), 0, count)), int(np.clip(np.ceil(last) + 1, 0, count)))
