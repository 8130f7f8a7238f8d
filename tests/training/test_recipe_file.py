import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sonoprior.cases.phantom.abdomen.tissues import ORGANS, OTHER
from sonoprior.core.errors import RecipeError
from sonoprior.metrics.catalogue import metric_names
from sonoprior.training.recipe_file import (
    as_yaml,
    known_keys,
    load_recipe,
    recipe_names,
    recipe_of_run,
    take_variant,
    with_value,
    write_recipe,
)

FOLDER = Path(load_recipe.__code__.co_filename).parents[1] / "recipes"
_SAVED = (
    "study.curve={{axis: share, lines: {{plain: {{0.1: plain, 1: guided}}, guided: {{1: guided}}}},"
    " labels_saved: {{without: {}, using: {{{}: guidance}}}}}}"
)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_project_can_be_used_with_all_its_variants(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.about
    for variant in recipe.study.variants:
        take_variant(recipe, variant)


def added_by_the_header(name: str) -> list[str]:
    """The variants that the commands in a recipe's header add to it, which need what not everybody has."""
    header = (FOLDER / f"{name}.yaml").read_text().partition("\nformat:")[0]
    return re.findall(r"--set '(study\.variants\.[\w-]+=.*)'", header)


@pytest.mark.parametrize("name", recipe_names())
def test_published_numbers_name_variants_of_their_recipe(name):
    recipe = load_recipe(name, changes=added_by_the_header(name))
    named = {row["variant"] for table in recipe.published for row in table.rows if "variant" in row}
    assert named <= set(recipe.study.variants)


def test_who_adds_a_text_encoder_has_it_beside_what_was_published_of_it():
    added = added_by_the_header("phantom-text-encoders")
    fewer, more = (load_recipe("phantom-text-encoders", changes=of) for of in ([], added))
    named = [row["variant"] for table in more.published for row in table.rows]
    assert named == ["clip", "biobert", "large-biobert"]
    assert set(more.study.variants) - set(fewer.study.variants) == set(named)


@pytest.mark.parametrize("name", recipe_names())
def test_published_numbers_of_a_variant_are_of_a_metric_that_its_runs_have(name):
    recipe = load_recipe(name)
    levels = [*(recipe.embedded_levels or ()), *recipe.retrieval.also] if recipe.model.embedding else []
    measured = metric_names(recipe.names_by, levels, list(recipe.retrieval.kinds))
    if recipe.decides:
        measured += [f"f1.{organ}" for organ in (*ORGANS, OTHER)]
    for table in recipe.published:
        for row in table.rows:
            assert "variant" not in row or row.get("metric", table.metric) in measured


@pytest.mark.parametrize("name", recipe_names())
def test_what_every_run_keeps_of_its_recipe_reads_back(name, tmp_path):
    """Also where another variant of the study changes what this one has not."""
    recipe = load_recipe(name)
    for number, variant in enumerate(recipe.study.variants):
        taken = take_variant(recipe, variant)
        write_recipe(tmp_path / f"{number}.yaml", taken)
        assert recipe_of_run(tmp_path / f"{number}.yaml") == taken


def test_a_resolved_recipe_reads_back_as_itself(tiny_recipe, tmp_path):
    recipe = load_recipe(tiny_recipe)
    (tmp_path / "again.yaml").write_text(as_yaml(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe


def test_quick_comes_first_then_changes_then_the_variant(tiny_recipe):
    assert load_recipe(tiny_recipe).training.epochs == 3
    assert load_recipe(tiny_recipe, quick=True).training.epochs == 1
    assert load_recipe(tiny_recipe, quick=True, changes=["training.epochs=7"]).training.epochs == 7
    changed = load_recipe(tiny_recipe, changes=["objectives.guidance.weight=5"], variant="guided")
    assert changed.objectives["guidance"].weight == 2


def test_values_are_read_as_yaml(tiny_recipe):
    changes = [
        "training.learning_rate=1e-3",
        "data.priors={source: boxes, sigma: 2}",
        "training.patience=null",
    ]
    recipe = load_recipe(tiny_recipe, changes=changes)
    assert recipe.training.learning_rate == 0.001
    assert recipe.data.priors is not None
    assert recipe.data.priors.source == "boxes"
    assert recipe.training.patience is None


def test_what_follows_a_variant_is_one_dotted_key():
    content = with_value({}, "study.variants.guided.objectives.guidance.weight", 3)
    assert content == {"study": {"variants": {"guided": {"objectives.guidance.weight": 3}}}}
    assert with_value({}, "quick.training.epochs", 3) == {"quick": {"training.epochs": 3}}
    assert with_value({}, "study.variants", {}) == {"study": {"variants": {}}}


def test_the_content_handed_over_is_not_changed():
    content = {"training": {"epochs": 3}}
    with_value(content, "training.epochs", 5)
    assert content == {"training": {"epochs": 3}}


def test_known_keys_hold_the_settings_of_each_objective(tiny_recipe):
    keys = known_keys(yaml.safe_load(tiny_recipe.read_text()))
    assert "objectives.guidance.reduction" in keys
    assert "objectives.classification.smoothing" in keys
    assert "data.priors.sigma" in keys


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("trainig.epochs=3", "unknown key 'trainig'. Did you mean 'training'?"),
        ("training.epoch=3", "unknown key 'training.epoch'. Did you mean 'training.epochs'?"),
        ("epochs=3", "unknown key 'epochs'. Did you mean 'training.epochs'?"),
        ("objectives.guidance.alpha=3", "unknown key 'objectives.guidance.alpha'. Known here are"),
        ("objectives.guidance.wieght=3", "Did you mean 'objectives.guidance.weight'?"),
        ("objectives.guidence.weight=3", "'objectives.guidence.type' is missing. Did you mean 'guidance'?"),
        (
            "objectives.guidance.weight=-1",
            "objectives.guidance.weight: input should be greater than or equal",
        ),
        ("objectives.guidance.weight=.nan", "objectives.guidance.weight"),
        ("objectives.guidance.type=guide", "objectives.guidance.type must be one of byol, clip"),
        ("objectives.guidance=7", "objectives.guidance: "),
        ("objectives={}", "objectives: dictionary should have at least 1 item"),
        ("augment.mirrr=1", "Did you mean 'augment.mirror'?"),
        ("data.priors.sorce=boxes", "Did you mean 'data.priors.source'?"),
        ("data.priors=null", "prior_guided_attribution needs priors, but data.priors is not set"),
        ("data.size=1", "data.size: input should be greater than or equal to 16, but got 1."),
        ("training.monitor=acuracy", "training.monitor must be one of"),
        ("training={patience: 3, keep: last}", "but keep is 'last', and got 3; set patience to null, or"),
        ("training.betas=[1, 2]", "training.betas.0: input should be less than 1, but got 1."),
        ("training.learning_rate=0", "training.learning_rate: input should be greater than 0"),
        ("training.epochs=many", "training.epochs: input should be a valid integer"),
        ("study.baseline=first", "baseline must be one of plain, guided, but got 'first'."),
        ("study.primary=f2", "study.primary must be one of"),
        ("study.secondary=[f2]", "secondary must be one of"),
        ("study.secondary=[weighted_f1]", "a metric of study.secondary must be one of"),
        ("study.secondary=[accuracy, balanced_accuracy]", "the primary one, each of them once, but got"),
        ("study.secondary=[auroc, ece, auroc]", "each of them once, but got 'auroc' again"),
        ("study.variants={}", "study.variants: "),
        ("study.variants={../out: {}, plain: {}}", "it names a folder, but got '../out'."),
        ("study.variants.guided.training.epoch=3", "variant guided: unknown key 'training.epoch'."),
        ("study.variants.guided.objectives.guidance.weight=-3", "tiny.yaml, variant guided: objectives"),
        ("split.folds=1", "split.folds: input should be greater than or equal to 2, but got 1."),
        ("split={validation: 0.6, test: 0.5}", "validation and test must leave something to train with"),
        ("study.variants.guided.split.folds=3", "the variant 'guided' may set data, model, objectives"),
        ("study.variants.guided.split={folds: 3}", "split.label_fraction, but got 'split'; the rest must be"),
        ("study.variants.guided.study.seeds=3", "but got 'study.seeds'"),
        ("study.variants.guided.data.level=tone", "but got 'data.level'; the rest must be the same"),
        ("study.variants.guided.retrieval.own_group=kept", "but got 'retrieval.own_group'; the rest must be"),
        ("study.against={guided: plan}", "a variant of against must be one of plain, guided, but got 'plan'"),
        ("study.against={guided: guided}", "against must name two variants, but got 'guided' with itself"),
        ("study.controls={blob: guided}", "a variant of controls must be one of"),
        ("study.shown=[guided, best]", "a variant of shown must be one of plain, guided, but got 'best'"),
        ("study.curve={axis: share, lines: {plain: {0.1: plain-10}}}", "a variant of curve.lines.plain must"),
        ("study.curve={axis: share, lines: {plain: {few: plain}}}", "study.curve.lines.plain.few"),
        (
            _SAVED.format("line", "plain"),
            "a line of labels_saved must be one of plain, guided, but got",
        ),
        (_SAVED.format("plain", "plain"), "labels_saved must compare two lines, but got 'plain' with itself"),
        (
            _SAVED.format("guided", "plain"),
            "a split.label_fraction that rises along the line 'plain'",
        ),
        (
            _SAVED.format("plain", "guided"),
            "'guided', so that line must have at least 2, but got 1",
        ),
        ("study.spread={axis: alpha, groups: {a: {1: best}}}", "a variant of spread.groups.a must be one of"),
        (
            "study.spread={axis: alpha, groups: {a: {}}}",
            "spread.groups.a must have at least 1 place",
        ),
        (
            "study.contrast={column: extra.mark, kept: a, lost: a}",
            "must be two values of extra.mark, but both",
        ),
        (
            "study={primary: ece, contrast: {column: extra.mark, kept: a, lost: b}}",
            "primary metric of which more is better, for that is what is lost, but got 'ece'",
        ),
        ("study.chosen={best: [{}]}", "a variant of chosen must be one of"),
        ("study.chosen={guided: [{split.seed: 1}]}", "chosen.guided may set"),
        ("study.chosen={guided: []}", "study.chosen.guided must have one entry, or one for each of the 1"),
        ("study.chosen={guided: [{training.epoch: 1}]}", "variant guided: unknown key 'training.epoch'"),
        ("tune={grid: {training.epochs: [1, 2]}}", "the key 'tune.budget' is missing"),
        ("tune={budget: 2, grid: {training.epochs: [1, 2]}, metric: f2}", "tune.metric must be one of"),
        (
            "tune={budget: 2, grid: {training.epochs: [1, 1]}}",
            "each value of training.epochs once, but got 1",
        ),
        ("tune={budget: 2, grid: {training.epochs: []}}", "should have at least 1 item"),
        ("tune={budget: 2, grid: {split.folds: [3, 4]}}", "grid may set data, model"),
        (
            "tune={budget: 3, grid: {training.epochs: [1, 2]}}",
            "'plain' offers 2 distinct settings for a budget",
        ),
        ("tune={budget: 2, grid: {training.epoch: [1, 2]}}", "tuned with {'training.epoch': 1}: unknown key"),
        (
            "tune={budget: 2, variants: {guided: {training.epochs: [1, 2]}}}",
            "tune must try settings for the baseline 'plain' too",
        ),
        (
            "tune={budget: 2, grid: {training.epochs: [1, 2]}, variants: {best: {}}}",
            "a variant of tune.variants must be one of plain, guided, but got 'best'",
        ),
        ("format=2", "format must be 1 for this version, but got 2."),
        ("training=3", "training: input should be a valid dictionary"),
        ("training.epochs", "a setting must have the form key=value, but got 'training.epochs'."),
        ("=3", "a setting must have the form key=value, but got '=3'."),
        ("training.epochs=[", "the value of training.epochs is not YAML that can be read: '['."),
        ("name.of=3", "name.of cannot be set: name holds no further keys."),
    ],
)
def test_a_wrong_setting_is_named(tiny_recipe, change, said):
    with pytest.raises(RecipeError) as caught:
        load_recipe(tiny_recipe, changes=[change])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_learns_nothing_is_refused(tiny_recipe):
    changes = ["objectives.classification.weight=0", "objectives.guidance.weight=0"]
    with pytest.raises(RecipeError, match="at least one objective must have a weight above 0"):
        load_recipe(tiny_recipe, changes=changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("format: 1\nformat: 1\n", "the key 'format' is given twice"),
        ("training: {epochs: 3, epochs: 4}", "the key 'epochs' is given twice"),
        ("a: [", "is not YAML that can be read"),
        ("a: !!python/object/apply:os.getcwd []", "is not YAML that can be read"),
        ("just words", "must hold a mapping of keys to values, but got 'just words'."),
        ("", "must hold a mapping of keys to values, but got None."),
        ("name: x", "format must be 1 for this version, but got None."),
        ("format: 1\nobjectives: {a: {type: cross_entropy}}", "the key 'name' is missing."),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"mine\.yaml") as caught:
        load_recipe(path)
    assert said in str(caught.value)


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match="Did you mean 'busi-pga'"):
        load_recipe("busi-pgaa")
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        load_recipe(tmp_path / "none.yaml")


def test_a_recipe_that_is_not_text(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("name: Dürer".encode("latin-1"))
    with pytest.raises(RecipeError, match="must be UTF-8 text"):
        load_recipe(tmp_path / "latin.yaml")


def test_no_quick_form(tiny_recipe):
    content = yaml.safe_load(tiny_recipe.read_text())
    del content["quick"]
    tiny_recipe.write_text(yaml.safe_dump(content))
    with pytest.raises(RecipeError, match="has no quick form"):
        load_recipe(tiny_recipe, quick=True)


def test_a_typo_in_the_quick_form_is_found_without_it(tiny_recipe):
    content = yaml.safe_load(tiny_recipe.read_text())
    content["quick"] = {"training.epoch": 1}
    tiny_recipe.write_text(yaml.safe_dump(content))
    with pytest.raises(RecipeError, match=r"tiny\.yaml, quick form: unknown key 'training\.epoch'"):
        load_recipe(tiny_recipe)


CHOSEN = "study.chosen={guided: [{training.epochs: 5}, {training.epochs: 6, objectives.guidance.weight: 9}]}"


def test_a_variant_takes_what_was_chosen_for_its_fold(tiny_recipe):
    folds = ["split.protocol=cross_evaluation", "split.folds=2"]
    recipe = load_recipe(tiny_recipe, changes=[*folds, CHOSEN])
    assert [take_variant(recipe, "guided", fold).training.epochs for fold in (None, 0, 1)] == [3, 5, 6]
    assert [take_variant(recipe, "guided", fold).objectives["guidance"].weight for fold in (0, 1)] == [2, 9]
    assert take_variant(recipe, "plain", 1) == take_variant(recipe, "plain")
    (again := tiny_recipe.with_name("again.yaml")).write_text(as_yaml(recipe))
    assert load_recipe(again) == recipe


def test_a_single_choice_holds_for_every_fold(tiny_recipe):
    recipe = load_recipe(tiny_recipe, changes=["study.chosen={plain: [{training.epochs: 5}]}"])
    assert {take_variant(recipe, "plain", fold).training.epochs for fold in (None, 0)} == {5}


def test_a_curve_reads_back_as_it_was_written(tiny_recipe):
    curve = "study.curve={axis: share, lines: {plain: {0.1: plain, 1: guided}}}"
    recipe = load_recipe(tiny_recipe, changes=[curve])
    assert recipe.study.curve.lines == {"plain": {0.1: "plain", 1.0: "guided"}}
    (again := tiny_recipe.with_name("again.yaml")).write_text(as_yaml(recipe))
    assert load_recipe(again) == recipe


def test_an_unknown_variant(tiny_recipe):
    with pytest.raises(
        RecipeError, match=r"the variant must be one of plain, guided, but got 'plan'\. Did you"
    ):
        load_recipe(tiny_recipe, variant="plan")


def test_recipes_are_checked_without_torch():
    code = (
        "import sys; from sonoprior.training.recipe_file import load_recipe, recipe_names;"
        "[load_recipe(name) for name in recipe_names()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
