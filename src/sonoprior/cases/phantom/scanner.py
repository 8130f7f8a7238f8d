"""The machine of an exam, and what it shows of a plane through any body."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .burnt_in import Canvas, Habits, burn, draw_habits, drawn
from .geometry import Plane
from .physics import Acquisition, Noise, complex_noise, decibels, envelope, transmission_db
from .probes import BeamGrid, Probe, Screen, beam_grid
from .section import Body, section
from .vendors import VENDORS, Vendor, automatic_gain_db, grey_levels, polished

_FOCUS_AT = 0.5  # of the shown depth
_FOCUS_STEP_MM = 5.0


@dataclass(frozen=True)
class Scanner:
    """A machine as an operator has set it for an exam.

    Attributes:
        style: the machine.
        probe: on it.
        habits: what the pictures carry.
        mean_grey: how bright the operator likes them, of 255.
        ticks: how deep she looks, in ticks of the ruler.
    """

    style: Vendor
    probe: Probe
    habits: Habits
    mean_grey: float
    ticks: int

    @property
    def device(self) -> str:
        """Machine and probe, as a case's column says them."""
        return f"{self.style.name} {self.probe.kind}"


@dataclass(frozen=True)
class Picture:
    """What the screen shows, and what is known of it.

    Attributes:
        image: (size, size) uint8, overlays burnt in.
        zones: (size, size) uint8, 0 none, k the k-th zone of the body's structures.
        overlays: grey levels of each burnt-in mark by name, (size, size) uint8, 0 where it is not.
        sector: (size, size) bool, where there is picture.
    """

    image: Canvas
    zones: NDArray[np.uint8]
    overlays: dict[str, Canvas]
    sector: NDArray[np.bool_]


def draw_scanner(rng: np.random.Generator, kind: str, ticks: tuple[int, int]) -> Scanner:
    """One of the machines with a probe of a kind.

    Args:
        rng: of the exam.
        kind: endocavity, convex or linear.
        ticks: the least and the largest depth, in ticks of the probe's ruler.
    """
    style = VENDORS[int(rng.integers(len(VENDORS)))]
    habits = draw_habits(rng, style)
    grey = float(rng.uniform(46, 74))
    return Scanner(style, style.probes[kind], habits, grey, int(rng.integers(ticks[0], ticks[1] + 1)))


def still(
    body: Body,
    scanner: Scanner,
    plane: Plane,
    size: int,
    rng: np.random.Generator,
    *,
    ticks: int | None = None,
    hidden_db: float | None = None,
) -> Picture:
    """A frame of a body without magnification, everything burnt in.

    Args:
        body: of whom.
        scanner: with what.
        plane: the section.
        size: pixels in each direction.
        rng: for speckle, brightness, calipers and noise.
        ticks: how deep, where it is not the exam's own depth.
        hidden_db: see `seen`.
    """
    deep = scanner.ticks if ticks is None else ticks
    grid = beam_grid(scanner.probe, Screen(0.0, deep * scanner.probe.tick_mm, size))
    brightness = scanner.mean_grey * float(np.exp(rng.normal(0, 0.1)))
    looks = [complex_noise(rng) for _ in range(scanner.style.looks)]
    inverted = scanner.habits.inverted
    picture, zones = seen(
        body, scanner.style, plane, grid, looks, brightness, rng, inverted=inverted, hidden_db=hidden_db
    )
    overlays = drawn(scanner.habits, scanner.style, deep, size, rng)
    return Picture(burn(picture, overlays), zones, overlays, grid.sector)


def seen(  # noqa: PLR0913 - all that a picture depends on
    body: Body,
    style: Vendor,
    plane: Plane,
    grid: BeamGrid,
    looks: Sequence[Noise],
    brightness: float,
    rng: np.random.Generator,
    *,
    inverted: bool = False,
    hidden_db: float | None = None,
) -> tuple[Canvas, NDArray[np.uint8]]:
    """What a machine shows of a plane.

    Args:
        body: of whom.
        style: the machine.
        plane: the section.
        grid: the beams.
        looks: the scatterers as unit noise, one for each look of the machine.
        brightness: mean grey level of the whole picture, 0 to 255.
        rng: for electronic noise.
        inverted: the machine's left-right key is pressed.
        hidden_db: below what attenuation leaves of an echo a zone is not seen (a shadow); by default a zone
            counts wherever the plane meets it.

    Returns:
        The picture without overlays and its zones, each (size, size) uint8.
    """
    tissue = section(body, plane, grid)
    acquisition = _acquisition(style, grid)
    echo = envelope(tissue, grid, acquisition, looks, rng)
    on_screen = grid.on_screen(polished(decibels(echo), style))
    gain = automatic_gain_db(on_screen, grid.sector, style, brightness)
    picture = grey_levels(on_screen, grid.sector, style, gain)
    if hidden_db is not None:
        tissue.zone[transmission_db(tissue.attenuation, grid, acquisition) < hidden_db] = 0
    zones = zones_on_screen(tissue.zone, grid)
    if inverted:
        return np.ascontiguousarray(picture[:, ::-1]), np.ascontiguousarray(zones[:, ::-1])
    return picture, zones


def _acquisition(style: Vendor, grid: BeamGrid) -> Acquisition:
    middle = float(grid.range_mm[0] + _FOCUS_AT * (grid.range_mm[-1] - grid.range_mm[0]))
    return Acquisition(
        focus_mm=_FOCUS_STEP_MM * round(middle / _FOCUS_STEP_MM),
        noise_db=style.noise_db,
        haze_db=style.haze_db,
    )


def zones_on_screen(along_beams: NDArray[np.uint8], grid: BeamGrid) -> NDArray[np.uint8]:
    """Zones on the screen: each zone's share is interpolated, the largest wins."""
    best = grid.on_screen((along_beams == 0).astype(np.float32))
    zones = np.zeros(best.shape, np.uint8)
    for number in np.flatnonzero(np.bincount(along_beams.ravel())):
        if number:
            share = grid.on_screen((along_beams == number).astype(np.float32))
            ahead = share > best
            zones[ahead] = number
            best[ahead] = share[ahead]
    zones[~grid.sector] = 0
    return zones
