import pytest
import torch

from sonoprior.cases import PriorSpec
from sonoprior.cases.loading import AugmentSpec, Cache, Loader, ViewLoader, policy
from sonoprior.cases.loading.exam_batches import ExamBatches
from sonoprior.core.errors import DataError, RecipeError

ALL = list(range(23))
SIZE = 32
VIEWS = {"weak": policy("weak"), "strong": policy("strong")}


@pytest.fixture(scope="module")
def cache(sides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("caches")
    return Cache.build(sides, folder, size=SIZE, priors=PriorSpec(grouping="each"))


def loader(cache, **settings):
    return Loader(cache, ALL, batch_size=8, **settings)


def equal(one, other):
    return set(one.fields) == set(other.fields) and all(
        torch.equal(one[name], other[name]) for name in one.fields
    )


def test_views_are_of_the_same_cases_and_drawn_apart(cache):
    both = ViewLoader(loader(cache), {"first": policy("strong"), "second": policy("strong")})
    batches = list(both.epoch(0))
    assert len(batches) == len(both) == 3
    for views in batches:
        first, second = views["first"], views["second"]
        assert torch.equal(first["index"], second["index"])
        differs = (first["image"] != second["image"]).flatten(1).any(1)
        assert differs.all()


def test_a_resumed_run_goes_on_with_the_same_views(cache):
    whole, resumed = (ViewLoader(loader(cache, seed=5), VIEWS) for _ in range(2))
    list(whole.epoch(0))
    for one, other in zip(whole.epoch(1), resumed.epoch(1), strict=True):
        assert all(equal(one[name], other[name]) for name in VIEWS)


def test_a_view_is_the_same_whatever_stands_beside_it_and_in_any_order(cache):
    pair, alone = ViewLoader(loader(cache), VIEWS), ViewLoader(loader(cache), {"strong": VIEWS["strong"]})
    swapped = ViewLoader(loader(cache), dict(reversed(VIEWS.items())))
    for one, other, third in zip(pair.epoch(2), alone.epoch(2), swapped.epoch(2), strict=True):
        assert equal(one["strong"], other["strong"])
        assert equal(one["strong"], third["strong"])


def test_a_plain_view_is_what_the_loader_gives_without_augmentation(cache):
    views = ViewLoader(loader(cache, augment=AugmentSpec()), {"plain": None, "weak": policy("weak")})
    for one, other in zip(views.epoch(1), loader(cache).epoch(1), strict=True):
        assert equal(one["plain"], other)


def test_each_view_swaps_labels_and_priors_as_its_own_mirror_does(cache):
    still = {"mirror": 0, "rotate": 0, "zoom": 0, "translate": 0}
    one, other = AugmentSpec(**still), AugmentSpec(**{**still, "mirror": 1})
    batch = next(ViewLoader(loader(cache, sampling="order"), {"kept": one, "turned": other}).epoch(0))
    swap = {0: 1, 1: 0, 2: 2, -1: -1}
    kept, turned = batch["kept"], batch["turned"]
    assert turned["label.side"].tolist() == [swap[label] for label in kept["label.side"].tolist()]
    assert torch.equal(turned.present["prior"], kept.present["prior"][:, [1, 0, 2]])


def test_views_need_a_name_each(cache):
    for views in ({}, {"": None}):
        with pytest.raises(RecipeError, match="views must be at least one, each with a name, but got"):
            ViewLoader(loader(cache), views)


def test_a_loader_takes_exams(cache):
    exams = torch.arange(23).numpy() // 4  # five exams of four cases and one of three
    settings = {"sampling": ExamBatches(exams, each=2), "seed": 2}
    some = Loader(cache, ALL[3:], batch_size=8, **settings)  # the first exam keeps one case
    batches = list(some.epoch(0))
    assert [len(batch) for batch in batches] == [8, 4]
    assert len(some) == 2
    shown = torch.cat([batch["index"] for batch in batches]).reshape(-1, 2)
    assert (shown >= 3).all()
    assert sorted((shown // 4)[:, 0].tolist()) == list(range(6))
    assert torch.equal(shown[:, 0] // 4, shown[:, 1] // 4)
    assert len(Loader(cache, ALL[3:], batch_size=8, drop_last=True, **settings)) == 1
    with pytest.raises(DataError, match="a batch needs 8 exams, but there are only 6"):
        Loader(cache, ALL, batch_size=16, **settings)
    with pytest.raises(DataError, match="exams must be one number a case, 23 in all, but there are 22"):
        Loader(cache, ALL, batch_size=8, sampling=ExamBatches(exams[1:]))


def test_a_frame_shown_twice_for_want_of_others_is_augmented_twice(cache):
    exams = torch.tensor([0] + [1] * 22).numpy()
    few = Loader(cache, [0, 1, 2], batch_size=4, sampling=ExamBatches(exams, each=2), augment=AugmentSpec())
    batch = next(few.epoch(0))
    twice = batch["image"][batch["index"] == 0]
    assert len(twice) == 2
    assert not torch.equal(*twice)
