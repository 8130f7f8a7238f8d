import json
import re
import shutil
from collections import Counter
from html import unescape
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import spearmanr

from made_embedding import KIND_OF, KINDS, RECIPE, VIEWS, MadeEmbedding, write_embedding_study, write_views
from sonoprior.cases import CaseSet
from sonoprior.core.errors import FolderError, MissingExtraError
from sonoprior.render.blocks import Download, Gallery, Note, Table
from sonoprior.render.page import Page
from sonoprior.studies import embedding_map
from sonoprior.studies.class_similarity import agreement, class_similarity
from sonoprior.studies.embedded import classes_and_metas, embedded, lineage
from sonoprior.studies.embedding_map import drawn, tsne, umap
from sonoprior.studies.embedding_sections import (
    class_similarity_section,
    found_section,
    how_wrong_section,
    map_section,
)
from sonoprior.studies.finished import FinishedRun
from sonoprior.studies.nearest_cases import by_chance
from sonoprior.studies.nearest_verdicts import how_wrong, verdict
from sonoprior.studies.neighbours_gallery import chosen_queries, searched


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two variants, one split in two folds; not to be written to."""
    folder = tmp_path_factory.mktemp("embedding")
    cases = write_views(folder / "cases", 216)
    return MadeEmbedding(cases, write_embedding_study(folder / "study", CaseSet.open(cases)))


@pytest.fixture(autouse=True)
def _without_umap(request, monkeypatch):
    """UMAP compiles for half a minute; one test draws it."""
    if "umap" not in request.node.name:
        monkeypatch.setattr(embedding_map, "has_umap", lambda: False)


@pytest.fixture
def changed(made, tmp_path):
    """A run whose tables may be changed: `changed(lambda table: table)` of retrieval.csv."""

    def copy(change, keep_embeddings=True):
        folder = shutil.copytree(made.run().folder, tmp_path / "run")
        before = pd.read_csv(folder / "retrieval.csv", dtype=str, keep_default_na=False)
        after = change(before.copy())
        after.to_csv(folder / "retrieval.csv", index=False)
        if keep_embeddings:
            stored = load_file(folder / "embeddings.safetensors")
            rows = {part: table.index for part, table in before.groupby("part")}
            kept = {part: of[rows[part].isin(after.index)] for part, of in stored.items()}
            save_file(kept, folder / "embeddings.safetensors")
        return FinishedRun.read(folder)

    return copy


def html(blocks):
    page = Page("made").section("shown", *blocks).html()
    return unescape(re.sub(r"<[^>]*>", " ", page.partition("<main>")[2]))


def every_section(run, case_set):
    runs = {"guided": run}
    return [
        *how_wrong_section({"guided": [run]}, ["guided"], case_set),
        *class_similarity_section(runs, runs),
        *map_section(runs),
        *found_section(runs, "guided", case_set),
    ]


def test_class_similarity_is_that_of_a_slow_loop():
    rng = np.random.default_rng(0)
    given, labels = rng.normal(0, 1, (12, 5)), np.array([*"aaabbbbcdd", "", "z"])
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    slow = np.full((5, 5), np.nan)
    for row, one in enumerate("abcde"):
        for column, other in enumerate("abcde"):
            pairs = [
                unit[i] @ unit[j]
                for i in np.flatnonzero(labels == one)
                for j in np.flatnonzero(labels == other)
                if i != j
            ]
            slow[row, column] = np.mean(pairs) if pairs else np.nan
    found = class_similarity(given, labels, list("abcde"))
    np.testing.assert_allclose(found, slow, atol=1e-6)
    assert np.isnan(found[2, 2])
    assert np.isnan(found[4]).all()


def test_agreement_is_spearman_over_pairs_of_different_classes():
    rng = np.random.default_rng(1)
    image, text = ((one + one.T) / 2 for one in rng.normal(0, 1, (2, 6, 6)))
    upper = np.triu_indices(6, 1)
    assert agreement(image, text) == pytest.approx(spearmanr(image[upper], text[upper]).statistic)
    image[0, 1] = image[1, 0] = np.nan
    kept = np.isfinite(image[upper])
    assert agreement(image, text) == pytest.approx(spearmanr(image[upper][kept], text[upper][kept]).statistic)
    assert np.isnan(agreement(np.eye(2), np.eye(2)))
    assert np.isnan(agreement(image, np.ones((6, 6))))


def test_classes_stand_beside_their_cousins(made):
    classes, kinds = classes_and_metas(made.run(), "view")
    assert sorted(classes) == VIEWS
    assert classes != VIEWS
    assert kinds == [KIND_OF[name] for name in classes]
    assert list(dict.fromkeys(kinds)) == list(KINDS)
    assert classes_and_metas(made.run(), "kind") == (list(KINDS), [""] * len(KINDS))


def test_verdicts_are_those_of_the_labels(made):
    of = lineage(made.run())
    for query in VIEWS:
        for found in VIEWS:
            slow = "right" if query == found else "near" if KIND_OF[query] == KIND_OF[found] else "far"
            assert verdict(query, found, of) == slow
    assert verdict(VIEWS[0], "", of) == "unknown"
    assert verdict(VIEWS[0], "another", of) == "unknown"


def test_how_wrong_counts_every_nearest_case(made):
    runs = [made.run("plain", fold) for fold in (0, 1)]
    counts, confusions, lots = Counter(), Counter(), []
    for run in runs:
        table = pd.read_csv(run.folder / "retrieval.csv").query("part == 'test'").set_index("case")
        for _, row in table.iterrows():
            view, near = row["label.view"], table["label.view"][row["nearest"]]
            if view == near:
                counts["right"] += 1
                continue
            counts["near" if KIND_OF[view] == KIND_OF[near] else "far"] += 1
            confusions[view, near] += 1
            others = table[table["label.view"] != view]
            lots.append((others["label.kind"] == KIND_OF[view]).mean())
    found = how_wrong(runs)
    assert found.counts == counts
    assert min(counts.values()) > 0
    assert found.confusions == confusions
    assert found.by_lot == pytest.approx(np.mean(lots))
    table, commonest = (block for block in how_wrong_section({"plain": runs}, ["plain"], None)[1:])
    assert table.rows[0][1] == str(sum(counts.values()))
    assert int(commonest.rows[0][-1]) == max(confusions.values())


def test_chance_is_that_of_the_cases_that_may_be_found(made):
    run = made.run()
    table = run.retrieval()
    shares = []
    for _, query in table.iterrows():
        found = table[table["group"] != query["group"]]["label.view"] == query["label.view"]
        if found.any():
            shares.append(found.mean())
    assert by_chance(run) == pytest.approx(np.mean(shares))
    assert table["group"].duplicated().any()


def test_what_is_found_is_that_of_a_slow_loop_without_the_query_s_own_patient(made):
    run = made.run()
    cases, of = embedded(run), searched(run)
    for at in range(len(cases)):
        others = [other for other in range(len(cases)) if cases.groups[other] != cases.groups[at]]
        order = sorted(others, key=lambda other: -(cases.embeddings[at] @ cases.embeddings[other]))
        assert of.found[at] == cases.cases[order[:5]].tolist()
        assert of.found[at][0] == cases.nearest[at]
        labels = cases.labels["view"][order[:5]]
        assert of.verdicts(at) == [verdict(cases.labels["view"][at], label, of.of) for label in labels]


def test_queries_are_of_every_kind_the_worst_first_and_the_same_every_time(made):
    of = searched(made.run("plain"))
    places = chosen_queries(of)
    assert places == chosen_queries(of)
    assert places != chosen_queries(of, seed=1)
    marks = [of.verdicts(at)[0] for at in places]
    assert marks == ["far"] * 3 + ["near"] * 3 + ["right"] * 3
    far = [at for at in range(len(of.cases)) if of.verdicts(at)[0] == "far"]
    worst = sorted(of.cases.how_wrong[far])[::-1][:3]
    assert of.cases.how_wrong[places[:3]].tolist() == worst


def test_every_found_case_is_marked_by_a_word_and_a_colour(made):
    runs = {name: made.run(name) for name in ("plain", "guided")}
    galleries = [
        block for block in found_section(runs, "guided", made.case_set) if isinstance(block, Gallery)
    ]
    assert [block.caption.partition(":")[0] for block in galleries] == ["guided", "plain"] * 9
    badges = {(tile.badge, tile.tone) for block in galleries for tile in block.tiles}
    assert badges == {
        ("query", "plain"),
        ("✓ right", "good"),
        ("≈ near", "warning"),
        ("✗ far", "bad"),
    }
    assert all(len(block.tiles) == 6 for block in galleries)
    assert isinstance(found_section(runs, "guided", None)[0], Note)


def test_maps_are_drawn_by_seed():
    given = np.random.default_rng(0).normal(0, 1, (12, 4))
    np.testing.assert_array_equal(tsne(given), tsne(given))
    places = drawn(5000)
    assert len(places) == len(set(places.tolist())) == 2000
    np.testing.assert_array_equal(places, drawn(5000))
    assert not np.array_equal(places, drawn(5000, seed=1))
    np.testing.assert_array_equal(drawn(7), np.arange(7))
    assert tsne(given[:5, :1]).shape == (5, 2)


@pytest.mark.long
def test_umap_is_drawn_by_seed():
    pytest.importorskip("umap")
    given = np.random.default_rng(0).normal(0, 1, (40, 4))
    np.testing.assert_array_equal(umap(given), umap(given))


def test_without_the_extra_a_page_says_so(made):
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'sonoprior[plots]'")):
        umap(np.zeros((40, 3)))
    text = html(map_section({"guided": made.run()}))
    assert "t-SNE stands alone" in text
    assert "mean nothing" in text
    assert "guided, by kind" not in text  # inside the picture


def test_a_run_without_its_embeddings_is_refused(made, changed):
    part = pd.read_csv(made.run().folder / "retrieval.csv")["part"][0]
    run = changed(lambda table: table.iloc[1:], keep_embeddings=False)
    with pytest.raises(FolderError, match=r"must hold an embedding for each of the \d+ cases of part"):
        embedded(run, part)
    (run.folder / "embeddings.safetensors").unlink()
    with pytest.raises(FolderError, match=r"embeddings\.safetensors cannot be read"):
        embedded(run)


def test_a_run_that_embeds_and_names_no_levels_is_refused(made, tmp_path):
    folder = shutil.copytree(made.run().folder, tmp_path / "run")
    identity = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**identity, "levels": {}}))
    with pytest.raises(FolderError, match="must name the classes of levels, but names none"):
        embedded(FinishedRun.read(folder))


def test_one_class_only_has_nothing_to_compare(made, changed):
    run = changed(lambda table: table[(table["part"] != "test") | (table["label.view"] == VIEWS[0])])
    text = html(every_section(run, made.case_set))
    assert f"All test cases are of one class ({VIEWS[0]})" in text
    assert not re.search(r"\bnan\b", text)


def test_two_cases_are_too_few_for_a_map(made, changed):
    def two(table):
        test = table[table["part"] == "test"]
        pair = test.drop_duplicates("label.view").iloc[:2].copy()
        pair["nearest"] = pair["case"].to_numpy()[::-1]
        return pd.concat([table[table["part"] != "test"], pair])

    run = changed(two)
    text = html(every_section(run, made.case_set))
    assert "A map needs 5 test cases, but there are 2." in text
    assert "guided not defined" in text
    assert not re.search(r"\bnan\b", text)


def test_unknown_labels_at_a_level_are_said_to_be_unknown(made, changed):
    run = changed(lambda table: table.assign(**{"label.kind": ""}))
    blocks = every_section(run, made.case_set)
    table = next(block for block in blocks if isinstance(block, Table))
    assert table.header[-1] == "of unknown kind"
    assert int(table.rows[0][-1]) > 0
    assert not re.search(r"\bnan\b", html(blocks))


def test_queries_that_no_case_could_answer_are_not_counted(made, changed):
    def unanswered(table):
        return table.assign(**{"recall@1.view": table["recall@1.view"].mask(table.index % 3 == 0, "")})

    run = changed(unanswered)
    asked = run.retrieval()["recall@1.view"].notna()
    assert 0 < asked.sum() < len(asked)
    assert sum(how_wrong([run]).counts.values()) == asked.sum()
    assert how_wrong([run]).counts != how_wrong([made.run()]).counts


def test_training_cases_that_were_searched_are_known_by_the_case_set(made, tmp_path):
    folder = shutil.copytree(made.run().folder, tmp_path / "run")
    (folder / "recipe.yaml").write_text(
        (folder / "recipe.yaml").read_text().replace("gallery: part", "gallery: train")
    )
    table = pd.read_csv(folder / "retrieval.csv", dtype=str, keep_default_na=False)
    train = pd.read_csv(folder / "split.csv").query("part == 'train'")["case"].to_numpy()
    table["nearest"] = np.resize(train, len(table))
    table.to_csv(folder / "retrieval.csv", index=False)
    run = FinishedRun.read(folder)
    assert run.recipe.retrieval.gallery == "train"
    assert set(how_wrong([run]).counts) == {"unknown"}
    known = how_wrong([run], made.case_set)
    assert "unknown" not in known.counts
    assert sum(known.counts.values()) == len(embedded(run))
    assert all(len(found) == 1 for found in searched(run, made.case_set).found)


def test_without_a_hierarchy_there_are_no_cousins(made, tmp_path):
    folder = shutil.copytree(made.run().folder, tmp_path / "run")
    text = (folder / "recipe.yaml").read_text()
    text = re.sub(r"levels:\n\s*- view\n\s*- kind\n", "levels:\n  - view\n", text)
    (folder / "recipe.yaml").write_text(text)
    run = FinishedRun.read(folder)
    of = lineage(run)
    assert (of.level, of.up) == ("view", "")
    assert {verdict(VIEWS[0], name, of) for name in VIEWS} == {"right", "far"}
    tables = [block for block in every_section(run, made.case_set) if isinstance(block, Table)]
    assert tables[0].header == ["variant", "queries", "right", "wrong"]


def test_every_text_is_shown_once_and_every_variant_counted_however_many_there_are(made, tmp_path):
    """Of eight variants four have a text of their own, and two of them stand side by side."""
    from sonoprior.studies import StudyResults
    from sonoprior.studies.report import report_of_study

    others = {f"more-{number}": {"training.epochs": 20 + number} for number in range(6)}
    asked = RECIPE["study"] | {
        "variants": RECIPE["study"]["variants"] | others,
        "shown": ["more-0", "more-1"],
    }
    study = write_embedding_study(tmp_path / "study", made.case_set, RECIPE | {"study": asked})
    for number in range(3, 6):
        for path in study.glob(f"runs/more-{number}/*/language.safetensors"):
            own = np.random.default_rng(number).uniform(0, 1, (len(VIEWS), len(VIEWS)))
            save_file({"view": ((own + own.T) / 2).astype(np.float32)}, path)
    results = StudyResults.read(study)
    parts = {part.heading: part.blocks for part in report_of_study(results, None).parts}
    counted = next(block for block in parts["How wrong the nearest cases are"] if isinstance(block, Table))
    assert [row[0] for row in counted.rows] == list(results.runs)

    matrices = next(block for block in parts["How alike the classes are"] if isinstance(block, Download))
    sides = pd.read_csv(StringIO(matrices.content))["side"].unique().tolist()
    texts = [name for name in sides if name.startswith("text: ")]
    assert texts == ["text: ontology", *(f"text: ontology (more-{number})" for number in range(3, 6))]
    few = [*dict.fromkeys(["plain", results.chosen, "more-0", "more-1"])]
    assert set(sides) - set(texts) == {f"{name}: images" for name in few}
    said = html(parts["How alike the classes are"])
    assert all(re.search(rf"{name} (-?\d\.\d\d|not defined)", said) for name in results.runs)

    files = [block.file for block in parts["A map of the cases"] if isinstance(block, Download)]
    assert len(files) == -(-len(few) // 3)
    assert len(set(files)) == len(files)


def test_nothing_is_shown_of_runs_that_do_not_embed():
    assert how_wrong_section({}, [], None) == []
    assert class_similarity_section({}, []) == map_section({}) == found_section({}, None, None) == []


def test_the_sections_stand_on_both_pages_and_no_image_in_markdown(made):
    from sonoprior.studies import StudyResults
    from sonoprior.studies.report import report_of_run, report_of_study

    ours = [
        "How wrong the nearest cases are",
        "How alike the classes are",
        "A map of the cases",
        "What is found",
    ]
    for report in (
        report_of_study(StudyResults.read(made.study), made.case_set, made.load),
        report_of_run(made.run(), made.case_set, made.load),
    ):
        with_images, without = (
            [one.heading for one in report.page(images).sections] for images in (True, False)
        )
        assert [name for name in with_images if name in ours] == ours
        assert [name for name in without if name in ours] == ours[:-1]
