import numpy as np
import pytest
import torch

from sector_pictures import showing
from sonoprior.cases.loading.cutout import CutOut

SIZE = 40


def loop(image, u, most):
    """Rectangle after rectangle, pixel by pixel."""
    result, mean = image.copy(), image.mean()
    for high, wide, down, right in u.reshape(-1, 4):
        height, width = (most * (0.25 + 0.75 * side) for side in (high, wide))
        top, left = down * (1 - height), right * (1 - width)
        for row, column in np.ndindex(*image.shape):
            y, x = (row + 0.5) / SIZE, (column + 0.5) / SIZE
            if top <= y < top + height and left <= x < left + width:
                result[row, column] = mean
    return result


@pytest.mark.parametrize(("most", "count"), [(0.4, 1), (0.3, 3), (1.0, 1)])
def test_rectangles_are_those_of_the_loop(most, count):
    images = torch.rand(5, 1, SIZE, SIZE)
    u = showing(5).uniforms("cutout").astype(np.float32)
    after = CutOut(most, count)(images, showing(5))
    for i in range(5):
        expected = loop(images[i, 0].numpy(), u[: 4 * count, i], np.float32(most))
        assert after[i, 0].numpy() == pytest.approx(expected, abs=1e-5)


def test_each_image_loses_a_rectangle_of_a_drawn_size_and_the_given_ones_are_kept():
    images = torch.rand(300, 1, SIZE, SIZE)
    given = images.clone()
    lost = (CutOut(0.4, 1)(images, showing(300)) != images)[:, 0]
    assert torch.equal(images, given)
    high, wide = lost.any(2).sum(1), lost.any(1).sum(1)
    assert (lost.sum((1, 2)) == high * wide).all()
    assert high.min() >= 3
    assert high.max() <= 17
    assert lost.any(0).float().mean() > 0.95  # anywhere
