"""A run that embeds: what it writes, what it can be asked, and every objective on embeddings in a run."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from sonoprior.cases import CaseSet
from sonoprior.cases.loading.cache import Cache
from sonoprior.core.errors import DataError, RecipeError
from sonoprior.training import load
from sonoprior.training.assemble import assemble, preflight
from sonoprior.training.loop import train_epoch
from sonoprior.training.machine import choose_device
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import Computing, asked_of, plan_run, train_run
from sonoprior.training.task import task_of
from tiny import EMBEDDING, VIEWS, write_views

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return CaseSet.open(write_views(tmp_path_factory.mktemp("views") / "set"))


@pytest.fixture(scope="module")
def embedded(views, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    (folder / "r.yaml").write_text(yaml.safe_dump(EMBEDDING))
    recipe = load_recipe(folder / "r.yaml")
    plan = plan_run(recipe, views, "guided")
    run = train_run(plan, folder / "run", Computing(choose_device("cpu")))
    return SimpleNamespace(run=run, plan=plan)


def changed(**changes) -> Recipe:
    """The tiny recipe with dotted keys changed."""
    content = json.loads(json.dumps(EMBEDDING))
    content["study"]["variants"] = {"plain": {}}
    for key, value in changes.items():
        *path, last = key.split("__")
        place = content
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return Recipe.model_validate(content)


def step(recipe, views, tmp_path, train=None):
    """The log of one epoch, and the parameters that it left without a gradient."""
    cache = Cache.build(views, tmp_path, size=32, priors=None)
    cases = np.arange(len(views))
    parts = {"train": cases[:40] if train is None else train, "validation": cases[40:]}
    training, _ = assemble(recipe, cache, parts, 0, CPU)
    row = train_epoch(training, 0)
    named = training.experiment.named_parameters()
    return row, [name for name, each in named if each.requires_grad and each.grad is None]


# What a run writes


def test_a_run_keeps_embeddings_and_what_each_case_finds(embedded, views):
    plan, table = embedded.plan, pd.read_csv(embedded.run / "retrieval.csv")
    kept = load_file(embedded.run / "embeddings.safetensors")
    for part in ("validation", "test"):
        rows = table[table["part"] == part]
        assert rows["case"].tolist() == [views.ids[at] for at in plan.parts[part]]
        assert kept[part].shape == (len(rows), 8)
        np.testing.assert_allclose(np.linalg.norm(kept[part], axis=1), 1, rtol=1e-5)
    test = table[table["part"] == "test"].reset_index()
    near = kept["test"] @ kept["test"].T
    near[test["group"].to_numpy()[:, None] == test["group"].to_numpy()] = -2
    assert test["nearest"].tolist() == test["case"].to_numpy()[near.argmax(1)].tolist()
    right = test["label.view"].to_numpy()[near.argmax(1)] == test["label.view"]
    metrics = json.loads((embedded.run / "metrics.json").read_text())["test"]
    assert metrics["recall@1.view"]["value"] == pytest.approx(right.mean())
    assert metrics["recall@1.meta"]["value"] >= metrics["recall@1.view"]["value"]
    assert {"nmi.view", "map@r.meta", "how_wrong.view", "spearman.view"} <= set(metrics)
    assert "accuracy" not in metrics


def test_how_wrong_a_case_is_does_not_depend_on_what_the_run_learnt_by(embedded, views):
    def measured(**changes):
        recipe = changed(hierarchy__ontology="early_pregnancy", **changes)
        task = task_of(recipe, views)
        known = asked_of(recipe, task, views, views.groups()).known
        return task.hierarchy.distances("view"), known.distances, known.sets(np.arange(4), np.arange(9))

    learnt, plain, agreed = measured()
    assert np.array_equal(learnt, plain)
    others = measured(hierarchy__measure="wu_palmer", hierarchy__relations=["seen_in"])
    assert not np.allclose(others[0], learnt)
    assert np.array_equal(others[1], plain)
    assert np.array_equal(others[2], agreed, equal_nan=True)
    asked = measured(retrieval={"similarity": {"measure": "lin"}})
    assert np.array_equal(asked[0], learnt)
    assert not np.allclose(asked[1], plain)
    assert not np.allclose(asked[2], agreed, equal_nan=True)


def test_what_is_said_of_the_classes_lies_beside(embedded):
    said = load_file(embedded.run / "language.safetensors")
    assert {level: of.shape for level, of in said.items()} == {"view": (5, 5), "meta": (3, 3)}
    identity = json.loads((embedded.run / "run.json").read_text())
    assert identity["levels"]["view"] == list(VIEWS)
    assert (identity["embeds"], identity["classifies"]) == (True, False)


def test_a_run_embeds_images_and_names_no_class(embedded, views):
    run = load(embedded.run)
    kept = load_file(embedded.run / "embeddings.safetensors")["test"]
    pictures = [views.read_image(at) for at in embedded.plan.parts["test"]]
    found = np.stack(list(run.embed(pictures).values()))
    np.testing.assert_allclose(found, kept, atol=1e-5)
    with pytest.raises(RecipeError, match="was trained to embed and names no class"):
        run.predict(pictures)
    again = run.evaluate(views, {"test": embedded.plan.parts["test"]})
    written = json.loads((embedded.run / "metrics.json").read_text())["test"]
    assert again.metrics["test"]["recall@1.view"] == pytest.approx(written["recall@1.view"])


def test_a_run_that_was_stopped_ends_with_the_same_embeddings(embedded, views, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(_):
        raise StoppedError

    on = Computing(choose_device("cpu"))
    with pytest.raises(StoppedError):
        train_run(embedded.plan, tmp_path / "run", on, after_epoch=stop)
    train_run(embedded.plan, tmp_path / "run", on, resume=True)
    for name in ("weights.safetensors", "embeddings.safetensors", "retrieval.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (embedded.run / name).read_bytes()


# Every objective

PROXIES = {"name": "softmax"}
OBJECTIVES = {
    "metric": {"type": "metric", "loss": PROXIES},
    "metric of a level": {"type": "metric", "level": "meta"},
    "semantic_abstraction": {"type": "semantic_abstraction", "alphas": [1, 0.5], "loss": {"name": "margin"}},
    "language_guidance": {"type": "language_guidance", "weights": [1, 0.5]},
    "clip": {"type": "clip"},
    "clip of a level": {"type": "clip", "level": "meta"},
    "graph_guidance": {"type": "graph_guidance"},
    "hierarchical_triplet": {"type": "hierarchical_triplet"},
    "subspaces": {"type": "subspaces"},
    "cross_entropy": {"type": "cross_entropy"},
    "hierarchical_cross_entropy": {"type": "hierarchical_cross_entropy"},
    "soft_labels": {"type": "soft_labels"},
}
ON_LOGITS = {"cross_entropy", "hierarchical_cross_entropy", "soft_labels"}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_trains_a_network(name, views, tmp_path):
    logits = {"model__embedding__logits": True} if name in ON_LOGITS else {}
    row, _ = step(changed(objectives={"one": OBJECTIVES[name]}, **logits), views, tmp_path)
    assert np.isfinite(row["train.loss"])
    assert row["train.one"] > 0


@pytest.mark.parametrize("sampling", ["classes", "hierarchical"])
def test_the_classes_of_a_batch_are_drawn_from_all_or_from_one_above(sampling, views, tmp_path):
    recipe = changed(training__sampling=sampling, training__metas_per_batch=1, training__batch_size=8)
    cache = Cache.build(views, tmp_path, size=32, priors=None)
    training, _ = assemble(recipe, cache, {"train": np.arange(40), "validation": np.arange(40, 60)}, 0, CPU)
    (stream,) = training.streams.values()
    metas = []
    for (batch,) in (each.values() for epoch in range(4) for each in stream.epoch(epoch)):
        counts = np.bincount(batch.fields["label.view"], minlength=5)
        assert counts[counts > 0].tolist() == [4, 4]
        metas.append(set(batch.fields["label.meta"].tolist()))
    assert len(metas) == 4 * 5
    several = [of for of in metas if 2 not in of]  # the third meta-view has one view, and is filled up
    assert {len(of) for of in several} == ({1} if sampling == "hierarchical" else {1, 2})
    assert np.isfinite(train_epoch(training, 0)["train.loss"])


@pytest.mark.parametrize("hierarchy", [None, {"levels": ["view"]}])
def test_hierarchical_batches_need_a_level_above_and_say_so_before_training(hierarchy, views):
    recipe = changed(
        hierarchy=hierarchy,
        data__level="view",
        objectives={"one": {"type": "metric"}},
        training__sampling="hierarchical",
    )
    with pytest.raises(RecipeError, match="hierarchical needs a level above the leaf, but there is none"):
        preflight(recipe, views)


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - ON_LOGITS))
def test_an_objective_on_embeddings_says_that_it_needs_one(name, views):
    recipe = changed(
        model__embedding=None,
        objectives={"one": OBJECTIVES[name]},
        training__monitor="accuracy",
        study__primary="accuracy",
        training__sampling="shuffle",
    )
    with pytest.raises(RecipeError, match=r"needs an embedding, .* add `model.embedding"):
        preflight(recipe, views)


@pytest.mark.parametrize("name", sorted(ON_LOGITS - {"cross_entropy"}))
def test_an_objective_on_logits_says_that_it_needs_them(name, views):
    with pytest.raises(RecipeError, match=r"needs logits, .* set `logits: true`"):
        preflight(changed(objectives={"one": OBJECTIVES[name]}), views)


@pytest.mark.parametrize("name", ["semantic_abstraction", "language_guidance", "clip", "subspaces"])
def test_an_objective_on_a_hierarchy_says_that_it_needs_one(name, views):
    recipe = changed(hierarchy=None, data__level="view", objectives={"one": OBJECTIVES[name]})
    with pytest.raises(RecipeError, match=r"needs a hierarchy of the classes, .* add `hierarchy"):
        preflight(recipe, views)


def test_both_heads_train_together(views, tmp_path):
    both = {"a": {"type": "cross_entropy"}, "b": OBJECTIVES["semantic_abstraction"]}
    recipe = changed(model__embedding__logits=True, objectives=both, training__monitor="accuracy")
    row, without = step(recipe, views, tmp_path)
    assert {"train.a", "train.b"} <= set(row)
    assert not without


# What is attributed where there are no logits


@pytest.mark.parametrize("target", ["sum", "positives"])
def test_attribution_is_guided_in_metric_learning(target, blobs, tmp_path):
    case_set = CaseSet.open(blobs)
    guided = {
        "similarity": {"type": "metric", "loss": {"name": "triplet"}},
        "guidance": {"type": "prior_guided_attribution", "target": target},
    }
    recipe = changed(
        data={"size": 32, "level": "tone", "priors": {"source": "outlines", "grouping": "one"}},
        hierarchy=None,
        objectives=guided,
        training__batch_size=8,
        training__monitor="recall@1.tone",
        study__primary="recall@1.tone",
    )
    plan = plan_run(recipe, case_set, "plain")
    run = train_run(plan, tmp_path / "run", Computing(choose_device("cpu")))
    log = pd.read_csv(run / "log.csv")
    assert np.isfinite(log["train.guidance.agreement"]).all()
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert metrics["inside"]["value"] is not None


@pytest.mark.parametrize(
    ("target", "embedding", "said"),
    [
        ("predicted", {"dimension": 8}, "must be one of sum, positives, but got 'predicted'"),
        ("positives", None, "needs an embedding, but the network gives logits only"),
    ],
)
def test_a_target_that_the_network_does_not_have_is_refused(target, embedding, said, blobs):
    recipe = changed(
        data={"size": 32, "level": "tone", "priors": {"source": "outlines", "grouping": "one"}},
        hierarchy=None,
        model__embedding=embedding,
        objectives={"guidance": {"type": "prior_guided_attribution", "target": target}},
        training__monitor="recall@1.tone" if embedding else "accuracy",
        study__primary="recall@1.tone" if embedding else "accuracy",
    )
    with pytest.raises(RecipeError, match=said):
        preflight(recipe, CaseSet.open(blobs))


# Bad input


def test_alphas_of_the_wrong_length_are_refused(views):
    wrong = {"type": "semantic_abstraction", "alphas": [1, 0.5, 0.1]}
    with pytest.raises(RecipeError, match=r"one weight a level, .* \(view, meta: 2\), but got 3"):
        preflight(changed(objectives={"one": wrong}), views)
    with pytest.raises(RecipeError, match=r"weights needs one weight a level.* but got 1"):
        preflight(changed(objectives={"one": {"type": "language_guidance", "weights": [1]}}), views)


def test_a_text_encoder_that_does_not_exist_is_refused_before_training(views):
    recipe = changed(
        language={"encoder": "/no/such/model"}, objectives={"one": OBJECTIVES["language_guidance"]}
    )
    with pytest.raises(Exception, match="/no/such/model"):
        preflight(recipe, views)


def test_a_training_part_with_one_class_of_a_level_trains_the_others(views, tmp_path):
    """Cases of one meta-view only: its level has nothing to tell apart, the leaf's has."""
    adnexa = np.flatnonzero(views.labels("meta") == 0)[:12]
    recipe = changed(training__cases_per_class=6)
    row, _ = step(recipe, views, tmp_path, train=adnexa)
    assert row["train.similarity.view"] > 0
    assert np.isnan(row["train.similarity.meta"])


@pytest.mark.parametrize(
    ("level", "changes", "said"),
    [
        ("meta", {}, "the level 'meta' must have cases of at least 2 classes, but .* are of 'adnexal view';"),
        ("view", {}, "the level 'view' must have .* are of 'transverse view of right adnexa';"),
        ("meta", {"hierarchy": None, "retrieval": {"also": ["meta"]}}, "the level 'meta' .* 'adnexal view'"),
    ],
)
def test_a_level_that_all_cases_share_is_refused_before_training(level, changes, said, views):
    """Whatever `dataset.yaml` declares."""
    alone = views.subset(np.flatnonzero(views.labels(level) == 0))
    assert len(alone.classes(level)) > 1
    if "hierarchy" in changes:
        changes = changes | {"objectives": {"one": {"type": "metric"}}, "data__level": "view"}
    with pytest.raises(DataError, match=said):
        preflight(changed(**changes), alone)


def test_a_run_is_measured_on_cases_of_one_class_of_a_level(embedded, views):
    alone = views.subset(np.flatnonzero(views.labels("meta") == 0))
    measured = load(embedded.run).evaluate(alone).metrics["all"]
    assert measured["recall@1.meta"]["value"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training__monitor": "accuracy"}, "training.monitor must be one of recall@1.view"),
        ({"study__primary": "recall@1.genus"}, "study.primary must be one of .*recall@1.view"),
        ({"training__batch_size": 10}, "must be a multiple of cases_per_class"),
        ({"data__level": "meta"}, "must begin with the level that is learnt, data.level .meta., but got"),
        ({"split": {"protocol": "open_set"}, "model__embedding__logits": True}, "a classifier cannot name"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        changed(**changes)
