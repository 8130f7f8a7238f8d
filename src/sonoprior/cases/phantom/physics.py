"""From tissue along beams to an echo picture: a fast convolution model in beam space.

Scatterers are circular complex Gaussian noise scaled by echogenicity, multiplied by what attenuation leaves
of the sound, and convolved with a pulse along the beam and a beam profile across it that widens with depth
and away from the focus. The envelope of homogeneous tissue then follows the Rayleigh law (mean over standard
deviation 1.91), as in fully developed speckle [0].

[0] Wagner, Smith, Sandrik, Lopez: Statistics of speckle in ultrasound B-scans. IEEE Trans. Sonics Ultrason.
    30(3), 1983.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .geometry import Field
from .probes import BEAMS, SAMPLES, BeamGrid

Noise: TypeAlias = NDArray[np.complex64]
FWHM = 2.3548  # full width at half maximum of a Gaussian, in standard deviations
TINY = np.float32(1e-7)
_ROUGH = 0.45  # share of a boundary that scatters instead of mirroring


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
        sliders: share of a depth's mean error that the operator takes back.
        noise_db: electronic noise before compensation, against myometrium at the probe's face.
        haze_db: what side lobes and the slice's thickness throw into neighbouring samples, against them.
        reverberation_mm: twice the thickness of the layer between which sound runs to and fro.
        reverberation_db: strength of what then comes late, against what came in time.
    """

    focus_mm: float
    tgc: float = 0.55
    sliders: float = 0.6
    noise_db: float = -62.0
    haze_db: float = -28.0
    reverberation_mm: float = 11.0
    reverberation_db: float = -30.0


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


def complex_noise(rng: np.random.Generator) -> Noise:
    """Scatterers of unit power, (SAMPLES, BEAMS)."""
    noise = rng.standard_normal((SAMPLES, BEAMS, 2), dtype=np.float32)
    noise *= np.float32(np.sqrt(0.5))
    return noise.view(np.complex64)[..., 0]


def blur(scatterers: Noise, grid: BeamGrid, focus_mm: float) -> Noise:
    """Convolve scatterers with the pulse along the beams and with the beam profile across them."""
    spectrum = np.asarray(fft.fft(scatterers, axis=1, overwrite_x=True))
    spectrum *= _beam_transfer(grid, focus_mm)
    across = np.asarray(fft.ifft(spectrum, axis=1, overwrite_x=True))
    pair = across.view(np.float32).reshape(SAMPLES, BEAMS, 2)
    pulse = _pulse(grid)
    along = cv2.sepFilter2D(pair, -1, np.ones(1, np.float32), pulse, borderType=cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(along).view(np.complex64)[..., 0]


def transmission_db(attenuation: Field, grid: BeamGrid, acquisition: Acquisition) -> Field:
    """What attenuation there and back and time-gain compensation leave of an echo, dB (SAMPLES, BEAMS).

    Behind a strong attenuator it is negative (a shadow), behind fluid positive (enhancement). The operator's
    sliders take back a part of what a whole depth has too much or too little.
    """
    two_way = np.float32(2 * grid.probe.frequency_mhz * grid.step_mm / 10)
    left = np.cumsum(np.float32(acquisition.tgc) - attenuation, axis=0) * two_way
    left -= np.float32(acquisition.sliders) * left.mean(axis=1, keepdims=True)
    return left


def envelope(
    tissue: TissueMap,
    grid: BeamGrid,
    acquisition: Acquisition,
    looks: Sequence[Noise],
    rng: np.random.Generator,
) -> Field:
    """Amplitude of the echo (SAMPLES, BEAMS) after time-gain compensation; myometrium is about 1.

    Args:
        tissue: along the beams.
        grid: the beams.
        acquisition: its knobs.
        looks: scatterers as unit noise, (SAMPLES, BEAMS) each; with several (spatial compounding: the same
            tissue seen under different angles) their amplitudes are averaged and the speckle is calmer.
        rng: for electronic noise.
    """
    left_db = transmission_db(tissue.attenuation, grid, acquisition)
    mirror = tissue.specular * _amplitude(left_db)
    diffuse = _amplitude(tissue.echo_db + left_db) + np.float32(_ROUGH) * mirror
    mirror *= np.float32(1 - _ROUGH)
    seen = [np.abs(blur(noise * diffuse + mirror, grid, acquisition.focus_mm)) for noise in looks]
    echo = np.mean(seen, axis=0)
    echo += _haze(echo, acquisition) + _late(echo, grid, acquisition)
    return np.sqrt(echo * echo + _floor(grid, acquisition, rng))


def _amplitude(decibel: Field) -> Field:
    return np.exp(decibel * np.float32(np.log(10) / 20))


def _haze(echo: Field, acquisition: Acquisition) -> Field:
    """What leaks from neighbouring beams and samples into a sample."""
    small = cv2.resize(echo, (BEAMS // 4, SAMPLES // 4), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(cv2.blur(small, (9, 7)), (BEAMS, SAMPLES), interpolation=cv2.INTER_LINEAR)
    return wide * np.float32(10 ** (acquisition.haze_db / 20))


def _late(echo: Field, grid: BeamGrid, acquisition: Acquisition) -> Field:
    """Echoes that ran to and fro between the layers near the probe, shown deeper than they are."""
    rows = round(acquisition.reverberation_mm / grid.step_mm)
    late = np.zeros_like(echo)
    late[rows:] = echo[: SAMPLES - rows] * np.float32(10 ** (acquisition.reverberation_db / 20))
    late[2 * rows :] += late[rows : SAMPLES - rows] * np.float32(0.5)
    return late


def _floor(grid: BeamGrid, acquisition: Acquisition, rng: np.random.Generator) -> Field:
    """Power of the electronic noise, raised with depth by the time-gain compensation."""
    tgc_db = 2 * grid.probe.frequency_mhz * acquisition.tgc * grid.range_mm / 10
    power = 10 ** ((acquisition.noise_db + np.minimum(tgc_db, 90)) / 10)
    return rng.standard_exponential((SAMPLES, BEAMS), dtype=np.float32) * power[:, None].astype(np.float32)


def decibels(amplitude: Field) -> Field:
    """20 log10 of an amplitude."""
    return np.log(amplitude + TINY) * np.float32(20 / np.log(10))
