import numpy as np
import pytest
import torch
from scipy.stats import skew

from sector_pictures import batch_of, fan, showing
from sonoprior.cases.loading.speckle import SpeckleChange, log_rayleigh

SIZE = 64


def speckled(count=4, seed=3, level=0.4, spread=0.1):
    sheet = log_rayleigh(256, SIZE, seed)
    return (
        torch.from_numpy(np.stack([sheet[k * 8 : k * 8 + SIZE, :SIZE] for k in range(count)]))[:, None]
        .mul(spread)
        .add(level)
        .clamp(0, 1)
    )


def mean_around(image, row, column, half):
    rows, columns = (slice(max(0, at - half), at + half + 1) for at in (row, column))
    return image[rows, columns].mean()


def test_the_change_is_that_of_the_loop():
    images, change = speckled(2), SpeckleChange(1.0, SIZE, seed=5)
    images[0, 0, 20:40, 20:40] *= 0.02  # dark, where a change fades
    u = showing(2).uniforms("speckle")
    after = change(images, showing(2))
    half = 1  # 0.04 * 64 rounded to an odd window of 3
    for i in range(2):
        image, w = images[i, 0].numpy().astype(float), u[0, i]
        top, left = (int(u[k, i] * (256 - SIZE + 1)) for k in (1, 2))
        noise = log_rayleigh(256, SIZE, 5)[top : top + SIZE, left : left + SIZE]
        detail = np.array(
            [[image[r, c] - mean_around(image, r, c, half) for c in range(SIZE)] for r in range(SIZE)]
        )
        for row, column in [*np.random.default_rng(0).integers(0, SIZE, (200, 2)), (0, 0), (25, 25)]:
            spread = np.sqrt(np.pi / 2) * mean_around(np.abs(detail), row, column, half)
            new = (np.sqrt(1 - w**2) - 1) * detail[row, column] + w * spread * noise[row, column]
            expected = np.clip(image[row, column] + min(1, image[row, column] / 0.05) * new, 0, 1)
            assert float(after[i, 0, row, column]) == pytest.approx(expected, abs=1e-4)


def test_speckle_is_as_strong_as_before_and_is_another():
    images = speckled(24)
    showing_all = showing(24)
    share = showing_all.uniforms("speckle")[0]
    after = SpeckleChange(1.0, SIZE, seed=5)(images, showing_all)
    spread = after.std((1, 2, 3)) / images.std((1, 2, 3))
    assert spread.min() > 0.75
    assert spread.max() < 1.35
    alike = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images.numpy(), after.numpy(), strict=True)
    ]
    assert np.corrcoef(alike, share)[0, 1] < -0.8  # the more is drawn anew, the less is left


def test_the_noise_is_the_logarithm_of_a_rayleigh_envelope():
    sheet = log_rayleigh(600, 64, 0).astype(float)
    assert sheet.mean() == pytest.approx(0, abs=1e-5)
    assert sheet.std() == pytest.approx(1, abs=1e-4)
    # ln of a Rayleigh variable is half of ln of an exponential one: skewness -12 sqrt(6) zeta(3) / pi^3
    assert skew(sheet[::2, ::3].ravel()) == pytest.approx(-1.1395, abs=0.1)


def test_grains_are_wider_than_deep():
    sheet = log_rayleigh(896, 224, 0).astype(float)
    down = (sheet[1:] * sheet[:-1]).mean()
    right = (sheet[:, 1:] * sheet[:, :-1]).mean()
    assert 0.1 < down < right < 1


def test_black_stays_black_and_all_stays_in_range():
    images = batch_of(fan(side=SIZE, level=255), fan(side=SIZE, level=9)).float() / 255
    images *= torch.rand(images.shape).sqrt()
    after = SpeckleChange(1.0, SIZE, seed=1)(images, showing(2))
    assert not after[images == 0].any()
    assert float(after.min()) >= 0
    assert float(after.max()) <= 1
