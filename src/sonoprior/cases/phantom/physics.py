"""From tissue along beams to an echo picture: a fast convolution model in beam space.

Scatterers are circular complex Gaussian noise scaled by echogenicity, multiplied by what attenuation leaves
of the sound, and convolved with a pulse along the beam and a beam profile across it that widens with depth
and away from the focus. The envelope of homogeneous tissue then follows the Rayleigh law (mean over standard
deviation 1.91), as in fully developed speckle [0].

[0] Wagner, Smith, Sandrik, Lopez: Statistics of speckle in ultrasound B-scans. IEEE Trans. Sonics Ultrason.
    30(3), 1983.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .geometry import Field
from .probes import BEAMS, SAMPLES, BeamGrid

FWHM = 2.3548  # full width at half maximum of a Gaussian, in standard deviations
TINY = np.float32(1e-7)


@dataclass
class TissueMap:
    """Tissue along the beams, every field (SAMPLES, BEAMS).

    Attributes:
        echo_db: echogenicity against healthy myometrium, dB.
        attenuation: dB/cm/MHz, one way.
        specular: amplitude of mirror-like boundaries as seen from the probe, myometrium's speckle = 1.
        zone: index of the outlined zone, 0 for none.
    """

    echo_db: Field
    attenuation: Field
    specular: Field
    zone: NDArray[np.uint8]


@dataclass(frozen=True)
class Acquisition:
    """The knobs of an acquisition.

    Attributes:
        focus_mm: depth of the transmit focus.
        tgc: attenuation that the time-gain compensation assumes, dB/cm/MHz.
        noise_db: electronic noise before compensation, against myometrium at the probe's face.
        haze_db: reverberation in the near field and side lobes, against the tissue beside.
    """

    focus_mm: float
    tgc: float = 0.55
    noise_db: float = -62.0
    haze_db: float = -28.0


def beam_width_mm(grid: BeamGrid, focus_mm: float) -> Field:
    """Full width at half maximum of the beam profile at each row (SAMPLES,), mm.

    1.2 lambda F on receive, F growing once the aperture is used up; wider away from the transmit focus.
    """
    probe = grid.probe
    f_number = np.maximum(probe.f_number, grid.range_mm / probe.aperture_mm)
    off_focus = (grid.range_mm - focus_mm) / (1.2 * focus_mm)
    width = 1.2 * probe.wavelength_mm * f_number * np.sqrt(1 + off_focus**2)
    return width.astype(np.float32)


@lru_cache(maxsize=96)
def _beam_transfer(grid: BeamGrid, focus_mm: float) -> Field:
    """Transfer function of the beam profile, (SAMPLES, BEAMS), of unit energy in every row."""
    sigma = beam_width_mm(grid, focus_mm) / FWHM / grid.beam_spacing_mm
    frequency = np.fft.fftfreq(BEAMS)
    transfer = np.exp(-2 * np.pi**2 * sigma[:, None] ** 2 * frequency**2)
    return (transfer / np.sqrt(np.mean(transfer**2, axis=1, keepdims=True))).astype(np.float32)


@lru_cache(maxsize=96)
def _pulse(grid: BeamGrid) -> Field:
    """The pulse along the beam, of unit energy."""
    length_mm = grid.probe.cycles * grid.probe.wavelength_mm / 2
    sigma = max(length_mm / FWHM / grid.step_mm, 0.3)
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (kernel / np.sqrt(np.sum(kernel**2))).astype(np.float32)


def complex_noise(rng: np.random.Generator) -> NDArray[np.complex64]:
    """Scatterers of unit power, (SAMPLES, BEAMS)."""
    noise = rng.standard_normal((SAMPLES, BEAMS, 2), dtype=np.float32)
    noise *= np.float32(np.sqrt(0.5))
    return noise.view(np.complex64)[..., 0]


def blur(scatterers: NDArray[np.complex64], grid: BeamGrid, focus_mm: float) -> NDArray[np.complex64]:
    """Convolve scatterers with the pulse along the beams and with the beam profile across them."""
    spectrum = np.asarray(fft.fft(scatterers, axis=1, overwrite_x=True))
    spectrum *= _beam_transfer(grid, focus_mm)
    across = np.asarray(fft.ifft(spectrum, axis=1, overwrite_x=True))
    pair = across.view(np.float32).reshape(SAMPLES, BEAMS, 2)
    pulse = _pulse(grid)
    along = cv2.sepFilter2D(pair, -1, np.ones(1, np.float32), pulse, borderType=cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(along).view(np.complex64)[..., 0]


def transmission_db(attenuation: Field, grid: BeamGrid, tgc: float) -> Field:
    """What attenuation there and back and time-gain compensation leave of an echo, dB (SAMPLES, BEAMS).

    Behind a strong attenuator it is negative (a shadow), behind fluid positive (enhancement).
    """
    two_way = np.float32(2 * grid.probe.frequency_mhz * grid.step_mm / 10)
    return np.cumsum(np.float32(tgc) - attenuation, axis=0) * two_way


def envelope(
    tissue: TissueMap,
    grid: BeamGrid,
    acquisition: Acquisition,
    noise: NDArray[np.complex64],
    rng: np.random.Generator,
) -> Field:
    """Amplitude of the echo (SAMPLES, BEAMS) after time-gain compensation; myometrium is about 1."""
    left_db = transmission_db(tissue.attenuation, grid, acquisition.tgc)
    scatterers = noise * _amplitude(tissue.echo_db + left_db)
    scatterers += tissue.specular * _amplitude(left_db)
    echo = np.abs(blur(scatterers, grid, acquisition.focus_mm))
    return np.hypot(_with_haze(echo, acquisition.haze_db), _floor(grid, acquisition, rng))


def _amplitude(decibel: Field) -> Field:
    return np.exp(decibel * np.float32(np.log(10) / 20))


def _with_haze(echo: Field, haze_db: float) -> Field:
    """Add what side lobes and reverberations throw into neighbouring, later samples."""
    wide = cv2.blur(cv2.resize(echo, (BEAMS // 4, SAMPLES // 4), interpolation=cv2.INTER_AREA), (9, 7))
    late = cv2.resize(np.roll(wide, 3, axis=0), (BEAMS, SAMPLES), interpolation=cv2.INTER_LINEAR)
    return echo + late * np.float32(10 ** (haze_db / 20))


def _floor(grid: BeamGrid, acquisition: Acquisition, rng: np.random.Generator) -> Field:
    """Electronic noise, raised with depth by the time-gain compensation."""
    tgc_db = 2 * grid.probe.frequency_mhz * acquisition.tgc * grid.range_mm / 10
    level = 10 ** ((acquisition.noise_db + np.minimum(tgc_db, 90)) / 20)
    return rng.standard_exponential((SAMPLES, BEAMS), dtype=np.float32) * level[:, None].astype(np.float32)


def decibels(amplitude: Field) -> Field:
    """20 log10 of an amplitude."""
    return np.log(amplitude + TINY) * np.float32(20 / np.log(10))
