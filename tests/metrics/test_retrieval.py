"""Retrieval measures, against slow loops and pytorch-metric-learning, and in the bootstrap."""

import numpy as np
import pytest

from sonoprior.core.errors import DataError, SonopriorError
from sonoprior.metrics import Mean, Pair, interval, paired_difference
from sonoprior.metrics.neighbours import DISTANCES, Embedded, nearest
from sonoprior.metrics.retrieval import RECALLS, how_wrong, retrieval

LINE = np.array([[0.0], [1.0], [3.0], [7.0], [8.0]])


def scattered(seed=0, size=70, classes=9, groups=20):
    """Embeddings around their classes, the classes at two levels, and groups."""
    rng = np.random.default_rng(seed)
    leaf = rng.integers(0, classes, size)
    embeddings = rng.normal(size=(classes, 6))[leaf] + rng.normal(size=(size, 6))
    return embeddings, {"leaf": leaf, "meta": leaf // 3}, rng.integers(0, groups, size)


def slow(hits, k):
    """(recall@k, R-precision, MAP@R) of one query, whose neighbours are right or not, in order."""
    answers = sum(hits)
    if answers == 0:
        return (np.nan,) * 3
    right, precisions = 0, 0.0
    for place, hit in enumerate(hits[:answers], start=1):
        if hit:
            right += 1
            precisions += right / place
    return float(any(hits[:k])), right / answers, precisions / answers


@pytest.mark.parametrize("distance", DISTANCES)
def test_measures_agree_with_a_slow_loop(distance):
    embeddings, labels, groups = scattered()
    cases = Embedded(embeddings, groups)
    found = retrieval(cases, labels, distance=distance)
    ranked = nearest(cases, k=len(groups), distance=distance).index
    for level, classes in labels.items():
        for k in RECALLS:
            expected = [slow(classes[row[row >= 0]] == classes[i], k) for i, row in enumerate(ranked)]
            values = found.values[level]
            measures = np.stack([values[f"recall@{k}"], values["r_precision"], values["map@r"]], axis=1)
            assert measures == pytest.approx(np.array(expected), nan_ok=True)
    assert np.array_equal(found.first, ranked[:, 0])


@pytest.mark.parametrize("with_gallery", [False, True])
def test_measures_are_those_of_pytorch_metric_learning(with_gallery):
    torch = pytest.importorskip("torch")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    embeddings, labels, _ = scattered(1)
    more, more_labels, _ = scattered(2, 50, 7)
    gallery = (more, more_labels["leaf"]) if with_gallery else None
    calculator = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"),
        knn_func=CustomKNN(distances.CosineSimilarity()),
        kmeans_func=lambda *_: None,
        device=torch.device("cpu"),
    )
    given = [torch.as_tensor(array) for array in (embeddings, labels["leaf"], *(gallery or ()))]
    theirs = calculator.get_accuracy(*given)
    ours = retrieval(
        Embedded(embeddings),
        {"leaf": labels["leaf"]},
        Embedded(more) if gallery else None,
        {"leaf": gallery[1]} if gallery else None,
    ).means()["leaf"]
    assert ours["recall@1"] == pytest.approx(theirs["precision_at_1"])
    assert ours["r_precision"] == pytest.approx(theirs["r_precision"])
    assert ours["map@r"] == pytest.approx(theirs["mean_average_precision_at_r"])


def test_small_values_by_hand():
    """From 0 one sees b, a, a, b: R is 2, and of the two nearest the second is right."""
    found = retrieval(Embedded(LINE), {"view": list("abaab")}, ks=(1, 2, 4), distance="euclidean")
    values = {name: value[0] for name, value in found.values["view"].items()}
    assert values == {"recall@1": 0, "recall@2": 1, "recall@4": 1, "r_precision": 0.5, "map@r": 0.25}
    assert found.first.tolist() == [1, 0, 1, 4, 3]


def test_recall_at_a_higher_level_is_never_below():
    embeddings, labels, groups = scattered(3)
    found = retrieval(Embedded(embeddings, groups), labels)
    leaf, meta = (
        np.stack([found.values[level][f"recall@{k}"] for k in RECALLS]) for level in ("leaf", "meta")
    )
    assert (np.nan_to_num(leaf) <= np.nan_to_num(meta)).all()
    assert (np.diff(leaf[:, ~np.isnan(leaf[0])], axis=0) >= 0).all()


def test_the_only_case_of_a_class_is_left_out_and_counted():
    found = retrieval(Embedded(LINE), {"view": list("abbbb")}, distance="euclidean")
    assert np.isnan(found.values["view"]["recall@1"]).tolist() == [True] + [False] * 4
    assert found.unanswerable() == {"view": 1}
    assert found.means()["view"]["recall@1"] == pytest.approx(3 / 4)


def test_a_class_of_one_exam_cannot_be_found_outside_it():
    found = retrieval(Embedded(LINE, list("xxyyz")), {"view": list("aabbb")}, distance="euclidean")
    assert found.unanswerable() == {"view": 2}
    assert found.values["view"]["recall@1"][2:].tolist() == [0, 1, 1]


def test_with_one_class_everything_is_right():
    found = retrieval(Embedded(LINE), {"view": ["a"] * 5}, distance="euclidean")
    assert set(found.means()["view"].values()) == {1}


def test_a_single_case_has_nothing_to_find():
    found = retrieval(Embedded([[1.0]]), {"view": ["a"]})
    assert found.first.tolist() == [-1]
    assert np.isnan(list(found.means()["view"].values())).all()


def test_cases_of_several_classes_match_where_they_share_one():
    findings = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]], dtype=bool)
    found = retrieval(Embedded(LINE), {"finding": findings}, ks=(1,), distance="euclidean")
    assert found.values["finding"]["recall@1"] == pytest.approx([1, 1, 1, 0, np.nan], nan_ok=True)
    classes = np.array([0, 1, 0, 0, 1])
    several = retrieval(Embedded(LINE), {"view": np.eye(2, dtype=bool)[classes]}, distance="euclidean")
    assert several.means() == retrieval(Embedded(LINE), {"view": classes}, distance="euclidean").means()


DISTANCES_OF_THREE = np.array([[0, 0.2, 0.9], [0.2, 0, 0.5], [0.9, 0.5, 0]])


def test_how_wrong_the_wrong_ones_are():
    labels = np.array([0, 1, 2, 0, 0, 2])
    line = np.array([[0.0], [1.0], [1.4], [7.0], [8.0], [99.0]])
    found = retrieval(Embedded(line), {"view": labels}, distance="euclidean")
    assert found.first.tolist() == [1, 2, 1, 4, 3, 4]
    wrong = how_wrong(found, "view", labels, DISTANCES_OF_THREE)
    # The second query is the only case of its class: it cannot be right, and counts in no measure.
    assert wrong == pytest.approx([0.2, np.nan, 0.5, np.nan, np.nan, 0.9], nan_ok=True)
    assert Mean()(wrong) == pytest.approx((0.2 + 0.5 + 0.9) / 3)
    assert np.isnan(found.values["view"]["recall@1"][1])


def test_a_nearest_case_of_unknown_class_is_not_wrong_by_anything():
    queries, gallery = Embedded([[0.0], [5.0], [9.0]]), Embedded([[0.1], [5.1], [9.1], [20.0]])
    asked, given = np.array([0, 1, 1]), np.array([2, -1, 1, 0])
    labels = {"view": np.array([0, 1, 1])}, {"view": np.array([2, 99, 1, 0])}
    found = retrieval(queries, labels[0], gallery, labels[1], distance="euclidean")
    wrong = how_wrong(found, "view", asked, DISTANCES_OF_THREE, given)
    assert wrong == pytest.approx([0.9, np.nan, np.nan], nan_ok=True)


def test_two_runs_are_compared_query_by_query():
    embeddings, labels, groups = scattered(4)
    worse = embeddings + np.random.default_rng(5).normal(size=embeddings.shape) * 3
    there, here = (
        retrieval(Embedded(given, groups), labels).values["leaf"]["recall@1"] for given in (worse, embeddings)
    )
    found = paired_difference(Mean(), [Pair(groups, (), here, there)], samples=300)
    both = ~np.isnan(here)
    assert found.value == pytest.approx((here - there)[both].mean())
    assert found.low < found.value < found.high
    assert interval(Mean(), groups, here, samples=100).value == pytest.approx(np.nanmean(here))


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ({}, "at the same levels, at least one, but got none and none"),
        (
            {"view": list("abca")},
            r"level 'view' must have shape \(5,\), or be bool of shape \(5, classes\), but",
        ),
        ({"view": np.ones((5, 2))}, r"but got float64 of shape \(5, 2\)"),
        ({"view": ["a", None, "b", None, "c"]}, r"must be known, but 2 of 5 are not \(first: case 1\)"),
        ({"view": [0, 1, -1, 2, 0]}, r"must be known, but 1 of 5 are not \(first: case 2\)"),
        ({"view": [0, 1, np.nan, 2, 0]}, r"must be known, but 1 of 5 are not \(first: case 2\)"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(labels, text):
    with pytest.raises(DataError, match=text):
        retrieval(Embedded(LINE), labels)


def test_what_does_not_fit_is_refused():
    cases = Embedded(LINE)
    with pytest.raises(DataError, match="at the same levels, at least one, but got view and none"):
        retrieval(cases, {"view": list("abcab")}, cases)
    with pytest.raises(
        DataError, match=r"of the same kind in queries and gallery, but got shapes \(5,\) and"
    ):
        retrieval(cases, {"view": list("abcab")}, cases, {"view": np.ones((5, 2), dtype=bool)})
    with pytest.raises(SonopriorError, match="k of recall@k must be at least 1, but got 0"):
        retrieval(cases, {"view": list("abcab")}, ks=(0,))
    with pytest.raises(DataError, match="finite numbers, but 1 of 5 cases have a NaN"):
        retrieval(Embedded(np.where(LINE == 3, np.nan, LINE)), {"view": list("abcab")})
    found = retrieval(Embedded(LINE), {"view": [0, 1, 0, 1, 0]}, distance="euclidean")
    with pytest.raises(DataError, match=r"distances of K classes must have shape \(K, K\), but got \(2, 3\)"):
        how_wrong(found, "view", [0, 1, 0, 1, 0], np.ones((2, 3)))
    with pytest.raises(DataError, match="numbers of 2 classes, from 0 to 1, but got 2"):
        how_wrong(found, "view", [0, 1, 2, 1, 0], np.eye(2))
    with pytest.raises(DataError, match="numbers of 2 classes, from -1 to 1, but got -2"):
        how_wrong(found, "view", [0, 1, 0, 1, 0], np.eye(2), [0, 1, 0, -2, 0])
    with pytest.raises(DataError, match="a label for each of 5 queries, but got 2"):
        how_wrong(found, "view", [0, 1], np.eye(2))
