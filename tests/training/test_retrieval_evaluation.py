import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import normalized_mutual_info_score

from sonoprior.metrics import metric_names
from sonoprior.training.hierarchy_settings import RetrievalSettings
from sonoprior.training.retrieval_evaluation import (
    Known,
    Part,
    measured_names,
    retrieval_metrics,
    retrieval_scalars,
    retrieval_table,
)

LEFT_OUT, KEPT = RetrievalSettings(), RetrievalSettings(own_group="kept")
TRAIN = RetrievalSettings(gallery="train")


def known(cases=60, seed=0, **more):
    """Six views of three metas, two cases a group; some have no known disorder, some no finding."""
    rng = np.random.default_rng(seed)
    view = rng.integers(0, 6, cases)
    meta = view // 2
    disorder = rng.integers(-1, 3, cases)
    return Known(
        ids=np.array([f"c{at}" for at in range(cases)]),
        groups=np.array([f"g{at // 2}" for at in range(cases)]),
        labels={"view": view, "meta": meta, "disorder": disorder},
        classes={"view": list("abcdef"), "meta": list("uvw"), "disorder": ["x", "y", "z"]},
        kinds={"finding": rng.random((cases, 4)) < 0.2},
        distances=np.abs(np.subtract.outer(np.arange(6), np.arange(6))) / 5,
        sets=lambda one, two: np.where((one % 7 == 0)[:, None], np.nan, np.cos(np.add.outer(one, 3 * two))),
        **more,
    )


def part(positions, seed=1):
    points = np.random.default_rng(seed).normal(size=(1000, 5))[positions]
    return Part((points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), positions)


def slow(of, here, there, left_out):
    """(recall@2, MAP@R) by level, nearest, how wrong and Spearman of each case, one by one."""
    for one, at in enumerate(here.positions):
        others = [
            (float(here.embeddings[one] @ there.embeddings[other]), int(place))
            for other, place in enumerate(there.positions)
            if place != at and not (left_out and of.groups[place] == of.groups[at])
        ]
        order = [place for _, place in sorted(others, reverse=True)]
        by_level = {}
        for level in ("view", "meta", "disorder", "finding"):
            if level == "finding":
                match = [bool((of.kinds[level][at] & of.kinds[level][place]).any()) for place in order]
            else:
                labels = of.labels[level]
                match = [labels[at] >= 0 and labels[place] == labels[at] for place in order]
            count = sum(match)
            ranked = [sum(match[: k + 1]) / (k + 1) * match[k] for k in range(count)]
            by_level[level] = (float(any(match[:2])), sum(ranked) / count) if count else (np.nan, np.nan)
        first = order[0]
        view = of.labels["view"]
        wrong = np.nan if view[first] == view[at] else abs(view[first] - view[at]) / 5
        terms = of.sets(np.array([at]), np.array([place for _, place in others]))[0]
        rho = np.nan if np.isnan(terms).all() else spearmanr([near for near, _ in others], terms).statistic
        yield by_level, of.ids[first], wrong, rho


@pytest.mark.parametrize("settings", [LEFT_OUT, KEPT, TRAIN], ids=["left out", "kept", "train"])
def test_each_row_agrees_with_looking_case_by_case(settings):
    of, test, train = known(), part(np.arange(3, 40, 1)), part(np.arange(40, 60))
    table = retrieval_table({"test": test}, of, settings, train)
    gallery = train if settings is TRAIN else test
    for row, (by_level, nearest, wrong, rho) in zip(
        table.to_dict("records"), slow(of, test, gallery, settings is not KEPT), strict=True
    ):
        assert row["nearest"] == nearest
        for level, (recall, map_at_r) in by_level.items():
            found = [row[f"recall@2.{level}"], row[f"map@r.{level}"]]
            assert found == pytest.approx([recall, map_at_r], nan_ok=True)
        assert [row["how_wrong.view"], row["spearman.view"]] == pytest.approx([wrong, rho], nan_ok=True)


@pytest.mark.parametrize("settings", [LEFT_OUT, TRAIN], ids=["part", "train"])
def test_what_could_not_be_answered_is_not_wrong_by_anything(settings):
    of, test, train = known(), part(np.arange(3, 40)), part(np.arange(40, 60))
    of.labels["view"][:] = of.labels["view"] % 5
    of.labels["view"][10] = 5  # the only case of its class
    of.labels["view"][45:50] = -1  # a training part keeps cases without a label
    table = retrieval_table({"test": test}, of, settings, train).set_index("case")
    recall, wrong = table["recall@1.view"], table["how_wrong.view"]
    assert np.isnan(recall["c10"])
    unknown = table["nearest"].isin([f"c{at}" for at in range(45, 50)])
    assert unknown.any() == (settings is TRAIN)
    assert (wrong.isna() == (recall.isna() | (recall == 1) | unknown)).all()


def test_a_training_case_does_not_find_itself_among_the_training_cases():
    train = part(np.arange(40, 60))
    settings = RetrievalSettings(gallery="train", own_group="kept")
    table = retrieval_table({"train": train}, known(), settings, train)
    assert (table["nearest"] != table["case"]).all()
    alone = retrieval_table({"train": train}, known(), KEPT)
    assert table["nearest"].tolist() == alone["nearest"].tolist()


def test_the_table_has_the_columns_of_the_metrics_of_a_recipe():
    of = known()
    table = retrieval_table(
        {"validation": part(np.arange(20)), "test": part(np.arange(20, 60))}, of, LEFT_OUT
    )
    assert list(table.columns[:8]) == [
        *("case", "part", "group", "label.view", "label.meta", "label.disorder", "nearest", "cluster.view")
    ]
    assert set(measured_names(table.columns)) == set(metric_names(False, list(of.labels), ["finding"]))
    assert (table["label.disorder"] == "").sum() == (of.labels["disorder"] < 0).sum()
    assert ((table["cluster.disorder"] == "") == (table["label.disorder"] == "")).all()
    assert table.loc[table["part"] == "test", "cluster.meta"].nunique() == 3


def test_without_an_ontology_or_terms_there_is_no_column_for_them():
    of = known()
    bare = Known(of.ids, of.groups, {"view": of.labels["view"]}, {"view": list("abcdef")})
    table = retrieval_table({"test": part(np.arange(60))}, bare, LEFT_OUT)
    assert set(measured_names(table.columns)) == set(metric_names(False, ["view"])) - {
        *("how_wrong.view", "spearman.view")
    }


def test_metrics_are_the_means_with_intervals_over_groups():
    table = retrieval_table({"test": part(np.arange(60))}, known(), LEFT_OUT)
    found = retrieval_metrics(table)["test"]
    of_view = found["recall@1.view"]
    assert of_view["value"] == pytest.approx(table["recall@1.view"].mean())
    assert of_view["low"] < of_view["value"] < of_view["high"]
    told = table[table["label.disorder"] != ""]
    slow = normalized_mutual_info_score(told["label.disorder"], told["cluster.disorder"])
    assert found["nmi.disorder"]["value"] == pytest.approx(slow)


def test_what_cannot_be_measured_is_none_and_a_single_case_finds_nothing():
    of = known()
    of.labels["disorder"][:] = -1
    table = retrieval_table({"test": part(np.array([5]))}, of, LEFT_OUT)
    assert table["nearest"].tolist() == [""]
    found = retrieval_metrics(table)["test"]
    assert {of["value"] for of in found.values()} == {None}
    assert found.keys() == set(metric_names(False, list(of.labels), ["finding"]))


def test_the_scalars_after_an_epoch_are_those_of_the_table():
    of, test = known(), part(np.arange(60))
    scalars = retrieval_scalars(test.embeddings, of.of(test.positions), of.groups, LEFT_OUT)
    table = retrieval_table({"test": test}, of, LEFT_OUT)
    assert scalars == pytest.approx({name: table[name].mean() for name in scalars})
    assert "map@r.finding" in scalars


def test_a_table_reads_back_as_it_was_written(tmp_path):
    table = retrieval_table({"test": part(np.arange(60))}, known(), LEFT_OUT)
    table.to_csv(tmp_path / "retrieval.csv", index=False)
    read = pd.read_csv(tmp_path / "retrieval.csv", dtype={"cluster.disorder": str}, keep_default_na=False)
    assert read["cluster.disorder"].tolist() == table["cluster.disorder"].tolist()
