import numpy as np
import pytest
import torch

from sector_pictures import SIDE, batch_of, box, fan, places, showing
from sonoprior.cases.loading.sector import sectors
from sonoprior.cases.loading.shadow import Shadows


def shadowed(pictures, most=0.4, count=1):
    """Grey levels before and after, and the beams: (B, SIDE, SIDE) each."""
    raw = batch_of(*pictures)
    found = sectors(raw)
    points = torch.from_numpy(np.stack(places(), -1).astype(np.float32)).expand(len(raw), -1, -1, -1)
    images = raw / 255
    after = Shadows(most, count)(images, points, found, showing(len(raw)))
    beam, depth = found.beams(points)
    return images[:, 0].numpy(), after[:, 0].numpy(), beam.numpy(), depth.numpy()


def level(grey, beam, depth, u, most):
    """What is left of one pixel's grey level, shadow after shadow."""
    taken = 0.0
    for dark, middle, width, begins in u.reshape(-1, 4):
        half = 0.05 + 0.2 * width
        start = 0.05 + 0.55 * begins
        side = min(1, max(0, (half - abs(beam - (2 * middle - 1))) / (0.8 * half)))
        onset = min(1, max(0, (depth - start) / 0.15))
        taken += dark * most * side * onset
    return max(0, grey - taken)


@pytest.mark.parametrize("count", [1, 3])
def test_shadows_are_those_of_the_loop(count):
    before, after, beam, depth = shadowed([fan(), box()], count=count)
    u = showing(2).uniforms("shadow")[: 4 * count]
    for i, row, column in np.random.default_rng(0).integers(0, [2, SIDE, SIDE], (600, 3)):
        at = (i, row, column)
        assert after[at] == pytest.approx(level(before[at], beam[at], depth[at], u[:, i], 0.4), abs=1e-4)


def rays(found, count=40):
    """Places along beams, a beam a column, from above the probe to below the sector: (1, count, count, 2)."""
    beams = torch.linspace(*(found.across[0] * 1.1).tolist(), count)
    far = torch.linspace(*(found.along[0] + torch.tensor([-0.1, 0.1])).tolist(), count)
    depth, beam = torch.meshgrid(far, beams, indexing="ij")
    if not found.fan[0]:
        return torch.stack([beam, depth], -1)[None]
    return (found.apex[0] + torch.stack([depth * beam.sin(), depth * beam.cos()], -1))[None]


@pytest.mark.parametrize("picture", [fan(), box(), np.full((SIDE, SIDE), 120, np.uint8)])
def test_shadows_fall_away_from_the_probe(picture):
    found = sectors(batch_of(picture))
    points = rays(found)
    grey = torch.full((1, 1, *points.shape[1:3]), 0.9)
    cast = 0
    for epoch in range(12):
        taken = (grey - Shadows(0.4, 2)(grey, points, found, showing(1, epoch=epoch)))[0, 0]
        depth = found.beams(points)[1][0]
        assert not taken[depth <= 0.05].any()  # the probe and what touches it
        assert taken.diff(dim=0).min() > -1e-5  # along a beam it only gets darker
        assert taken.diff(dim=1).abs().max() > taken.diff(dim=0)[-4:].abs().max()  # and then stays so
        cast += int(taken.max() > 0.05)
    assert cast > 8


def test_what_is_black_stays_black_and_nothing_goes_below():
    before, after, _, _ = shadowed([fan(level=30)], most=1.0, count=3)
    assert after.min() == 0
    assert not after[before == 0].any()
