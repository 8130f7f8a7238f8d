"""Streams beside the labelled one: which cases they read, what is known of these, and what is refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from made_study import write_cases
from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.loading.cache import Cache
from sonoprior.cases.loading.policies import STRONG, UNCHANGED, WEAK
from sonoprior.core.errors import DataError, RecipeError
from sonoprior.training.assemble import assemble, preflight
from sonoprior.training.log import TrainingWarning
from sonoprior.training.parts import UNLABELLED, plan_parts, rarest_classes, without_test
from sonoprior.training.pretraining import epochs_in_all, pretraining_folder, pretraining_parts
from sonoprior.training.recipe_file import pretraining_recipe, validated, with_settings
from sonoprior.training.run import Computing, plan_run, train_run
from sonoprior.training.task import task_of
from sonoprior.training.unlabelled import check_streams, stream_cases
from tiny_several import SEVERAL, write_shapes

CPU = torch.device("cpu")
CONTENT = {
    "format": 1,
    "name": "tiny",
    "data": {"size": 32},
    "model": {"backbone": "test_resnet", "tap": "stage2"},
    "objectives": {
        "classification": {"type": "cross_entropy"},
        "pseudo-labels": {"type": "fixmatch", "threshold": 0.5},
    },
    "streams": {"unlabelled": {"views": "weak-strong", "batch_size": 8}},
    "training": {"epochs": 2, "batch_size": 4, "steps_per_epoch": 2, "threads": 1},
    "split": {
        "protocol": "single_split", "validation": 0.25, "test": 0.25, "label_fraction": 0.5,
        "keep_duplicates_together": False,
    },
}  # fmt: skip


def recipe_with(**changes):
    content = dict(CONTENT)
    for key, value in changes.items():
        content[key] = value if not isinstance(value, dict) else {**content.get(key, {}), **value}
    return validated(content, "tiny")


@pytest.fixture(scope="module")
def case_set(tmp_path_factory):
    return CaseSet.open(write_cases(tmp_path_factory.mktemp("cases") / "set", cases=48))


@pytest.fixture(scope="module")
def cache(case_set, tmp_path_factory):
    return Cache.build(case_set, tmp_path_factory.mktemp("cache"), size=32, priors=None)


BEFORE = {
    "simclr": {
        "objectives": {"contrastive": {"type": "nt_xent"}},
        "model.embedding": {"dimension": 8},
        "streams.unlabelled.views": "two",
        "training.epochs": 1,
        "training.steps_per_epoch": 2,
        "training.keep": "last",
        "training.monitor": "recall@1.finding",
    }
}
BEGUN = {"pretraining": BEFORE, "model": {"weights": "pretraining:simclr"}}


def parts_of(recipe, case_set):
    return plan_parts(recipe.split, recipe.data, case_set, case_set.groups(), streams=bool(recipe.streams))[0]


def test_hidden_labels_make_unlabelled_cases_of_the_training_side(case_set):
    recipe = recipe_with()
    parts = parts_of(recipe, case_set)
    whole = parts_of(recipe_with(split={"label_fraction": 1.0}), case_set)
    assert len(parts["train"]) < len(whole["train"])
    assert sorted([*parts["train"], *parts[UNLABELLED]]) == sorted([*whole["train"], *whole[UNLABELLED]])
    labels = case_set.labels()
    assert (labels[whole["train"]] >= 0).all()
    assert (labels[whole[UNLABELLED]] < 0).all()
    for part in ("validation", "test"):
        assert np.array_equal(parts[part], whole[part])
        assert not set(parts[part]) & {*parts["train"], *parts[UNLABELLED]}


def test_a_stream_learns_from_no_hidden_label_and_keeps_it_for_monitors(case_set, cache):
    recipe = recipe_with()
    parts = parts_of(recipe, case_set)
    task = task_of(recipe, case_set, parts)
    cases = stream_cases(recipe, cache, parts, task, None)["unlabelled"]
    labels, true = case_set.labels(), cases.labels["truth"]
    used = np.isin(np.arange(len(case_set)), parts["train"])
    assert np.array_equal(cases.labels[task.level], np.where(used, labels, -1))
    assert np.array_equal(true[parts[UNLABELLED]], labels[parts[UNLABELLED]])
    assert (true[parts["train"]] == -1).all()
    training, _ = assemble(recipe, cache, parts, 0, CPU)
    views = next(iter(training.streams["unlabelled"].epoch(0)))
    assert list(views) == ["weak", "strong"]
    for batch in views.values():
        at = batch["index"].numpy()
        assert np.array_equal(batch[f"label.{task.level}"].numpy(), cases.labels[task.level][at])
        assert np.array_equal(batch["label.truth"].numpy(), true[at])
    assert torch.equal(views["weak"]["index"], views["strong"]["index"])
    assert not torch.equal(views["weak"]["image"], views["strong"]["image"])


def test_a_share_of_a_stream_takes_whole_groups_and_is_nested(case_set, cache):
    groups, seen = case_set.groups(), {}
    for share in (0.3, 0.6, 1.0):
        recipe = recipe_with(streams={"unlabelled": {"batch_size": 4, "share": share}})
        parts = parts_of(recipe, case_set)
        task = task_of(recipe, case_set, parts)
        seen[share] = set(stream_cases(recipe, cache, parts, task, None)["unlabelled"].positions.tolist())
        side = {*parts["train"].tolist(), *parts[UNLABELLED].tolist()}
        taken = {groups[at] for at in seen[share]}
        assert seen[share] == {at for at in side if groups[at] in taken}
    assert seen[0.3] < seen[0.6] < seen[1.0]


def own_set(folder, column, names):
    """A case set whose first cases are of these patients or exams, and the others of nobody else's."""
    other = CaseSet.open(write_cases(folder, cases=24))
    return with_column(
        other, column, [*names, *(f"else{number}" for number in range(len(other) - len(names)))]
    )


def with_column(case_set, column, values):
    """The case set with nothing but this column to tell whose cases they are."""
    table = case_set.table.drop(columns=["patient", "exam"], errors="ignore")
    table.assign(**{column: values}).to_parquet(case_set.root / "cases.parquet")
    return CaseSet.open(case_set.root)


@pytest.mark.parametrize("column", ["exam", "patient"])
@pytest.mark.parametrize("read_by", ["the run", "the run before"])
def test_a_set_of_its_own_that_shares_an_exam_or_patient_with_the_test_part_is_refused_by_name(
    tmp_path, read_by, column
):
    case_set = CaseSet.open(write_cases(tmp_path / "measured", cases=48))
    case_set = with_column(case_set, column, [f"m{number // 2}" for number in range(48)])
    changes = (
        {}
        if read_by == "the run"
        else BEGUN | {"objectives": {"pseudo-labels": {"type": "fixmatch", "weight": 0}}}
    )
    parts = parts_of(recipe_with(), case_set)
    tested = case_set.column(column)[parts["test"][:2]]
    learnt = case_set.column(column)[parts["train"][:2]]

    def reading(names, folder):
        stream = {"cases": str(own_set(tmp_path / folder, column, names).root), "batch_size": 4}
        return recipe_with(**changes, streams={"unlabelled": stream})

    with pytest.raises(
        DataError, match=rf"must hold no {column} of the parts that are measured.*{tested[0]}"
    ):
        check_streams(reading(tested, "tested"), case_set, parts)
    check_streams(reading(learnt, "learnt"), case_set, parts)


def test_a_set_of_its_own_needs_none_of_the_run_s_levels_nor_their_mirror_images(case_set, cache, tmp_path):
    info = DatasetInfo(name="other", levels={"side": ["left"]}, mirror=[])
    with CaseSetWriter(tmp_path / "other", info) as writer:
        for number in range(12):
            image = np.random.default_rng(number).integers(0, 255, (40, 40)).astype(np.uint8)
            writer.add(f"o{number}", image, patient=f"else{number}")
    stream = {"cases": str(tmp_path / "other"), "batch_size": 4, "augment": {"weak": {"mirror": 1}}}
    recipe = recipe_with(streams={"unlabelled": stream})
    training, _ = assemble(recipe, cache, parts_of(recipe, case_set), 0, CPU, texts=tmp_path)
    batch = next(iter(training.streams["unlabelled"].epoch(0)))["weak"]
    assert batch["mirrored"].all()
    assert (batch["label.finding"] == -1).all()
    assert (batch["label.truth"] == -1).all()


def test_a_stream_of_fewer_cases_than_a_batch_gives_all_of_them_and_one_case_is_refused(case_set, cache):
    recipe = recipe_with(streams={"unlabelled": {"batch_size": 4096}})
    parts = parts_of(recipe, case_set)
    training, _ = assemble(recipe, cache, parts, 0, CPU)
    (views,) = training.streams["unlabelled"].epoch(0)
    assert sorted(views["weak"]["index"].tolist()) == sorted([*parts["train"], *parts[UNLABELLED]])
    one = {**parts, "train": parts["train"][:1], UNLABELLED: parts[UNLABELLED][:0]}
    with pytest.raises(DataError, match=r"must hold at least 2 cases.*but holds 1"):
        check_streams(recipe, case_set, one)


def test_a_run_before_that_would_have_no_cases_is_refused_before_anything_is_written(case_set):
    labelled = recipe_with(**BEGUN, streams={"unlabelled": {"read": "labelled", "batch_size": 8}})
    with pytest.raises(DataError, match=r"at least 2 cases for the run before, 'simclr', .*but holds 0"):
        check_streams(labelled, case_set, parts_of(labelled, case_set))


def test_what_a_view_s_settings_do_not_name_is_as_its_policy_has_it():
    weak_only = recipe_with(streams={"unlabelled": {"batch_size": 8, "augment": {"weak": {"rotate": 30}}}})
    changed = with_settings(weak_only, {"streams.unlabelled.augment.strong.mirror": 0}, "changed")
    again = validated(changed.content(), "again")  # as a run reads it that goes on
    for recipe, strong in ((weak_only, STRONG), (changed, STRONG.model_copy(update={"mirror": 0}))):
        specs = recipe.streams["unlabelled"].specs
        assert specs == {"weak": WEAK.model_copy(update={"rotate": 30.0}), "strong": strong}
    assert again == changed
    plain = recipe_with(
        objectives={"pseudo-labels": {"type": "fixmatch", "weight": 0}},
        streams={"unlabelled": {"views": "plain", "augment": {"plain": {"gain": 0.2}}}},
    )
    assert plain.streams["unlabelled"].specs == {"plain": UNCHANGED.model_copy(update={"gain": 0.2})}
    with pytest.raises(RecipeError, match="a view of augment must be one of weak, strong, but got 'storng'"):
        recipe_with(streams={"unlabelled": {"augment": {"storng": {"gain": 0}}}})


def test_an_objective_whose_views_the_stream_does_not_have_is_refused(case_set, cache):
    recipe = recipe_with(streams={"unlabelled": {"views": "two", "batch_size": 8}})
    with pytest.raises(RecipeError, match=r"pseudo-labels compares the views.*has first, second"):
        assemble(recipe, cache, parts_of(recipe, case_set), 0, CPU)


def test_an_unknown_stream_and_an_unknown_run_before_are_refused():
    with pytest.raises(RecipeError, match=r"objectives.pseudo-labels: the stream must be one of labelled"):
        validated({**CONTENT, "streams": {}}, "tiny")
    with pytest.raises(RecipeError, match="pretraining:NAME"):
        recipe_with(model={"weights": "pretraining:nothing"})
    with pytest.raises(RecipeError, match="must not be called 'labelled'"):
        recipe_with(streams={"labelled": {}})


def test_the_rarest_class_is_what_splits_keep():
    members = np.array([[True, True, False], [True, False, False], [False, False, True], [False] * 3])
    numbers = np.array([0, 1, 1, 1, 2, -1, 3])
    assert rarest_classes(numbers, members).tolist() == [1, 0, 0, 0, 2, -1, 3]


def test_weights_that_are_given_elsewhere_make_no_other_run():
    one, other = recipe_with(**BEGUN), recipe_with(**BEGUN | {"model": BEGUN["model"] | {"given": "file.pt"}})
    assert one.decisive() == other.decisive()
    assert (
        recipe_with(model={"weights": "given"}).decisive() == recipe_with(model={"weights": "hub"}).decisive()
    )
    named = recipe_with(model={"weights": "given", "given": "file.pt"})
    assert named.decisive() == recipe_with(model={"weights": "file.pt"}).decisive()
    assert validated(named.content(), "again") == named


def test_a_run_before_is_the_same_for_whatever_only_the_later_run_varies(case_set, tmp_path):
    one = recipe_with(**BEGUN)
    other = recipe_with(**BEGUN, training={"learning_rate": 0.01}, split={"label_fraction": 0.2})
    folders = [
        pretraining_folder(pretraining_recipe(each, "simclr"), "simclr", 0, 0, tmp_path)
        for each in (one, other)
    ]
    assert folders[0] == folders[1]
    assert epochs_in_all(one) == 3
    before, after = (pretraining_parts(parts_of(each, case_set)) for each in (one, other))
    assert len(before["train"]) == 0
    assert np.array_equal(before[UNLABELLED], after[UNLABELLED])
    wider = {"simclr": BEFORE["simclr"] | {"model.embedding": {"dimension": 16}}}
    third = pretraining_recipe(recipe_with(**BEGUN | {"pretraining": wider}), "simclr")
    assert pretraining_folder(third, "simclr", 0, 0, tmp_path) != folders[0]


def test_a_run_begins_with_the_backbone_of_the_run_before_it(case_set, tmp_path):
    recipe = recipe_with(
        pretraining=BEFORE, model={"weights": "pretraining:simclr"}, training={"learning_rate": 1e-12}
    )
    on = Computing(CPU, pretraining=tmp_path / "before")
    plan = plan_run(recipe, case_set, "plain")
    seen = []
    run = train_run(plan, tmp_path / "run", on, after_epoch=lambda fit: seen.append(fit.epochs_done))
    assert seen == [1, 2, 3]
    (before,) = (path.parent for path in (tmp_path / "before").rglob("weights.safetensors"))
    first, second = load_file(before / "weights.safetensors"), load_file(run / "weights.safetensors")
    learnt = [name for name in first if name.endswith("conv1.weight")]
    assert learnt
    for name in learnt:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=1e-6)
    again = train_run(plan_run(recipe, case_set, "plain"), tmp_path / "again", on)
    assert len(list((tmp_path / "before").rglob("weights.safetensors"))) == 1
    assert (again / "metrics.json").is_file()


def test_what_a_tuning_trained_after_a_run_before_needs_neither_of_them_again(case_set, tmp_path):
    plan = plan_run(
        recipe_with(pretraining=BEFORE, model={"weights": "pretraining:simclr"}), case_set, "plain"
    )
    tuned = train_run(replace(plan, parts=without_test(plan.parts)), tmp_path / "tuned", Computing(CPU))
    on = Computing(CPU, pretraining=tmp_path / "before")
    run = train_run(plan, tmp_path / "run", on, trained=tuned)
    assert not (tmp_path / "before").exists()
    afresh = train_run(plan, tmp_path / "afresh", on)
    assert (run / "metrics.json").read_bytes() == (afresh / "metrics.json").read_bytes()


@pytest.mark.filterwarnings("ignore::sonoprior.training.log.TrainingWarning")
def test_an_epoch_in_which_no_pseudo_label_is_sure_is_said(case_set, tmp_path):
    sure = {"pseudo-labels": {"type": "fixmatch", "threshold": 1.0}}
    recipe = recipe_with(objectives=sure)
    with pytest.warns(TrainingWarning, match="epoch 1: pseudo-labels learnt nothing"):
        run = train_run(plan_run(recipe, case_set, "plain"), tmp_path / "run", Computing(CPU))
    notes = (run / "notes.txt").read_text().splitlines()
    assert notes == [
        f"epoch {n}: pseudo-labels learnt nothing, because no pseudo-label reached its threshold."
        for n in (1, 2)
    ]


def with_a_further_class(case_set, folder, level, name):
    """The same cases, of a level that names one more class."""
    shutil.copytree(case_set.root, folder)
    described = yaml.safe_load((folder / "dataset.yaml").read_text())
    described["levels"][level].append(name)
    (folder / "dataset.yaml").write_text(yaml.safe_dump(described))
    return CaseSet.open(folder)


@pytest.mark.filterwarnings("ignore::sonoprior.training.log.TrainingWarning")
def test_a_class_without_a_labelled_training_case_is_said(case_set, tmp_path):
    wider = with_a_further_class(case_set, tmp_path / "set", "finding", "cyst")
    recipe = recipe_with(objectives={"pseudo-labels": {"type": "fixmatch", "threshold": 0.0}})
    with pytest.warns(TrainingWarning, match=r"level 'finding', so nothing is learnt of them: cyst\.$"):
        run = train_run(plan_run(recipe, wider, "plain"), tmp_path / "run", Computing(CPU))
    assert (run / "notes.txt").read_text().count("cyst") == 1
    run = train_run(plan_run(recipe, case_set, "plain"), tmp_path / "all", Computing(CPU))
    assert not (run / "notes.txt").exists()


def test_a_class_that_only_unlabelled_or_other_cases_show_is_not_learnt(tmp_path):
    shapes = CaseSet.open(write_shapes(tmp_path / "set"))
    wider = with_a_further_class(shapes, tmp_path / "wider", "shapes", "cross")
    task = task_of(validated(SEVERAL, "several"), wider)
    every = np.arange(len(wider))
    assert task.unlearnt(every) == ["cross"]
    shown = wider.members("shapes")[wider.labels("shapes")]
    assert task.unlearnt(np.flatnonzero(~shown[:, 0])) == ["disc", "cross"]
    assert task.unlearnt(np.flatnonzero(shown[:, 0])) == ["frame", "cross"]  # a bar stands beside a disc


def test_a_monitor_of_a_level_that_is_not_learnt_is_refused_before_anything_is_written(case_set):
    watched = {"simclr": BEFORE["simclr"] | {"training.monitor": "recall@1.view"}}
    recipe = recipe_with(pretraining=watched, model={"weights": "pretraining:simclr"})
    with pytest.raises(
        RecipeError, match=r"training.monitor recall@1.view: the level must be one of finding"
    ):
        preflight(recipe, case_set)


def test_the_control_reads_the_labelled_cases_alone(case_set, cache):
    recipe = recipe_with(streams={"unlabelled": {"batch_size": 4, "read": "labelled"}})
    parts = parts_of(recipe, case_set)
    task = task_of(recipe, case_set, parts)
    cases = stream_cases(recipe, cache, parts, task, None)["unlabelled"]
    assert np.array_equal(cases.positions, parts["train"])
    with pytest.raises(RecipeError, match="for the run's own cases"):
        recipe_with(streams={"unlabelled": {"cases": "elsewhere", "read": "labelled"}})


def test_a_stream_reads_only_the_cases_that_a_column_names(case_set, cache):
    patients = sorted(set(case_set.column("patient")))[::2]
    recipe = recipe_with(streams={"unlabelled": {"batch_size": 4}})
    fewer = with_settings(recipe, {"streams.unlabelled.only": {"patient": patients}}, "fewer")
    parts = parts_of(recipe, case_set)
    every, some = (
        stream_cases(each, cache, parts, task_of(each, case_set, parts), None)["unlabelled"].positions
        for each in (recipe, fewer)
    )
    wanted = [i for i in every if case_set.column("patient")[i] in patients]
    assert 0 < len(wanted) < len(every)
    assert some.tolist() == wanted
    for only, message in (
        ({"patient": ["nobody"]}, r"streams.unlabelled.only: patient of .*set must be one of .*'nobody'"),
        ({"extra.scope": ["in"]}, r"extra.scope of .*set must be one of nothing, but got 'in'"),
        ({"scoop": ["in"]}, "a column must be one of"),
    ):
        with pytest.raises(DataError, match=message):
            check_streams(with_settings(recipe, {"streams.unlabelled.only": only}, "x"), case_set, parts)
    with pytest.raises(RecipeError, match="at least 1 item"):
        with_settings(recipe, {"streams.unlabelled.only": {"patient": []}}, "x")


def test_a_run_of_two_streams_that_was_stopped_ends_as_one_that_was_not(case_set, tmp_path):
    kept = {"type": "fixmatch", "threshold": 0.4, "flexible": {}, "debiasing": {}}
    recipe = recipe_with(objectives={"pseudo-labels": kept}, training={"epochs": 3})
    whole = train_run(plan_run(recipe, case_set, "plain"), tmp_path / "whole", Computing(CPU))

    def stop(fit):
        if fit.progress.epochs == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(plan_run(recipe, case_set, "plain"), tmp_path / "cut", Computing(CPU), after_epoch=stop)
    cut = train_run(plan_run(recipe, case_set, "plain"), tmp_path / "cut", Computing(CPU), resume=True)
    first, second = (load_file(run / "weights.safetensors") for run in (whole, cut))
    assert all(torch.equal(first[name], second[name]) for name in first)
    without_time = [
        [row.split(",")[2:] for row in (run / "log.csv").read_text().splitlines()] for run in (whole, cut)
    ]
    assert without_time[0] == without_time[1]


def test_running_statistics_are_those_of_the_labelled_stream_alone(case_set, cache):
    recipe = recipe_with()
    parts = parts_of(recipe, case_set)
    both, _ = assemble(recipe, cache, parts, 0, CPU)
    alone, _ = assemble(
        recipe_with(objectives={"pseudo-labels": {"type": "fixmatch", "weight": 0}}), cache, parts, 0, CPU
    )
    batches = {name: next(iter(stream.epoch(0))) for name, stream in both.streams.items()}
    both.experiment.train()(batches)
    alone.experiment.train()({"labelled": batches["labelled"]})
    first, second = both.network.state_dict(), alone.network.state_dict()
    running = [name for name in first if "running" in name]
    assert running
    assert all(torch.equal(first[name], second[name]) for name in running)
