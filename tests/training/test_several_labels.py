"""Runs that decide on each class by itself, of several labels a case or by clusters, from cases to use."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import (
    adjusted_rand_score,
    f1_score,
    normalized_mutual_info_score,
    precision_recall_fscore_support,
)

import sonoprior
from sonoprior.bundle.decider import Decider
from sonoprior.cases import CaseSet
from sonoprior.cases.combinations import members_named
from sonoprior.core.errors import DataError, FolderError, RecipeError
from sonoprior.metrics.thresholds import best_thresholds
from sonoprior.training.machine import choose_device
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import Computing, plan_run, train_run
from sonoprior.training.task import task_of
from tiny_several import CLUSTERS, SEVERAL, SHAPES, write_shapes

CPU = Computing(choose_device("cpu"))


def recipe_of(content, folder, *changes):
    path = folder / f"{content['name']}.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_recipe(path, changes=changes)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return CaseSet.open(write_shapes(tmp_path_factory.mktemp("shapes") / "set", hidden=2))


@pytest.fixture(scope="module")
def runs(shapes, tmp_path_factory):
    """A finished run of each of the two recipes."""
    folder = tmp_path_factory.mktemp("several")
    found = {}
    for content in (SEVERAL, CLUSTERS):
        plan = plan_run(recipe_of(content, folder), shapes, "plain")
        run = train_run(plan, folder / content["name"], CPU)
        found[content["name"]] = SimpleNamespace(run=run, plan=plan, use=sonoprior.load(run, device="cpu"))
    return found


@pytest.fixture(params=[SEVERAL["name"], CLUSTERS["name"]])
def one(request, runs):
    return runs[request.param]


def predictions(run, part):
    table = pd.read_csv(run / "predictions.csv", keep_default_na=False)
    return table[table["part"] == part]


def bools(names):
    """A slow reading of the names of combinations."""
    return np.array([[shape in name.split(" + ") for shape in SHAPES] for name in names])


def test_metrics_are_those_of_what_stands_in_the_predictions(one):
    metrics = json.loads((one.run / "metrics.json").read_text())
    for part in ("validation", "test"):
        table, found = predictions(one.run, part), metrics[part]
        labels, predicted = bools(table["label"]), bools(table["predicted"])
        for average in ("weighted", "macro"):
            wanted = f1_score(labels, predicted, average=average, zero_division=np.nan)
            assert found[f"{average}_f1"]["value"] == pytest.approx(wanted)
        by_class = precision_recall_fscore_support(labels, predicted, zero_division=np.nan)
        for name, values in zip(("precision", "recall", "f1"), by_class[:3], strict=True):
            for shape, value in zip(SHAPES, values, strict=True):
                stands = found[f"{name}.{shape}"]["value"]
                assert (stands is None) == np.isnan(value)
                assert stands is None or stands == pytest.approx(value)
        assert found["exact_match"]["value"] == pytest.approx((labels == predicted).all(1).mean())
        low, high = found["weighted_f1"]["low"], found["weighted_f1"]["high"]
        assert low <= found["weighted_f1"]["value"] <= high


def test_thresholds_are_those_of_the_validation_part(one):
    thresholds = json.loads((one.run / "decisions.json").read_text())["thresholds"]
    limits = np.array([np.inf if thresholds[name] is None else thresholds[name] for name in SHAPES])
    columns = [f"p.{name}" for name in SHAPES]
    table = predictions(one.run, "validation")
    best = best_thresholds(bools(table["label"]), table[columns].to_numpy())
    assert np.array_equal(table[columns].to_numpy() >= best, table[columns].to_numpy() >= limits)
    for part in ("validation", "test"):
        table = predictions(one.run, part)
        assert np.array_equal(table[columns].to_numpy() >= limits, bools(table["predicted"]))


def test_it_learns_what_is_easy(runs):
    metrics = json.loads((runs["tiny-several"].run / "metrics.json").read_text())
    assert metrics["test"]["weighted_f1"]["value"] > 0.6


def test_a_cluster_has_the_labels_of_its_validation_cases(runs):
    run = runs["tiny-clusters"].run
    stands = json.loads((run / "decisions.json").read_text())["clusters"]
    table = predictions(run, "validation")
    labels, clusters = bools(table["label"]), table["cluster"].to_numpy()
    for number, row in enumerate(stands):
        own = labels[clusters == number]
        wanted = own.mean(0) if len(own) else labels.mean(0)
        assert [row[name] for name in SHAPES] == pytest.approx(wanted)
    metrics = json.loads((run / "metrics.json").read_text())["validation"]
    assert metrics["clusters_used"]["value"] == len(set(clusters))
    names = table["label"].to_numpy()
    assert metrics["cluster_nmi"]["value"] == pytest.approx(normalized_mutual_info_score(names, clusters))
    assert metrics["cluster_ari"]["value"] == pytest.approx(adjusted_rand_score(names, clusters))
    counted = pd.crosstab(clusters, names).max(axis=1).sum() / len(names)
    assert metrics["cluster_purity"]["value"] == pytest.approx(counted)


def test_the_log_measures_the_validation_part_as_the_evaluation_does(one):
    """The weights that are kept are those of the best epoch, so its row is what was measured in the end."""
    log = pd.read_csv(one.run / "log.csv")
    best = log.loc[log["val.weighted_f1"].idxmax()]
    metrics = json.loads((one.run / "metrics.json").read_text())["validation"]
    for name, found in metrics.items():
        if found["value"] is not None:
            assert best[f"val.{name}"] == pytest.approx(found["value"]), name


def test_a_run_in_use_says_what_the_evaluation_said(one, shapes):
    table = predictions(one.run, "test")
    at = [shapes.ids.index(case) for case in table["case"]]
    found = one.use.predict([shapes.read_image(i) for i in at], batch_size=5)
    assert [each.label for each in found] == table["predicted"].tolist()
    assert np.allclose([each.confidence for each in found], table["confidence"], atol=1e-6)
    given = [list(each.probabilities.values()) for each in found]
    assert np.allclose(given, table[[f"p.{name}" for name in SHAPES]], atol=1e-6)
    if "cluster" in table:
        assert [each.cluster for each in found] == table["cluster"].tolist()
    assert list(one.use.classes) == SHAPES


def test_another_evaluation_of_the_same_cases_finds_the_same(one, shapes):
    metrics = json.loads((one.run / "metrics.json").read_text())
    again = one.use.evaluate(shapes, one.use.parts_of(shapes)).metrics
    for part in ("validation", "test"):
        for name, found in metrics[part].items():
            assert again[part][name]["value"] == pytest.approx(found["value"]), name


def test_another_set_may_show_other_combinations_but_no_other_classes(runs, tmp_path):
    run = runs["tiny-several"].use
    whole = CaseSet.open(write_shapes(tmp_path / "other", cases=6, seed=1))
    other = CaseSet(whole.root, whole.info, whole.table.iloc[:3])
    assert other.classes() == ["disc", "disc + bar", "bar"]
    assert run.evaluate(other).metrics["all"]["weighted_f1"]["value"] > 0.5
    info = other.info.model_copy(update={"levels": {"shapes": [*SHAPES, "ring"]}})
    with pytest.raises(DataError, match=r"must have the classes of .*, disc, bar, frame, but has"):
        run.evaluate(CaseSet(other.root, info, other.table))


def test_it_shows_where_it_looked(one, shapes):
    (found,) = one.use.attribution([shapes.read_image(0)])
    assert found.prediction == one.use.predict([shapes.read_image(0)])[0]


def test_a_damaged_file_of_decisions_is_refused(one, tmp_path):
    (tmp_path / "decisions.json").write_text('{"thresholds": {"disc": 0.5}}')
    with pytest.raises(FolderError, match=r"decisions\.json must hold a threshold of each class"):
        Decider.read(tmp_path, SHAPES)


def test_a_decider_comes_back_as_it_was_written(tmp_path):
    shares = np.array([[0.25, 1, 0], [0.5, 0, 1]])
    for clusters in (None, shares):
        Decider(SHAPES, np.array([0.25, 0.5, np.inf]), clusters).write(tmp_path)
        found = Decider.read(tmp_path, SHAPES)
        assert found.thresholds.tolist() == [0.25, 0.5, np.inf]
        assert (found.clusters is None) == (clusters is None)
        assert found.scores(shares, np.array([0, 1])).tolist() == shares.tolist()


def test_what_it_is_sure_of_is_the_least_certain_of_its_classes():
    decider = Decider(SHAPES, np.array([0.5, 0.5, 0.5]))
    scores = np.array([[0.9, 0.6, 0.1], [0.4, 0.1, 0.2], [0.1, 0.2, 0.7]])
    assert decider.names(scores) == ["disc + bar", "none", "frame"]
    assert decider.confidence(scores) == pytest.approx([0.6, 0.6, 0.7])


def test_names_of_combinations_are_read_back():
    names = ["bar", "none", "disc + frame"]
    assert members_named(names, SHAPES).tolist() == bools(names).tolist()
    assert members_named([], SHAPES).shape == (0, 3)
    with pytest.raises(DataError, match="a class must be one of disc, bar, frame, but got 'ring'"):
        members_named(["disc + ring"], SHAPES)


def test_a_run_goes_on_where_it_was_left(one, tmp_path):
    """Nothing of what a run says of itself changes between two looks."""
    assert train_run(one.plan, one.run, CPU, resume=True) == one.run


def test_the_logits_are_of_single_classes_and_of_the_combinations_that_are_trained_with(shapes, tmp_path):
    recipe = recipe_of(SEVERAL, tmp_path, "model.combinations={least: 2}")
    train = np.flatnonzero(shapes.column("split") == "train")
    counts = np.bincount(shapes.labels()[train][shapes.labels()[train] >= 0], minlength=5)
    task = task_of(recipe, shapes, {"train": train})
    assert task.heads.classes == 3
    assert task.heads.several
    assert task.combinations.tolist() == [at for at in range(5) if counts[at] >= 2]
    assert task.heads.combinations == len(task.combinations)
    assert task.members.tolist() == shapes.members().tolist()
    fewer = recipe_of(SEVERAL, tmp_path, "model.combinations={least: 1000}")
    with pytest.raises(DataError, match=r"model\.combinations needs at least 2 label combinations with 1000"):
        task_of(fewer, shapes, {"train": train})


def test_as_many_clusters_as_combinations_in_the_training_part(shapes, tmp_path):
    recipe = recipe_of(CLUSTERS, tmp_path)
    labels = shapes.labels()
    known = np.flatnonzero(labels >= 0)
    unlabelled = np.flatnonzero(labels < 0)
    two = known[np.isin(labels[known], [0, 1])]
    every = {"train": known, "validation": two}
    assert task_of(recipe, shapes, every).heads.clusters == 5
    assert task_of(recipe, shapes, {**every, "train": two}).heads.clusters == 2
    without = {"train": np.empty(0, np.int64), "unlabelled": unlabelled, "validation": two}
    assert task_of(recipe, shapes, without).heads.clusters == 2
    assert task_of(recipe, shapes, every).heads.classes == 0


@pytest.mark.parametrize("count", [1000, "combinations"])
def test_more_clusters_than_images_are_refused(shapes, tmp_path, count):
    recipe = recipe_of(CLUSTERS, tmp_path, f"model.clusters.count={count}")
    parts = {"train": np.arange(2), "unlabelled": np.arange(2, 3), "validation": np.arange(6)}
    if count == "combinations":
        parts["train"] = np.empty(0, np.int64)
    images = len(parts["train"]) + 1
    with pytest.raises(DataError, match=rf"model\.clusters must be between 2 and {images}, the number of"):
        task_of(recipe, shapes, parts)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "ece", "recall@1.shapes"])
@pytest.mark.parametrize("content", [SEVERAL, CLUSTERS], ids=["several", "clusters"])
def test_metrics_that_are_not_measured_are_refused(content, metric, tmp_path):
    with pytest.raises(RecipeError, match=rf"study\.primary must be one of weighted_f1.*'{metric}'"):
        recipe_of(content, tmp_path, f"study.primary={metric}")
    if not content["data"].get("several"):
        assert recipe_of(content, tmp_path, "study.primary=cluster_nmi")


def test_a_metric_of_a_class_needs_that_class(shapes, tmp_path):
    assert task_of(recipe_of(SEVERAL, tmp_path, "training.monitor=f1.bar"), shapes)
    with pytest.raises(RecipeError, match=r"metric f1\.ring: a class of the level 'shapes' must be one of"):
        task_of(recipe_of(SEVERAL, tmp_path, "training.monitor=f1.ring"), shapes)
    with pytest.raises(RecipeError, match=r"metric f1\.ring: a class of the level 'shapes' must be one of"):
        task_of(recipe_of(SEVERAL, tmp_path, "study.secondary=[f1.ring]"), shapes)


def test_a_metric_of_decisions_is_not_for_a_classifier(tmp_path):
    with pytest.raises(RecipeError, match=r"training\.monitor must be one of balanced_accuracy"):
        recipe_of(SEVERAL, tmp_path, "data.several=false", "study.primary=accuracy")


def test_several_labels_may_be_learnt_by_combinations(shapes, tmp_path):
    changes = ("data.several=false", "training.monitor=accuracy", "study.primary=accuracy")
    content = SEVERAL | {"objectives": {"labels": {"type": "cross_entropy"}}}
    recipe = recipe_of(content, tmp_path, *changes)
    run = train_run(plan_run(recipe, shapes, "plain"), tmp_path / "run", CPU)
    use = sonoprior.load(run, device="cpu")
    assert list(use.classes) == shapes.classes() == ["none", "disc", "disc + bar", "bar", "frame"]
    assert not (run / "decisions.json").exists()
    assert use.predict([shapes.read_image(0)])[0].label in use.classes


def test_a_class_without_a_labelled_training_case_is_refused(tmp_path):
    folder = write_shapes(tmp_path / "set", cases=36)
    case_set = CaseSet.open(folder)
    table = case_set.table.copy()
    lost = (table["split"] == "train") & table["label.shapes"].isin(["frame"])
    table.loc[lost, "label.shapes"] = "bar"
    with pytest.raises(DataError, match="must hold every class that is measured, but validation holds frame"):
        plan_run(recipe_of(SEVERAL, tmp_path), CaseSet(folder, case_set.info, table), "plain")


def test_one_class_a_case_may_be_clustered_too(tmp_path):
    from tiny import write_blobs

    content = CLUSTERS | {
        "data": {"level": "tone", "size": 32},
        "split": {"protocol": "single_split", "validation": 0.25, "test": 0.25},
    }
    case_set = CaseSet.open(write_blobs(tmp_path / "set"))
    changes = ("streams.unlabelled.batch_size=8", "training.epochs=2")
    plan = plan_run(recipe_of(content, tmp_path, *changes), case_set, "plain")
    run = train_run(plan, tmp_path / "run", CPU)
    labels = predictions(run, "test")["label"]
    assert set(labels) <= {"dark", "bright"}
    assert len(json.loads((run / "decisions.json").read_text())["clusters"]) == 2


def test_a_class_that_could_be_read_as_several_is_refused(shapes, tmp_path):
    info = shapes.info.model_copy(update={"several": [], "levels": {"shapes": ["a", "a + b", *SHAPES]}})
    with pytest.raises(
        DataError, match="where several may be predicted at once, but one is called 'a \\+ b'"
    ):
        task_of(
            recipe_of(CLUSTERS, tmp_path),
            CaseSet(shapes.root, info, shapes.table.assign(**{"label.shapes": "disc"})),
        )


def test_validation_without_a_case_of_a_class_never_predicts_it():
    labels = np.array([[True, False], [False, False]])
    decider = Decider.of_probabilities(["a", "b"], labels, np.array([[0.9, 0.9], [0.1, 0.8]]))
    assert decider.names(np.array([[0.95, 1.0]])) == ["a"]


def test_probabilities_are_each_of_their_own():
    from sonoprior.models.heads import Heads
    from sonoprior.training.evaluation import probabilities_of

    outputs = torch.tensor([[0.0, 2.0, -3.0, 9.0]])
    found = probabilities_of(Heads(3, several=True, clusters=1), outputs)
    assert found[0].tolist() == pytest.approx([1 / (1 + np.exp(-x)) for x in (0, 2, -3)])
    assert float(probabilities_of(Heads(3), outputs).sum()) == pytest.approx(1)
