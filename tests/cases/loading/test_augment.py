from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from sector_pictures import batch_of, box, fan
from sonoprior.cases.loading.augment import Augmentation
from sonoprior.cases.loading.draws import Draws, Showing, draw
from sonoprior.cases.loading.grey import GreyChange
from sonoprior.cases.loading.policies import policy
from sonoprior.cases.loading.raw import RawBatch, plain
from sonoprior.cases.loading.spec import AugmentSpec
from sonoprior.cases.loading.warp import affine, grid, sample, sample_averaged

SIZE, SIDE = 64, 96
OFF = AugmentSpec(mirror=0, rotate=0, zoom=0, translate=0, gain=0, depth_gain=0, contrast=0, gamma=0, noise=0)
MOVE = OFF.model_copy(update={"mirror": 0.5, "rotate": 30, "zoom": 0.4, "translate": 0.1})


def blobs(count, seed=0):
    """Bright ellipses off centre, and their outlines: (count, 1, SIDE, SIDE) each."""
    random = np.random.default_rng(seed)
    outlines = np.zeros((count, SIDE, SIDE), np.uint8)
    for outline in outlines:
        centre = random.integers(35, 60, 2).tolist()
        cv2.ellipse(outline, centre, random.integers(8, 20, 2).tolist(), 30, 0, 360, 255, -1)
    images = np.stack([cv2.GaussianBlur(outline, (3, 3), 0) for outline in outlines])
    return torch.from_numpy(images)[:, None], torch.from_numpy(outlines)[:, None]


def raw_batch(images, maps=None, rows=None, present=None, labels=None, positions=None):
    count = len(images)
    positions = np.arange(count) if positions is None else np.asarray(positions)
    maps = torch.zeros(0, 0, SIDE, SIDE, dtype=torch.uint8) if maps is None else maps
    return RawBatch(
        positions,
        np.zeros(count, np.int64),
        images,
        torch.arange(len(maps)) if rows is None else torch.tensor(rows),
        maps,
        torch.ones(count, maps.shape[1], dtype=torch.bool) if present is None else torch.tensor(present),
        {} if labels is None else {"view": torch.tensor(labels)},
    )


def augmentation(spec, priors=1, partners=None, label_partners=(0, 1, 2)):
    return Augmentation(spec, SIZE, 0, {"view": label_partners}, partners or list(range(priors)))


def draws_of(**values):
    neutral = draw(OFF, Showing(0, 0, np.zeros(1, np.int64), np.zeros(1, np.int64)))
    return replace(neutral, **{name: np.array([value]) for name, value in values.items()})


def test_outline_and_image_move_together():
    images, outlines = blobs(200)
    rows = list(range(1, 200, 3))  # as with real outlines, on some images only
    raw = raw_batch(images, outlines[rows], rows=rows)
    batch = augmentation(MOVE)(raw, epoch=0)
    seen, drawn = batch["image"][rows] > 0.5, batch["prior"][rows] > 0.5
    overlap = (seen & drawn).sum((1, 2, 3)) / (seen | drawn).sum((1, 2, 3))
    assert overlap.min() > 0.9
    untouched = plain(raw, SIZE)["prior"][rows] > 0.5
    moved = (drawn ^ untouched).sum((1, 2, 3)) / drawn.sum((1, 2, 3))
    assert moved.median() > 0.3


def test_the_map_is_mirror_then_turn_and_zoom_then_shift():
    draws = draws_of(mirror=True, flip=True, angle=0.4, zoom=1.3, right=0.1, down=-0.07)
    turn = 1.3 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    forward = np.eye(3)
    forward[:2] = np.column_stack([turn @ np.diag([-1, -1]), [0.2, -0.14]])
    assert affine(draws)[0].numpy() == pytest.approx(np.linalg.inv(forward)[:2], abs=1e-6)


@pytest.mark.parametrize(
    ("move", "row", "column"),
    [
        ({"mirror": True}, 20, 43),
        ({"flip": True}, 43, 20),
        ({"right": 0.25}, 20, 36),
        ({"down": 0.25}, 36, 20),
        ({"angle": np.pi / 2}, 20, 43),
        ({"zoom": 2.0}, 8.5, 8.5),
    ],
)
def test_each_move_takes_a_spot_where_it_should(move, row, column):
    spot = torch.zeros(1, 1, SIZE, SIZE)
    spot[0, 0, 20, 20] = 1
    moved = sample(spot, grid(affine(draws_of(**move)), SIZE))[0, 0].numpy()
    centre = np.array(np.nonzero(moved > 0.2)).mean(1)
    assert centre == pytest.approx((row, column), abs=0.51)


def test_sampling_is_that_of_scipy():
    image = torch.rand(1, 1, SIDE, SIDE)
    points = grid(affine(draws_of(angle=0.3, zoom=0.9, right=0.04)), SIZE)
    columns, rows = (((points[0] + 1) * SIDE - 1) / 2).unbind(-1)
    reference = map_coordinates(image[0, 0].numpy(), [rows.numpy(), columns.numpy()], order=1, cval=0)
    inside = (rows > 0) & (rows < SIDE - 1) & (columns > 0) & (columns < SIDE - 1)
    assert sample(image, points)[0, 0][inside].numpy() == pytest.approx(reference[inside], abs=1e-4)


def test_a_mirror_swaps_labels_and_priors_of_mirrored_images_only():
    images, outlines = blobs(40)
    maps = torch.cat([outlines, torch.zeros_like(outlines), outlines], 1)[:20]
    present = [[True, False, True]] * 20 + [[False] * 3] * 20
    labels = [0, 1, 2, -1] * 10
    raw = raw_batch(images, maps, present=present, labels=labels)
    spec = OFF.model_copy(update={"mirror": 0.5})
    batch = augmentation(spec, partners=[1, 0, 2], label_partners=[1, 0, 2])(raw, epoch=3)
    mirrored = draw(spec, Showing(0, 3, raw.positions, raw.repeats)).mirror
    assert 5 < mirrored.sum() < 35
    assert batch["mirrored"].tolist() == mirrored.tolist()
    assert batch["label.view"].tolist() == [
        {0: 1, 1: 0}.get(label, label) if swap else label
        for label, swap in zip(labels, mirrored, strict=True)
    ]
    for i, swap in enumerate(mirrored):
        there = [False, True, True] if swap else [True, False, True]
        assert batch.present["prior"][i].tolist() == (there if i < 20 else [False] * 3)
        assert batch["prior"][i].any((1, 2)).tolist() == (there if i < 20 else [False] * 3)


def test_absent_priors_stay_absent_and_moved_away_ones_are_present_and_empty():
    images, outlines = blobs(3)
    corner = torch.zeros_like(outlines[:2])
    corner[:, :, 90:, 90:] = 255
    raw = raw_batch(images, corner, rows=[0, 2], present=[[True], [False], [True]])
    spec = OFF.model_copy(update={"rotate": 180.0})
    maker = augmentation(spec)
    epochs = [maker(raw, epoch) for epoch in range(20)]
    assert all(batch.present["prior"].tolist() == [[True], [False], [True]] for batch in epochs)
    assert not any(batch["prior"][1].any() for batch in epochs)
    emptied = [not batch["prior"][0].any() for batch in epochs]
    assert any(emptied)
    assert not all(emptied)


def test_a_batch_without_any_prior_and_one_without_prior_names():
    images, _ = blobs(2)
    none_here = torch.zeros(0, 2, SIDE, SIDE, dtype=torch.uint8)
    raw = raw_batch(images, none_here, present=[[False] * 2] * 2)
    for batch in (augmentation(MOVE, priors=2)(raw, 0), plain(raw, SIZE)):
        assert batch["prior"].shape == (2, 2, SIZE, SIZE)
        assert not batch["prior"].any()
    for batch in (augmentation(MOVE, priors=0)(raw_batch(images), 0), plain(raw_batch(images), SIZE)):
        assert "prior" not in batch


def test_an_image_is_augmented_alike_in_any_batch():
    images, outlines = blobs(8)
    maker = augmentation(AugmentSpec())
    together = maker(raw_batch(images, outlines), epoch=2)
    for i in (0, 5):
        alone = maker(raw_batch(images[i : i + 1], outlines[i : i + 1], positions=[i]), epoch=2)
        for field in ("image", "prior"):
            assert torch.allclose(alone[field][0], together[field][i], atol=1e-6)


def test_zoom_up_to_one_and_a_half_never_samples_finer_than_the_cache():
    step = 2 / SIDE  # between two pixels of the cache
    for zoom in (1.0, 1.2, 1.5):
        points = grid(affine(draws_of(zoom=zoom)), SIZE)
        assert float(points[0, 0, 1, 0] - points[0, 0, 0, 0]) >= step * (1 - 1e-4)


def test_nothing_asked_nothing_done():
    images, outlines = blobs(4)
    smooth = torch.from_numpy(np.stack([cv2.GaussianBlur(i.numpy(), (9, 9), 3) for i in images[:, 0]]))
    raw = raw_batch(smooth[:, None], outlines)
    augmented, untouched = augmentation(OFF)(raw, 0), plain(raw, SIZE)
    assert torch.allclose(augmented["image"], untouched["image"], atol=0.02)
    assert torch.allclose(augmented["prior"], untouched["prior"], atol=0.51)


def test_speckle_is_as_grainy_in_training_as_in_evaluation():
    speckle = torch.randint(0, 256, (16, 1, SIDE, SIDE), dtype=torch.uint8)
    spec = OFF.model_copy(update={"rotate": 10.0, "zoom": 0.2})
    points = affine(draw(spec, Showing(0, 0, np.arange(16), np.zeros(16, np.int64))))
    inner = (..., slice(16, 48), slice(16, 48))
    trained = sample_averaged(speckle / 255, points, SIZE)[inner].std().item()
    single = sample(speckle / 255, grid(points, SIZE))[inner].std().item()
    evaluated = plain(raw_batch(speckle), SIZE)["image"][inner].std().item()
    assert trained == pytest.approx(evaluated, rel=0.15)
    assert abs(trained - evaluated) < abs(single - evaluated)


def grey_loop(image, draws: Draws, noise):
    """The formula of `GreyChange`, pixel by pixel."""
    result = np.zeros_like(image)
    for row, column in np.ndindex(*image.shape):
        g, depth = image[row, column], 2 * row / (len(image) - 1) - 1
        changed = draws.contrast[0] * g ** draws.gamma[0] * (1 + draws.noise[0] * noise[row, column])
        changed += (draws.gain[0] + draws.depth_gain[0] * depth) * min(1, g / 0.05)
        result[row, column] = min(1, max(0, changed))
    return result


def test_grey_levels_follow_the_formula():
    change, image = GreyChange(SIZE, seed=5), torch.rand(1, 1, SIZE, SIZE)
    draws = draws_of(
        gain=-0.1, depth_gain=0.2, contrast=1.3, gamma=0.8, noise=0.1, noise_row=0.5, noise_column=0.999
    )
    sheet = change._sheet.numpy()
    noise = sheet[96 : 96 + SIZE, 192 : 192 + SIZE]
    ours = change(image.clone(), draws)[0, 0].numpy()
    assert ours == pytest.approx(grey_loop(image[0, 0].numpy(), draws, noise), abs=1e-5)


def test_what_is_black_stays_black_and_all_stays_in_range():
    images, _ = blobs(30)
    batch = augmentation(AugmentSpec(gain=1, contrast=1, gamma=1, noise=1, rotate=0, zoom=0, translate=0))(
        raw_batch(images), 0
    )
    assert not batch["image"][..., :8, :8].any()
    assert float(batch["image"].min()) >= 0
    assert float(batch["image"].max()) <= 1


STILL = {"mirror": 0, "rotate": 0, "zoom": 0, "translate": 0, "sector_zoom": 0, "depth_zoom": 0}
STRONG = policy("strong")
# Taken before augmentation could do more: what a recipe trained with then, it trains with now.
BEFORE = [
    [0.4486064910888672, 0.747520387172699, 0.38064366579055786, 0.6744033694267273],
    [0.0, 0.554293692111969, 0.7247862219810486, 0.4536382555961609],
]


def test_what_is_off_changes_no_pixel():
    ramp = (np.arange(48 * 48).reshape(48, 48) * 7 % 256).astype(np.uint8)
    images = torch.from_numpy(np.stack([ramp, ramp.T.copy()]))[:, None]
    raw = raw_batch(images, torch.zeros(0, 0, 48, 48, dtype=torch.uint8), positions=[3, 11])
    seen = Augmentation(AugmentSpec(), 32, 7, {}, [])(raw, 2)["image"]
    assert seen[:, 0, 5, ::8].numpy() == pytest.approx(np.array(BEFORE), abs=1e-6)
    assert float(seen.double().sum()) == pytest.approx(775.126418375643, abs=1e-3)
    draws = draw(AugmentSpec(), Showing(7, 2, raw.positions, raw.repeats))
    moved = sample_averaged(images / 255, affine(draws), 32)
    assert torch.equal(seen, GreyChange(32, 7)(moved, draws))  # bit for bit, and no other step


def test_outlines_follow_the_zooms_that_know_the_sector():
    images, outlines = blobs(60)
    spec = OFF.model_copy(update={"sector_zoom": 0.5, "depth_zoom": 0.3, "rotate": 15, "mirror": 0.5})
    raw = raw_batch(images, outlines)
    batch = augmentation(spec)(raw, epoch=0)
    seen, drawn = batch["image"] > 0.5, batch["prior"] > 0.5
    overlap = (seen & drawn).sum((1, 2, 3)) / (seen | drawn).sum((1, 2, 3)).clamp(min=1)
    assert overlap[drawn.any((1, 2, 3)).squeeze()].min() > 0.9
    grown = drawn.sum((1, 2, 3)) / (plain(raw, SIZE)["prior"] > 0.5).sum((1, 2, 3))
    assert grown.median() > 1.5  # the blob is all the sector that there is


def test_speckle_shadows_and_cut_outs_leave_outlines_and_places_alone():
    images, outlines = blobs(20)
    raw = raw_batch(images, outlines)
    changed = {"speckle": 1.0, "shadow": 1.0, "shadows": 3, "cutout": 0.5, "cutouts": 2}
    without, within = (augmentation(spec)(raw, 1) for spec in (MOVE, MOVE.model_copy(update=changed)))
    assert torch.equal(without["prior"], within["prior"])
    assert not torch.equal(without["image"], within["image"])
    assert torch.equal(without["index"], within["index"])


def test_the_strongest_stays_in_range_and_is_alike_in_any_batch():
    sectors = [fan(), box(), fan(level=250), np.zeros((SIDE, SIDE), np.uint8)] * 3
    grain = torch.randint(128, 256, (12, 1, SIDE, SIDE)) / 255
    images = (batch_of(*sectors) * grain).to(torch.uint8)
    maker = Augmentation(STRONG, SIZE, 0, {}, [])
    together = maker(raw_batch(images), 4)["image"]
    assert float(together.min()) >= 0
    assert float(together.max()) <= 1
    assert not together[3].any()
    for i in (0, 1, 5):
        alone = maker(raw_batch(images[i : i + 1], positions=[i]), 4)["image"][0]
        assert torch.allclose(alone, together[i], atol=1e-4)


def test_black_outside_the_sector_stays_black():
    grain = torch.randint(60, 256, (8, 1, SIDE, SIDE)) / 255
    images = (batch_of(*[fan(level=255)] * 8) * grain).to(torch.uint8)
    harsh = {"gain": 0.3, "depth_gain": 0.3, "contrast": 0.5, "speckle": 1.0, "cutout": 0}
    spec = STRONG.model_copy(update={**STILL, **harsh})
    before, after = (
        Augmentation(each, SIZE, 0, {}, [])(raw_batch(images), 0)["image"] for each in (OFF, spec)
    )
    assert not after[before == 0].any()
    assert float(after[before > 0].mean()) > 0.1


def test_shadows_turn_with_the_image():
    images = batch_of(*[np.full((SIDE, SIDE), 200, np.uint8)] * 6)
    upright = OFF.model_copy(update={"shadow": 0.8})
    turned = upright.model_copy(update={"flip_vertical": 1.0})
    one, other = (augmentation(spec)(raw_batch(images), 0)["image"] for spec in (upright, turned))
    assert torch.allclose(one.flip(2), other, atol=1e-4)
    assert (one[:, :, -1].mean(-1) < one[:, :, 0].mean(-1) - 0.001).all()
