"""A view is told by its anatomy alone: not by brightness, size, what is burnt in, or a blurred silhouette."""

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sonoprior.cases.images import read_grey
from sonoprior.cases.phantom import make_phantom
from sonoprior.cases.phantom.burnt_in import OVERLAYS

pytestmark = pytest.mark.long
SIDE = 96
EPOCHS = 60  # as in the recipe phantom-pga


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_phantom(tmp_path_factory.mktemp("leaks") / "set", seed=11, unlabelled=0.0, overlay_masks=True)


@pytest.fixture(scope="module")
def parts(made):
    labels, split = made.labels(), made.column("split")
    return {part: np.flatnonzero((labels >= 0) & (split == part)) for part in ("train", "validation", "test")}


@pytest.fixture(scope="module")
def images(made):
    return np.stack([shrunk(made.read_image(i), SIDE) for i in range(len(made))])


def shrunk(image, side):
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def score(features, made, parts):
    """(accuracy, balanced accuracy) of a logistic regression on the test part, its strength chosen before."""
    labels = made.labels()
    train, chosen, test = parts.values()
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=3000)).fit(
            features[train], labels[train]
        )
        for c in (0.001, 0.01, 0.1)
    ]
    best = max(models, key=lambda model: model.score(features[chosen], labels[chosen]))
    right = best.predict(features[test]) == labels[test]
    return right.mean(), np.mean([right[labels[test] == k].mean() for k in range(8)])


def chance(made, parts):
    """What always naming the most frequent class scores, and one in eight."""
    return np.bincount(made.labels()[parts["test"]]).max() / len(parts["test"]), 1 / 8


def test_mean_grey_tells_no_view(made, parts, images):
    found = score(images.mean(axis=(1, 2))[:, None], made, parts)
    assert np.subtract(found, chance(made, parts)).max() < 0.05


def test_all_images_are_of_one_size(made):
    assert {made.shape(i) for i in range(0, len(made), 20)} == {(256, 256)}


def test_what_is_burnt_in_tells_no_view(made, parts):
    features = []
    for i in range(len(made)):
        masks = [read_grey(made.path(i, f"map.{name}")) for name in OVERLAYS]
        features.append(np.concatenate([shrunk(mask, 16).ravel() for mask in masks]))
    found = score(np.stack(features).astype(float), made, parts)
    assert np.subtract(found, chance(made, parts)).max() < 0.05


@pytest.mark.timeout(2400)
def test_thumbnails_stay_behind_a_network(made, parts, images):
    thumbnails = np.stack([shrunk(image, 8).ravel() for image in images]).astype(float)
    blurred, _ = score(thumbnails, made, parts)
    seen = network_accuracy(images, made.labels(), parts)
    assert seen >= blurred + 0.15
    assert 0.65 < seen < 0.92


def network_accuracy(images, labels, parts):
    """Test accuracy of a small network trained from scratch on the training part."""
    import timm
    import torch

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = timm.create_model("regnetx_002", in_chans=1, num_classes=8, pretrained=False)
    network.to(memory_format=torch.channels_last)  # faster on a processor
    pixels = torch.from_numpy(images).float()[:, None] / 128 - 0.5
    steps = EPOCHS * (len(parts["train"]) // 32)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1.5e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimiser, steps, power=0.9)
    for _ in range(EPOCHS):
        order = rng.permutation(parts["train"])
        for start in range(0, len(order) - 31, 32):
            batch = order[start : start + 32]
            loss = torch.nn.functional.cross_entropy(
                network(moved(pixels[batch], rng)), torch.from_numpy(labels[batch])
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        named = [network(pixels[chunk]).argmax(1) for chunk in np.array_split(parts["test"], 8)]
    return float((torch.cat(named).numpy() == labels[parts["test"]]).mean())


def moved(batch, rng):
    """Mirrored, turned, zoomed and shifted a little."""
    import torch

    count = len(batch)
    turn, zoom = np.radians(rng.uniform(-10, 10, count)), rng.uniform(0.85, 1.15, count)
    side = np.where(rng.random(count) < 0.5, -1, 1)
    shift = rng.uniform(-0.08, 0.08, (2, count))
    rows = [
        np.stack([np.cos(turn) * zoom * side, -np.sin(turn) * zoom, shift[0]], 1),
        np.stack([np.sin(turn) * zoom * side, np.cos(turn) * zoom, shift[1]], 1),
    ]
    grid = torch.nn.functional.affine_grid(
        torch.from_numpy(np.stack(rows, 1)).float(), batch.shape, align_corners=False
    )
    return torch.nn.functional.grid_sample(batch, grid, align_corners=False)
