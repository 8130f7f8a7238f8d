import threading
from collections import Counter

import numpy as np
import pytest
import torch

from sonoprior.cases import PriorSpec
from sonoprior.cases.fields import field
from sonoprior.cases.loading import AugmentSpec, Cache, Loader, network_input
from sonoprior.cases.loading import loader as loader_module
from sonoprior.cases.loading.batch import TRUTH
from sonoprior.cases.loading.prefetch import prefetched
from sonoprior.cases.loading.sampling import repeats
from sonoprior.core.errors import DataError, RecipeError

ALL = list(range(23))
SIZE = 32


@pytest.fixture(scope="module")
def cache(sides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("caches")
    return Cache.build(sides, folder, size=SIZE, priors=PriorSpec(grouping="each"))


def by_index(loader, epoch=0):
    """Image and prior by position in the case set (the last one, where a case comes twice)."""
    batches = list(loader.epoch(epoch))
    return {
        int(i): (batch["image"][k], batch["prior"][k])
        for batch in batches
        for k, i in enumerate(batch["index"])
    }


def indices(loader, epoch=0):
    return [int(i) for batch in loader.epoch(epoch) for i in batch["index"]]


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("sonoprior-loader")]


@pytest.mark.parametrize("augment", [None, AugmentSpec()])
def test_fields_are_as_registered(cache, augment):
    loader = Loader(cache, ALL, batch_size=8, augment=augment, levels=["side", "quality"])
    lengths = {"B": 8, "P": 3, "S": SIZE}
    batch = next(loader.epoch(0))
    assert set(batch.fields) == {"image", "index", "mirrored", "label.side", "label.quality", "prior"}
    for name, tensor in batch.fields.items():
        known = field(name)
        assert list(tensor.shape) == [lengths.get(letter, letter) for letter in known.shape]
        assert str(tensor.dtype) == f"torch.{known.dtype}"
        assert (name in batch.present) == known.masked
    assert batch.present["prior"].shape == (8, 3)
    assert 0 <= float(batch["image"].min()) < float(batch["image"].max()) <= 1


def test_an_evaluation_shows_each_case_plain_and_in_order(cache, sides):
    loader = Loader(cache, ALL, batch_size=5, sampling="order")
    batches = list(loader.epoch(0))
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3]
    assert len(loader) == 5
    assert indices(loader) == ALL
    images = network_input([sides.read_image(i) for i in ALL], SIZE)
    assert torch.allclose(torch.cat([batch["image"] for batch in batches]), images, atol=1e-6)
    labels = torch.cat([batch["label.side"] for batch in batches])
    assert labels.tolist() == [-1 if i == 1 else i % 3 for i in ALL]
    present = torch.cat([batch.present["prior"] for batch in batches]).numpy()
    assert np.array_equal(present, cache.present)
    priors = torch.cat([batch["prior"] for batch in batches])
    assert np.array_equal(priors.any(-1).any(-1).numpy(), present & (np.arange(23) != 7)[:, None])


def test_a_case_is_augmented_alike_whatever_the_batch_size_and_the_order(cache):
    settings = {"augment": AugmentSpec(), "seed": 4}
    loaders = [
        Loader(cache, ALL, batch_size=8, **settings),
        Loader(cache, ALL, batch_size=3, **settings),
        Loader(cache, ALL[::-2], batch_size=23, sampling="order", **settings),
    ]
    reference = by_index(loaders[0], epoch=2)
    for loader in loaders[1:]:
        for i, tensors in by_index(loader, epoch=2).items():
            for ours, theirs in zip(tensors, reference[i], strict=True):
                assert torch.allclose(ours, theirs, atol=1e-6)


def test_an_epoch_is_the_same_when_a_run_is_resumed(cache):
    settings = {"batch_size": 8, "augment": AugmentSpec(), "seed": 1}
    whole = Loader(cache, ALL, **settings)
    list(whole.epoch(0))
    resumed = Loader(cache, ALL, **settings)
    for one, other in zip(whole.epoch(1), resumed.epoch(1), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one.fields)


def test_another_epoch_or_seed_is_another_order_and_other_draws(cache):
    first = Loader(cache, ALL, batch_size=8, augment=AugmentSpec(), seed=0)
    other = Loader(cache, ALL, batch_size=8, augment=AugmentSpec(), seed=1)
    orders = [indices(first, 0), indices(first, 1), indices(other, 0)]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == ALL for order in orders)
    images = [by_index(loader, epoch)[3][0] for loader, epoch in [(first, 0), (first, 1), (other, 0)]]
    assert not torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_balanced_sampling_shows_classes_equally_often_and_no_unlabelled_case(cache, sides):
    few = [0, 1, 2, 3, 4, 6, 9, 12, 15, 18]  # seven left, one right, one middle, one unknown
    loader = Loader(cache, few, batch_size=4, sampling="balanced", seed=3)
    total = Counter()
    for epoch in range(30):
        order = indices(loader, epoch)
        assert len(order) == len(few)
        assert 1 not in order
        counts = Counter(sides.labels()[order].tolist())
        assert max(counts.values()) - min(counts.values()) <= 1
        total.update(order)
    assert set(total) == set(few) - {1}
    assert indices(loader, 5) == indices(loader, 5)


def test_a_case_drawn_twice_is_augmented_twice(cache):
    loader = Loader(cache, [0, 3, 6, 2], batch_size=4, augment=AugmentSpec(), sampling="balanced")
    batch = next(loader.epoch(0))
    twice = batch["image"][batch["index"] == 2]
    assert len(twice) == 2
    assert not torch.equal(twice[0], twice[1])


def test_repeats_count_what_came_before():
    order = np.random.default_rng(0).integers(0, 9, 60)
    assert repeats(order).tolist() == [int((order[:k] == order[k]).sum()) for k in range(60)]


def test_a_mirror_swaps_partners_named_by_the_case_set(cache, sides):
    always = AugmentSpec(mirror=1, rotate=0, zoom=0, translate=0)
    batch = next(Loader(cache, ALL, batch_size=23, augment=always, sampling="order").epoch(0))
    assert batch["label.side"].tolist() == [-1 if i == 1 else [1, 0, 2][i % 3] for i in ALL]
    assert np.array_equal(batch.present["prior"].numpy(), cache.present[:, [1, 0, 2]])
    untouched = next(Loader(cache, ALL, batch_size=23, sampling="order").epoch(0))
    expected = untouched["prior"][:, [1, 0, 2]].flip(-1)
    assert ((batch["prior"] - expected).abs() > 0.51).float().mean() < 0.001


def test_a_mirror_swaps_what_is_known_for_monitors_and_what_lies_above_as_it_swaps_the_classes(cache, sides):
    own = sides.labels("side")
    levels = {"side": own, TRUTH: np.where(np.arange(len(own)) % 2, own, -1), "above": own.copy()}
    always = AugmentSpec(mirror=1, rotate=0, zoom=0, translate=0)
    loader = Loader(cache, ALL, batch_size=8, augment=always, sampling="order", levels=levels)
    for batch in loader.epoch(0):
        said, true = batch["label.side"], batch[f"label.{TRUTH}"]
        assert batch["mirrored"].all()
        assert torch.equal(true[true >= 0], said[true >= 0])
        assert torch.equal(batch["label.above"], said)
    assert (said != torch.from_numpy(own[-len(said) :])).any()


def test_a_mirror_that_lacks_a_partner_is_refused_and_without_mirror_it_is_not(sides, tmp_path):
    spec = PriorSpec(grouping={"left": ["left lobe"]})
    lone = Cache.build(sides, tmp_path, size=SIZE, priors=spec)
    with pytest.raises(
        RecipeError, match=r"the mirror image of 'left' \(right lobe\) is not among the priors"
    ):
        Loader(lone, ALL, batch_size=8, augment=AugmentSpec())
    assert len(Loader(lone, ALL, batch_size=8, augment=AugmentSpec(mirror=0))) == 3


def test_dropping_the_last_batch(cache):
    loader = Loader(cache, ALL, batch_size=8, drop_last=True)
    assert [len(batch) for batch in loader.epoch(0)] == [8, 8] == [8] * len(loader)
    with pytest.raises(RecipeError, match=r"batch_size must be at most 23, the number of cases.* but got 24"):
        Loader(cache, ALL, batch_size=24, drop_last=True)


@pytest.mark.parametrize(
    ("positions", "settings", "error", "message"),
    [
        ([], {}, DataError, r"positions must be whole numbers, at least one in a row, but got .* \(0,\)"),
        ([[1]], {}, DataError, r"at least one in a row, but got int64 of shape \(1, 1\)"),
        (np.ones(23, bool), {}, DataError, "positions must be whole numbers.* but got bool"),
        ([23], {}, DataError, "positions must lie between 0 and 22, but got 23"),
        ([-1], {}, DataError, "positions must lie between 0 and 22, but got -1"),
        ([0], {"batch_size": 0}, RecipeError, "batch_size must be at least 1, but got 0"),
        ([0], {"sampling": "shufle"}, RecipeError, "sampling must be one of .*Did you mean 'shuffle'"),
        ([0], {"levels": ["sid"]}, DataError, "level must be one of side, quality.*Did you mean 'side'"),
        ([1], {"sampling": "balanced"}, DataError, "none of the 1 cases has a label of the level 'side'"),
        ([1], {"sampling": "balanced", "levels": []}, RecipeError, "sampling by class needs a label level"),
    ],
)
def test_wrong_settings_are_refused(cache, positions, settings, error, message):
    with pytest.raises(error, match=message):
        Loader(cache, positions, **{"batch_size": 4, **settings})


def test_an_error_in_the_background_is_raised_in_front(cache, monkeypatch):
    def broken(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(loader_module, "plain", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        list(Loader(cache, ALL, batch_size=4).epoch(0))
    assert not loader_threads()


def test_no_thread_outlives_its_epoch(cache):
    loader = Loader(cache, ALL, batch_size=4)
    list(loader.epoch(0))
    assert not loader_threads()
    for _ in loader.epoch(1):
        assert len(loader_threads()) == 1
        break
    assert not loader_threads()
    iterator = loader.epoch(2)
    next(iterator)
    del iterator
    assert not loader_threads()
    loader.epoch(3)
    assert not loader_threads()


def test_one_item_is_made_ahead_and_no_more():
    made, gate = [], threading.Event()

    def make(k):
        made.append(k)
        if len(made) > 1:
            gate.set()
        return k

    items = prefetched(make, range(9))
    assert next(items) == 0
    assert gate.wait(5)
    assert made == [0, 1]
    assert list(items) == list(range(1, 9))


def test_the_threads_of_torch_are_left_alone(cache):
    before = torch.get_num_threads()
    list(Loader(cache, ALL, batch_size=4, augment=AugmentSpec()).epoch(0))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("augment", [None, AugmentSpec()])
def test_coarse_maps_come_at_the_size_of_the_images_and_move_with_them(sides, cache, tmp_path, augment):
    spec = PriorSpec(grouping="each", resolution=0.3)
    coarse = Cache.build(sides, tmp_path, size=SIZE, priors=spec)
    pairs = [
        next(Loader(one, [0, 5, 10], batch_size=3, sampling="order", augment=augment).epoch(0))
        for one in (cache, coarse)
    ]
    assert pairs[0]["prior"].shape == pairs[1]["prior"].shape == (3, 3, SIZE, SIZE)
    assert torch.equal(pairs[0]["image"], pairs[1]["image"])
    assert (pairs[0]["prior"] - pairs[1]["prior"]).abs().mean() < 0.05
    assert torch.equal(pairs[0].present["prior"], pairs[1].present["prior"])
