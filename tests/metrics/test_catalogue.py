import numpy as np
import pytest

from sonoprior.core.errors import SonopriorError
from sonoprior.metrics import SCALARS, metric_named, metric_names, monitor_names
from sonoprior.metrics.bootstrap import Pair, Sample, resampled, resampled_difference
from sonoprior.metrics.catalogue import ASSIGNED, DECISIONS, OF_CLASSES, OF_EMBEDDINGS, class_of


def test_a_level_may_be_called_anything():
    found = metric_named("map@r.view 2.1")
    assert (found.title, found.percent, found.reads) == ("MAP@R (view 2.1)", True, "cases")
    assert not metric_named("how_wrong.view").higher_is_better


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acuracy", r"primary must be one of .* but got 'acuracy'\. Did you mean 'accuracy'\?"),
        ("recal@1.view", r"but got 'recal@1\.view'\. Did you mean 'recall@1'\?"),
        ("recall@1", "with a label level, such as recall@1.view, .* but got 'recall@1'"),
        ("f1", r"with a class, such as f1\.liver, but got 'f1'"),
        ("accuracy.view", "but got 'accuracy.view'"),
        ("inside", "but got 'inside'"),
    ],
)
def test_an_unknown_metric_is_refused(name, said):
    with pytest.raises(SonopriorError, match=said):
        metric_named(name, "primary")


def test_the_names_of_a_recipe_are_known_and_follow_its_network():
    both = metric_names("probabilities", ["view", "meta"], kinds=["finding"])
    assert all(metric_named(name).name == name for name in both)
    assert set(SCALARS) <= set(both)
    assert {"nmi.meta", "recall@10.finding", "spearman.view"} <= set(both)
    assert not {"nmi.finding", "how_wrong.meta"} & set(both)
    assert metric_names("probabilities", []) == list(SCALARS)
    assert metric_names(None, []) == []
    after_every_epoch = set(monitor_names(None, ["view"]))
    assert {*metric_names(None, ["view"])} - after_every_epoch == {
        "nmi.view",
        "how_wrong.view",
        "spearman.view",
    }
    of_several = {name for name in both if name.endswith(".finding")}
    assert of_several == {name.replace(".view", ".finding") for name in after_every_epoch}


def test_the_names_of_decisions_and_clusters_are_known():
    decided, clustered = metric_names("decisions", []), metric_names("clusters", [])
    assert all(metric_named(name).name == name for name in clustered)
    assert decided == monitor_names("decisions", [])
    assert {"weighted_f1", "macro_f1", "exact_match"} <= set(decided) < set(clustered)
    assert {"balanced_accuracy", "ece"}.isdisjoint(clustered)


def test_a_class_may_be_called_anything():
    assert metric_named("recall.left lobe 2.1").title == "recall of left lobe 2.1"
    assert class_of("f1.left lobe 2.1") == "left lobe 2.1"
    assert class_of("weighted_f1") is class_of("recall@1.view") is None


def test_the_macro_f1_of_one_class_a_case_is_that_of_its_decisions():
    rng = np.random.default_rng(1)
    labels, chances = rng.integers(0, 3, 40), rng.dirichlet(np.ones(4), 40)
    one_hot = np.eye(4, dtype=bool)
    statistic, weights = metric_named("macro_f1").statistic, rng.integers(0, 3, (5, 40)).astype(float)
    decided = one_hot[labels], one_hot[chances.argmax(1)]
    assert statistic(*decided) == pytest.approx(statistic(labels, chances))
    assert statistic.weighted(weights, *decided) == pytest.approx(
        statistic.weighted(weights, labels, chances)
    )


@pytest.mark.parametrize(
    "name",
    [*SCALARS, *DECISIONS, *ASSIGNED, *(f"{measure}.view" for measure in (*OF_CLASSES, *OF_EMBEDDINGS))],
)
def test_a_case_of_weight_two_counts_as_two(name):
    metric = metric_named(name)
    rng = np.random.default_rng(0)
    arrays = {
        "probabilities": (rng.integers(0, 3, 20), rng.dirichlet(np.ones(3), 20)),
        "decisions": (rng.random((20, 3)) < 0.4, rng.random((20, 3)) < 0.4),
        "assigned": (rng.integers(0, 3, 20), rng.integers(0, 4, 20)),
        "clusters": (rng.integers(0, 3, 20), rng.integers(0, 4, 20)),
        "cases": (np.where(rng.random(20) < 0.2, np.nan, rng.random(20)),),
    }[metric.reads]
    twice = np.repeat(np.arange(20), 1 + (np.arange(20) % 2))
    weights = np.bincount(twice, minlength=20)[None].astype(float)
    assert metric.statistic.weighted(weights, *arrays)[0] == pytest.approx(
        metric.statistic(*(array[twice] for array in arrays))
    )


@pytest.mark.parametrize("name", ["ece", "nmi.view", *ASSIGNED])
def test_a_measure_that_rises_with_repeats_is_drawn_around_itself_and_so_are_its_differences(name):
    rng, size = np.random.default_rng(3), 150
    labels = rng.integers(0, 6, size)
    chances = rng.dirichlet(np.ones(6), size)
    one, other = (
        (chances, np.eye(6)[labels] * 0.5 + chances / 2)
        if name == "ece"
        else (rng.integers(0, 6, size), np.where(rng.random(size) < 0.7, labels, rng.integers(0, 6, size)))
    )
    statistic, groups = metric_named(name).statistic, np.arange(size).astype(str)
    alone = resampled(statistic, [Sample(groups, (labels, one))], 400)
    assert alone.drawn.mean() == pytest.approx(alone.value)
    apart = resampled_difference(statistic, [Pair(groups, (labels,), other, one)], 400)
    assert apart.value == pytest.approx(statistic(labels, other) - statistic(labels, one))
    assert apart.drawn.mean() == pytest.approx(apart.value)
