import numpy as np
import pytest
import torch

from sector_pictures import SIDE, batch_of, box, fan, places, showing
from sonoprior.cases.loading.sector import sectors
from sonoprior.cases.loading.windows import composed, zoomed_in_depth, zoomed_into_sector

PICTURES = [fan(), box(), fan(apex=(0.0, -1.5), half_angle=0.9, ends=2.45), np.zeros((SIDE, SIDE), np.uint8)]


def affine(matrix):
    return np.vstack([matrix, [0, 0, 1]])


def test_composed_is_the_product_of_matrices():
    outer, inner = torch.rand(2, 5, 2, 3)
    for ours, a, b in zip(composed(outer, inner), outer, inner, strict=True):
        assert affine(ours.numpy()) == pytest.approx(affine(a.numpy()) @ affine(b.numpy()), abs=1e-6)


def test_a_zoom_in_depth_leaves_the_probe_where_it_is():
    found = sectors(batch_of(*PICTURES))
    matrices = zoomed_in_depth(0.4, found, showing(4, epoch=3))
    sign = 2 * showing(4, epoch=3).uniforms("depth_zoom")[0] - 1
    for matrix, top, drawn in zip(matrices.numpy(), found.top().numpy(), sign, strict=True):
        assert matrix @ [*top, 1] == pytest.approx(top, abs=1e-5)
        assert matrix[:, :2] == pytest.approx(np.eye(2) * 1.4**-drawn, abs=1e-5)


def share_of_tissue(matrix, picture):
    """Of a square that a map (2, 3) takes the image from, how much is lit; outside the image nothing is."""
    x, y = places(200)
    columns, rows = ((matrix @ [x.ravel(), y.ravel(), np.ones(x.size)] + 1) * SIDE / 2).astype(int)
    inside = (columns >= 0) & (columns < SIDE) & (rows >= 0) & (rows < SIDE)
    return np.where(inside, picture[rows.clip(0, SIDE - 1), columns.clip(0, SIDE - 1)] > 0, False).mean()


@pytest.mark.parametrize("picture", PICTURES[:3])
def test_a_part_of_the_sector_holds_no_more_black_than_the_whole(picture):
    found = sectors(batch_of(*[picture] * 40))
    centre, half = (values[0].numpy() for values in found.boxes())
    whole = share_of_tissue(np.column_stack([np.eye(2) * half.max(), centre]), picture)
    matrices = zoomed_into_sector(0.8, found, showing(40)).numpy()
    shares = np.array([share_of_tissue(matrix, picture) for matrix in matrices])
    assert shares.min() > whole - 0.04
    sides = matrices[:, 0, 0] / half.max()
    assert sides.min() > 1 / 1.8 - 1e-5
    assert sides.max() <= 1 + 1e-5
    assert (sides < 0.99).mean() > 0.5
    assert len(np.unique(matrices[:, 0, 2].round(3))) > 10 or half[0] < half[1]


def test_without_a_sector_it_is_a_part_of_the_whole_image():
    found = sectors(batch_of(*[PICTURES[3]] * 30))
    matrices = zoomed_into_sector(0.5, found, showing(30)).numpy()
    reach = np.abs(matrices[:, :, 2]) + matrices[:, [0, 1], [0, 1]]
    assert reach.max() <= 1 + 1e-5
