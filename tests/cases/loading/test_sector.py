import cv2
import numpy as np
import pytest
import torch

from sector_pictures import SIDE, batch_of, box, fan, places
from sonoprior.cases.loading.sector import sectors


def points_of(count, side=SIDE):
    return torch.from_numpy(np.stack(places(side), -1).astype(np.float32)).expand(count, -1, -1, -1)


def clipped():
    """A wide fan whose borders leave the image almost at once."""
    return fan(apex=(0.0, -1.5), half_angle=0.9, begins=0.6, ends=2.45)


def with_text_and_cyst():
    picture = fan()
    cv2.putText(picture, "MI 1.1", (1, 10), cv2.FONT_HERSHEY_PLAIN, 0.6, 255, 1)
    picture[20:70, 92:94] = 255  # a grey bar
    cv2.circle(picture, (24, 60), 10, 0, -1)  # at the border of the fan
    return picture


@pytest.mark.parametrize(
    ("picture", "apex", "begins", "ends"),
    [
        (fan(), (0, -1.4), 0.6, 2.2),
        (fan(apex=(0.1, -1.2), half_angle=0.7, begins=0.3, ends=2.0), (0.1, -1.2), 0.3, 2.0),
        (clipped(), (0, -1.5), 0.6, 2.45),
        (with_text_and_cyst(), (0, -1.4), 0.6, 2.2),
    ],
)
def test_a_fan_is_found_where_it_was_drawn(picture, apex, begins, ends):
    found = sectors(batch_of(picture))
    assert found.fan.tolist() == [True]
    assert found.apex[0].tolist() == pytest.approx(apex, abs=0.15)
    assert found.along[0].tolist() == pytest.approx((begins, ends), abs=0.15)
    assert found.top()[0].tolist() == pytest.approx((apex[0], apex[1] + begins), abs=0.2)


def test_beams_fan_out_from_the_apex_and_deepen_with_distance():
    found = sectors(batch_of(fan()))
    beam, depth = (values[0].numpy() for values in found.beams(points_of(1)))
    inside = fan() > 0
    assert np.abs(beam[inside]).max() < 1.15
    assert depth[inside].min() > -0.1
    assert depth[inside].max() < 1.1
    x, y = places()
    angle, far = np.arctan2(x, y + 1.4), np.hypot(x, y + 1.4)
    assert np.corrcoef(beam[inside], angle[inside])[0, 1] > 0.999
    assert np.corrcoef(depth[inside], far[inside])[0, 1] > 0.999


@pytest.mark.parametrize(
    "picture",
    [
        box(),
        np.full((SIDE, SIDE), 90, np.uint8),
        np.random.default_rng(0).integers(0, 99, (SIDE, SIDE), np.uint8),
    ],
)
def test_anything_else_is_straight_down_over_its_box(picture):
    found = sectors(batch_of(picture))
    assert found.fan.tolist() == [False]
    rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
    across = (columns[0] * 2 / SIDE - 1, (columns[-1] + 1) * 2 / SIDE - 1)
    along = (rows[0] * 2 / SIDE - 1, (rows[-1] + 1) * 2 / SIDE - 1)
    assert found.across[0].tolist() == pytest.approx(across, abs=1e-5)
    assert found.along[0].tolist() == pytest.approx(along, abs=1e-5)
    beam, depth = (values[0].numpy() for values in found.beams(points_of(1)))
    assert beam == pytest.approx(np.broadcast_to(beam[:1], beam.shape))
    assert depth == pytest.approx(np.broadcast_to(depth[:, :1], depth.shape))
    middle = (sum(across) / 2, along[0])
    assert found.top()[0].tolist() == pytest.approx(middle, abs=1e-5)


def test_a_black_image_is_all_tissue():
    found = sectors(batch_of(np.zeros((SIDE, SIDE), np.uint8)))
    assert found.tissue.all()
    assert found.fan.tolist() == [False]
    assert torch.cat([found.across, found.along]).ravel().tolist() == pytest.approx([-1, 1, -1, 1])


def test_dark_tissue_between_lit_is_tissue_and_text_outside_is_not():
    tissue = sectors(batch_of(with_text_and_cyst())).tissue[0].numpy()
    even = sectors(batch_of(fan())).tissue[0].numpy()
    assert (tissue ^ even).mean() < 0.02


def test_an_image_is_judged_alike_in_any_batch():
    pictures = [fan(), box(), clipped(), with_text_and_cyst()]
    together = sectors(batch_of(*pictures))
    for i, picture in enumerate(pictures):
        alone = sectors(batch_of(picture))
        assert alone.fan[0] == together.fan[i]
        assert torch.allclose(alone.across[0], together.across[i], atol=1e-4)
        assert torch.allclose(alone.along[0], together.along[i], atol=1e-4)
