import cv2
import numpy as np
import pytest
import torch

from sonoprior.cases.loading import cache_side, from_letterbox, letterbox, network_input
from sonoprior.cases.loading.shrink import area_weights, shrink, two_from_three


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.parametrize(("size", "side"), [(112, 168), (15, 23), (224, 336)])
def test_the_cache_is_one_and_a_half_times_the_training_size_rounded_up(size, side):
    assert cache_side(size) == side


def test_a_wide_picture_lies_centred_on_black_and_is_opencvs_area_resize():
    image = picture(100, 200)
    square = letterbox(image, 60)
    assert np.array_equal(square[15:45], cv2.resize(image, (60, 30), interpolation=cv2.INTER_AREA))
    assert not square[:15].any()
    assert not square[45:].any()


def test_a_tall_small_picture_grows_bilinearly():
    image = picture(30, 10)
    square = letterbox(image, 60)
    assert np.array_equal(square[:, 20:40], cv2.resize(image, (20, 60), interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (1000, 3)])
def test_extreme_shapes_keep_at_least_one_pixel(shape):
    square = letterbox(np.full(shape, 200, np.uint8), 24)
    assert square.shape == (24, 24)
    assert (square == 200).any()


@pytest.mark.parametrize("shape", [(80, 120), (120, 80), (90, 90)])
def test_a_map_of_the_square_comes_back_onto_the_picture(shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    blob = np.exp(-((rows - 30) ** 2 + (columns - 50) ** 2) / 200).astype(np.float32)
    back = from_letterbox(letterbox(blob, 60), shape)
    assert back.shape == shape
    assert np.unravel_index(back.argmax(), shape) == pytest.approx((30, 50), abs=1)
    assert np.corrcoef(back.ravel(), blob.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(("source", "target"), [(168, 112), (23, 15), (30, 30), (60, 7)])
def test_shrinking_is_opencvs_area_averaging(source, target):
    image = picture(source, source)
    ours = shrink(torch.from_numpy(image), target).numpy()
    reference = cv2.resize(image.astype(np.float32), (target, target), interpolation=cv2.INTER_AREA)
    assert ours == pytest.approx(reference / 255, abs=1e-5)
    assert area_weights(source, target).sum(1).numpy() == pytest.approx(1, abs=1e-5)


def test_images_of_any_shape_become_one_input():
    batch = network_input([picture(50, 70), picture(200, 20), np.full((9, 9), 255, np.uint8)], 32)
    assert batch.shape == (3, 1, 32, 32)
    assert batch.dtype == torch.float32
    assert batch[2].numpy() == pytest.approx(1, abs=1e-5)
    assert 0 <= batch.min() <= batch.max() <= 1


@pytest.mark.parametrize("size", [2, 48, 224])
def test_two_from_three_is_the_averaging_of_an_even_size(size):
    pictures = torch.randint(0, 256, (2, 1, 3 * size // 2, 3 * size // 2), dtype=torch.uint8)
    torch.testing.assert_close(two_from_three(pictures), shrink(pictures, size), atol=1e-6, rtol=0)
