"""The echo model against the laws of speckle, of attenuation and of mirrors."""

from dataclasses import replace

import numpy as np
import pytest

from sonoprior.cases.phantom.geometry import FRONT, HEAD, LEFT, HalfSpace, Plane, ball, unit
from sonoprior.cases.phantom.physics import (
    Acquisition,
    TissueMap,
    beam_width_mm,
    complex_noise,
    decibels,
    envelope,
    transmission_db,
)
from sonoprior.cases.phantom.probes import BEAMS, SAMPLES, Screen, beam_grid
from sonoprior.cases.phantom.section import Body, Waves, section
from sonoprior.cases.phantom.tissue import Structure, Tissue
from sonoprior.cases.phantom.vendors import VENDORS, automatic_gain_db, grey_levels, polished

# No electronic noise, no haze and no late echoes: only what the convolution model says.
CLEAN = Acquisition(focus_mm=45.0, noise_db=-300.0, haze_db=-300.0, reverberation_db=-300.0, sliders=0.0)
PLAIN = Tissue(0.0, attenuation=0.55, texture_db=0.0)
FLUID = Tissue(-50, attenuation=0.02, texture_db=0.0)
AHEAD = Plane(np.zeros(3), LEFT, HEAD)


@pytest.fixture(params=["endocavity", "convex", "linear"])
def grid(request):
    return beam_grid(VENDORS[0].probes[request.param], Screen(0.0, 90.0, 256))


def homogeneous(attenuation=0.55):
    shape = (SAMPLES, BEAMS)
    zero = np.zeros(shape, np.float32)
    return TissueMap(zero.copy(), np.full(shape, attenuation, np.float32), zero.copy(), zero.astype(np.uint8))


def echo_of(tissue, grid, seed=0, acquisition=CLEAN, looks=1):
    rng = np.random.default_rng(seed)
    return envelope(tissue, grid, acquisition, [complex_noise(rng) for _ in range(looks)], rng)


def body(*structures, background=PLAIN):
    rng = np.random.default_rng(0)
    warp, texture, layers = (Waves.draw(rng, (8, 40), 4, outputs) for outputs in (3, 1, 1))
    return Body(structures, background, warp, 0.0, texture, layers)


def cyst(depth, radius, tissue):
    """A ball of a tissue on the middle beam."""
    return body(Structure(ball(np.array([0.0, 0.0, depth]), radius), tissue))


def test_speckle_in_homogeneous_tissue_follows_the_rayleigh_law(grid):
    echo = np.stack([echo_of(homogeneous(), grid, seed) for seed in range(8)])
    inner = echo[:, 30:-30, 20:-20]
    assert inner.mean() / inner.std() == pytest.approx(1.91, abs=0.05)
    # For Rayleigh amplitudes the mean square is 4 / pi times the squared mean.
    assert (inner**2).mean() / inner.mean() ** 2 == pytest.approx(4 / np.pi, abs=0.03)


def test_compounding_calms_the_speckle_by_the_root_of_its_looks(grid):
    inner = echo_of(homogeneous(), grid, looks=3)[30:-30, 20:-20]
    assert inner.mean() / inner.std() == pytest.approx(1.91 * np.sqrt(3), abs=0.25)


def test_speckle_of_homogeneous_tissue_is_as_bright_everywhere(grid):
    echo = np.stack([echo_of(homogeneous(), grid, seed) for seed in range(8)])
    rows = np.sqrt((echo**2).mean(axis=(0, 2)))
    assert rows[40:-40] == pytest.approx(1.0, abs=0.25)


def grain_mm(echo, spacing_mm):
    """Width across the beams at which the autocorrelation of the amplitude falls to a half."""
    centred = echo - echo.mean()
    correlation = [(centred[:, : BEAMS - lag] * centred[:, lag:]).mean() for lag in range(30)]
    correlation = np.array(correlation) / correlation[0]
    below = int(np.argmax(correlation < 0.5))
    share = (correlation[below - 1] - 0.5) / (correlation[below - 1] - correlation[below])
    return 2 * (below - 1 + share) * spacing_mm


def test_the_grain_widens_with_depth_as_the_beam_does(grid):
    shallow = replace(CLEAN, focus_mm=25.0)
    echo = np.stack([echo_of(homogeneous(), grid, seed, shallow) for seed in range(6)])
    widths = []
    for centre in (150, 250, 380):
        rows = slice(centre - 20, centre + 20)
        stacked = echo[:, rows].reshape(-1, BEAMS)
        widths.append(grain_mm(stacked, float(grid.beam_spacing_mm[centre])))
    assert widths[0] < widths[1] < widths[2]
    expected = beam_width_mm(grid, 25.0)[[150, 250, 380]]
    # The autocorrelation of a Gaussian beam is sqrt(2) wider than the beam, that of its amplitude less so.
    assert np.array(widths) / expected == pytest.approx(1.0, abs=0.35)


def test_the_beam_is_narrowest_for_its_depth_at_the_focus(grid):
    width = beam_width_mm(grid, 45.0)
    free = (
        1.2
        * grid.probe.wavelength_mm
        * np.maximum(grid.probe.f_number, grid.range_mm / grid.probe.aperture_mm)
    )
    assert grid.range_mm[(width / free).argmin()] == pytest.approx(45.0, abs=0.5)


def test_transmission_is_twice_the_way_times_frequency(grid):
    left = transmission_db(np.full((SAMPLES, BEAMS), 0.8, np.float32), grid, CLEAN)
    depth_cm = SAMPLES * grid.step_mm / 10
    assert left[-1] == pytest.approx(2 * grid.probe.frequency_mhz * (0.55 - 0.8) * depth_cm, rel=1e-3)


def test_a_strong_attenuator_casts_a_shadow_and_fluid_brightens(grid):
    behind = (grid.depth > 52) & (grid.depth < 65) & (np.abs(grid.lateral) < 3)
    stone, fluid = cyst(35, 9, Tissue(0, attenuation=3.0, texture_db=0)), cyst(35, 9, FLUID)
    plain = decibels(echo_of(homogeneous(), grid))[behind].mean()
    dark = decibels(echo_of(section(stone, AHEAD, grid), grid))[behind].mean()
    bright = decibels(echo_of(section(fluid, AHEAD, grid), grid))[behind].mean()
    through_cm = 1.8 * 2 * grid.probe.frequency_mhz
    assert dark - plain == pytest.approx((0.55 - 3.0) * through_cm, abs=4)
    assert bright - plain == pytest.approx((0.55 - 0.02) * through_cm, abs=3)


def test_fluid_is_dark(grid):
    inside = np.hypot(grid.depth - 40, grid.lateral) < 8
    assert decibels(echo_of(section(cyst(40, 14, FLUID), AHEAD, grid), grid))[inside].mean() < -35


@pytest.mark.parametrize(("degrees", "share"), [(0, 1.0), (30, 0.56), (75, 0.01)])
def test_a_mirror_is_bright_where_it_faces_the_probe(degrees, share):
    linear = beam_grid(VENDORS[0].probes["linear"], Screen(0.0, 60.0, 256))
    normal = -unit(np.cos(np.radians(degrees)) * HEAD + np.sin(np.radians(degrees)) * FRONT)
    mirror = body(Structure(HalfSpace(np.array([0, 0, 30.0]), normal), Tissue(0, 0.55, 0, wall=5.0)))
    strength = section(mirror, AHEAD, linear).specular.max()
    assert strength == pytest.approx(5 * share, abs=0.3)


def test_electronic_noise_shows_at_depth_only():
    grid = beam_grid(VENDORS[0].probes["endocavity"], Screen(0.0, 100.0, 256))
    silent = homogeneous()
    silent.echo_db[:] = -200
    floor = echo_of(silent, grid, acquisition=Acquisition(focus_mm=50.0, haze_db=-300, reverberation_db=-300))
    assert decibels(floor[:40]).mean() < -50
    assert decibels(floor[-40:]).mean() > -10


@pytest.mark.parametrize("style", VENDORS, ids=lambda style: style.name)
def test_the_automatic_gain_reaches_the_wanted_mean(style):
    grid = beam_grid(style.probes["endocavity"], Screen(0.0, 80.0, 256))
    shown = grid.on_screen(polished(decibels(echo_of(homogeneous(), grid)), style))
    gain = automatic_gain_db(shown, grid.sector, style, 50.0)
    grey = grey_levels(shown, grid.sector, style, gain)
    assert grey.mean() == pytest.approx(50, abs=2)
    assert (grey[~grid.sector] == 0).all()


def test_vendors_differ():
    assert len({style.name for style in VENDORS}) >= 3
    echo = decibels(echo_of(homogeneous(), beam_grid(VENDORS[0].probes["convex"], Screen(0.0, 90.0, 256))))
    spread = [polished(echo, style).std() for style in VENDORS]
    assert len({round(float(value), 2) for value in spread}) == len(VENDORS)
