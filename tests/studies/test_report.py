import base64
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from made_study import FULL, SMALL, FakePredictor, Made, write_cases, write_study, write_tried
from sonoprior.cases import CaseSet
from sonoprior.core.errors import DataError
from sonoprior.render.blocks import Paragraph, Table
from sonoprior.studies import StudyResults, run_report, sections, study_report
from sonoprior.studies.measures import measure_named
from sonoprior.studies.report import report_of_study
from sonoprior.studies.sections import what_was_compared


class Words(HTMLParser):
    """The text of a page, its headings, links, pictures, and the first cell of each table row."""

    def __init__(self, html):
        super().__init__()
        self.text, self.links, self.sources, self.headings, self.first_cells = "", [], [], [], []
        self._within, self._row_begins = "", False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "img":
            assert found["alt"], "every picture is described"
            self.sources.append(found["src"])
        if "href" in found:
            self.links.append(found)
        self._row_begins = tag == "tr" or (self._row_begins and tag == "td")
        self._within = tag

    def handle_data(self, data):
        if self._within != "style":
            self.text += data
        if self._within == "h2":
            self.headings.append(data)
        if self._within == "td" and self._row_begins:
            self.first_cells.append(data)
        if data.strip():
            self._within, self._row_begins = "", False


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    """The report of the made study."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    study_report(StudyResults.read(made.study), made.case_set, out, load=made.load)
    return out.read_text()


@pytest.fixture(scope="module")
def words(page):
    """What stands in it."""
    return Words(page)


def test_the_page_says_what_it_ran_on_and_not_where_the_cases_lay(words):
    assert "torch" in words.text
    assert "/home/somebody" not in words.text


def test_the_page_opens_without_a_network(page, words):
    assert words.sources
    assert all(source.startswith("data:image/") for source in words.sources)
    assert all(link["href"].startswith(("#", "data:text/csv")) for link in words.links)
    assert "<script" not in page
    assert "<link" not in page
    assert not re.findall(r"https?://", page)


def test_the_answer_stands_first(words):
    assert words.headings[0] == "The answer"
    answer = words.text.index("alpha-10 reached a balanced accuracy")
    assert answer < words.text.index("Data: made lesions")
    assert "The interval leaves zero out" in words.text


def test_what_was_left_out_of_the_recipe_is_said(made):
    results = StudyResults.read(made.study)
    assert "Left out" not in str(what_was_compared(results, None))
    study = results.recipe.study.model_copy(update={"left_out": ("alpha-1", "blob")})
    fewer = replace(results, recipe=results.recipe.model_copy(update={"study": study}))
    assert "Left out of the variants of the recipe: alpha-1, blob." in str(what_was_compared(fewer, None))


def test_networks_that_differ_by_variant_are_all_named(made):
    results = StudyResults.read(made.study)
    network = results.first.recipe.model.backbone
    assert f"Network: {network}; weights" in str(what_was_compared(results, None))

    def on_another(run):
        model = run.recipe.model.model_copy(update={"backbone": "another"})
        return replace(run, recipe=run.recipe.model_copy(update={"model": model}))

    plain, *others = results.runs
    runs = {plain: results.runs[plain]} | {
        name: [on_another(run) for run in results.runs[name]] for name in others
    }
    text = str(what_was_compared(replace(results, runs=runs), None))
    assert f"Network: {network}, another, by variant; weights" in text


def test_every_section_is_there(words):
    assert words.headings == [
        "The answer",
        "What was compared",
        "Did it look there",
        "Where it looked",
        "Every measure",
        "Class by class and how sure",
        "How training went",
        "What changed",
        "Errors",
        "Published: table 2.8",
        "How this page was made",
    ]


def test_simulated_data_are_called_so(words):
    assert "Simulated data" in words.text
    assert "Research use only; not a diagnosis." in words.text


def test_published_numbers_stand_beside_with_their_own_column(words):
    assert "81.88" in words.text
    assert "this study: accuracy, %" in words.text
    assert "Another network, other weights, other splits." in words.text


def test_a_heading_names_a_table_a_figure_or_a_section(made):
    results = StudyResults.read(made.study)
    (table,) = results.recipe.published
    printed = {"2.8": "table 2.8", "figure 2.10": "figure 2.10", "section 3.3": "section 3.3"}
    tables = [table.model_copy(update={"table": name}) for name in printed]
    recipe = results.recipe.model_copy(update={"published": tables})
    parts = report_of_study(replace(results, recipe=recipe)).parts
    headings = [part.heading for part in parts if part.heading.startswith("Published")]
    assert headings == [f"Published: {name}" for name in printed.values()]


def test_every_plot_has_its_numbers(words):
    files = {link["download"]: unquote(link["href"]) for link in words.links if "download" in link}
    assert {
        "differences.csv",
        "runs.csv",
        "localisation.csv",
        "results.csv",
        "confusion-plain.csv",
        "confusion-alpha-10.csv",
        "reliability.csv",
        "training.csv",
    } <= set(files)
    assert "plain" in files["runs.csv"]
    assert "difference_low" in files["results.csv"]


def test_the_gallery_shows_variants_side_by_side_with_the_free_channels(words):
    for name in ("image", "outline", "plain", "alpha-1", "alpha-10", "free channels", "outlined as empty"):
        assert name in words.text
    # six cases: image, outline where there is one, and for each of three variants two maps
    jpegs = [source for source in words.sources if source.startswith("data:image/jpeg")]
    assert len(jpegs) >= 6 * (1 + 2 * 3)
    assert base64.b64decode(jpegs[0].split(",")[1]).startswith(b"\xff\xd8")


def test_errors_have_their_images_and_the_page_stays_small(page, words):
    assert re.search(r"plain: the 12 of \d+ wrong cases, those first", words.text)
    assert re.search(r"Of 90 test cases, \d+ are wrong in plain and right in alpha-10", words.text)
    assert len(page) < 3_000_000


def test_the_command_and_the_recipe_are_there(made, words):
    assert f"sonoprior study {made.study}/recipe.yaml --data {made.cases} --out {made.study}" in words.text
    assert "made-pga" in words.text
    assert "torch" in words.text


def test_the_page_is_the_same_every_time(small, tmp_path):
    pages = [
        study_report(
            StudyResults.read(small.study), small.case_set, tmp_path / name, load=small.load
        ).read_text()
        for name in ("one.html", "two.html")
    ]
    assert pages[0] == pages[1]


def test_several_priors_have_a_row_each(tmp_path):
    cases = write_cases(tmp_path / "cases", 24, zones=("sac", "embryo"))
    recipe = {**SMALL, "data": {"size": 64, "priors": {"source": "outlines", "grouping": "each"}}}
    made = Made(cases, write_study(tmp_path / "study", CaseSet.open(cases), recipe))
    out = study_report(StudyResults.read(made.study), made.case_set, load=made.load)
    assert out == made.study / "report.html"
    rows = [row for row in Words(out.read_text()).first_cells if row in {"sac", "embryo", "free channels"}]
    assert rows == ["sac", "embryo", "free channels"] * 6


def test_a_report_without_the_case_set_says_so_and_has_no_images(small, tmp_path):
    out = study_report(StudyResults.read(small.study), out=tmp_path / "report.html")
    found = Words(out.read_text())
    assert found.text.count("so it shows no images") == 2
    assert not [source for source in found.sources if source.startswith("data:image/jpeg")]


def test_a_study_of_two_machines_names_both(small, tmp_path):
    study = shutil.copytree(small.study, tmp_path / "study")
    path = study / "runs/alpha-10/fold0-seed0/environment.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(kept | {"versions": {"torch": "2.12"}, "gpu": "a card"}))
    written = study_report(StudyResults.read(study)).with_suffix(".md").read_text()
    assert "| what | 3 runs | 1 run |" in written
    assert "| torch | 2.11 | 2.12 |" in written
    assert "| gpu | – | a card |" in written


def test_a_study_without_its_weights_has_a_report_that_names_what_it_cannot_show(small, tmp_path):
    study = shutil.copytree(small.study, tmp_path / "study")
    for path in study.glob("runs/alpha-10/*/weights.safetensors"):
        path.unlink()
    written = study_report(StudyResults.read(study), small.case_set, load=small.load).read_text()
    found = Words(written)
    assert "Without their weights it cannot be shown where these looked: alpha-10." in found.text
    assert 'alt="alpha-10, ' not in written
    assert 'alt="plain, ' in written

    shutil.rmtree(study / "runs/alpha-10")
    for path in study.glob("runs/*/*/weights.safetensors"):
        path.unlink()
    text = Words(study_report(StudyResults.read(study), small.case_set, load=small.load).read_text()).text
    assert "Without their weights it cannot be shown where these looked: plain." in text


def test_an_unfinished_study_warns(small, tmp_path):
    study = write_study(tmp_path / "study", small.case_set, SMALL, leave_out=1)
    out = study_report(StudyResults.read(study), small.case_set, load=small.load)
    assert "This study is not complete: 1 of 4 runs is missing (" in Words(out.read_text()).text


def test_a_study_of_the_baseline_without_outlines_has_a_report(small, tmp_path):
    study = shutil.copytree(small.study, tmp_path / "study")
    shutil.rmtree(study / "runs" / "alpha-10")
    for path in study.glob("runs/*/*/localisation.csv"):
        path.write_text(path.read_text().splitlines()[0] + "\n")
    text = Words(study_report(StudyResults.read(study), small.case_set, load=small.load).read_text()).text
    assert "Nothing can be compared yet" in text
    assert "Not measured: no test case has an outline" in text


def test_variants_of_other_outlines_stand_in_tables_of_their_own(small, tmp_path):
    study = shutil.copytree(small.study, tmp_path / "study")
    for path in study.glob("runs/alpha-10/*/run.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"priors": ["each", "of", "them"]}))
    results = StudyResults.read(study)
    runs = {name: results.runs[name] for name in ("plain", "alpha-10")}
    blocks = sections.localisation(runs, runs["plain"][0])
    first, second = (block for block in blocks if isinstance(block, Table))
    assert (first.header[3:-1], second.header[3:-1]) == (["plain"], ["alpha-10"])
    assert "Against each, of, them:" in [block.text for block in blocks if isinstance(block, Paragraph)]
    (alike,) = (
        block
        for block in sections.localisation({"plain": runs["plain"]}, runs["plain"][0])
        if isinstance(block, Table)
    )
    assert alike.rows == first.rows


ODD = {
    "incomplete": {"leave_out": 7},
    "one seed and one fold": {"recipe": {"split": {"protocol": "single_split"}, "seeds": 1}},
    "one fold": {"recipe": {"split": {"protocol": "given"}}},
    "everything": {"recipe": {}, "tried": True},
}


@pytest.fixture(scope="module", params=ODD)
def odd(request, tmp_path_factory):
    """A study of everything that can be asked, with something missing; both pages are written."""
    asked, folder = ODD[request.param], tmp_path_factory.mktemp("odd")
    case_set = CaseSet.open(write_cases(folder / "cases", 36))
    own = dict(asked.get("recipe", {}))
    seeds = {"seeds": own.pop("seeds")} if "seeds" in own else {}
    recipe = FULL | {"split": SMALL["split"]} | own | {"study": FULL["study"] | seeds}
    study = write_study(folder / "study", case_set, recipe, asked.get("leave_out", 0))
    if asked.get("tried"):
        write_tried(study, recipe)
    study_report(StudyResults.read(study, case_set), case_set, load=FakePredictor)
    return study


def test_a_page_of_everything_holds_together(odd):
    """In both forms: no number that is none, every table with equal rows, every picture there."""
    html, text = (odd / "report.html").read_text(), (odd / "report.md").read_text()
    assert not re.search(r"\bnan\b|\binf\b", Words(html).text)
    assert not re.search(r"\bnan\b|\binf\b", text)
    widths: list[int] = []
    for line in text.splitlines():
        widths = [*widths, len(re.findall(r"(?<!\\)\|", line))] if line.startswith("|") else []
        assert len(set(widths)) <= 1, line
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (odd / target).is_file(), target
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:4] == [
        "The question",
        "The answer",
        "Did the place matter",
        "How many labels it saves",
    ]
    assert ("What was tried" in headings) == (odd / "tried.csv").is_file()


def test_markdown_shows_no_images_of_cases(odd):
    assert {path.suffix for path in (odd / "report").iterdir()} == {".svg"}
    assert "Where it looked" not in (odd / "report.md").read_text()
    assert "> **Simulated data" in (odd / "report.md").read_text()


@pytest.fixture(scope="module")
def many(small, tmp_path_factory):
    """The results of a study of twelve variants."""
    others = {f"other-{number}": {"training.epochs": 20 + number} for number in range(6)}
    asked = FULL["study"] | {"seeds": 1, "variants": FULL["study"]["variants"] | others}
    recipe = FULL | {"split": {"protocol": "single_split"}, "study": asked}
    return StudyResults.read(write_study(tmp_path_factory.mktemp("many") / "study", small.case_set, recipe))


def test_of_many_variants_those_of_the_answer_stand_side_by_side(many):
    results = many
    text = study_report(results).with_suffix(".md").read_text()
    chosen = [name for name in (results.baseline, results.chosen) if name]
    said = re.search(r"Of these, (.*) are shown side by side below; every measure is given of all", text)
    assert set(chosen) <= set(said[1].split(", "))
    assert len(said[1].split(", ")) <= 6
    every = text.partition("## Every measure")[2].partition("## ")[0]
    assert all(f"| {name} |" in every for name in results.runs)


def test_what_the_recipe_names_is_shown_too(many):
    def named(*shown):
        study = many.recipe.study.model_copy(update={"shown": shown})
        return replace(many, recipe=many.recipe.model_copy(update={"study": study}))

    before = list(sections.side_by_side(many))
    results = named("other-4", "other-1", before[0])
    few = sections.side_by_side(results)
    assert set(few) == {*before, "other-1", "other-4"}
    assert list(few) == [name for name in many.runs if name in few]
    closer = sections.looked_at(results)
    assert list(closer) == [*dict.fromkeys([*sections.opposed(many), "other-4", "other-1", before[0]])]
    tables = [one for one in sections.class_by_class(few, closer, many.first) if isinstance(one, Table)]
    by_class, *matrices = tables
    assert by_class.header[2:] == list(few)
    assert [name for one in matrices for name in one.header] == list(closer)
    lengths = [len(one.header) for one in matrices]
    assert max(lengths) <= 3
    assert max(lengths) - min(lengths) <= 1
    assert [bool(one.caption) for one in matrices] == [True] + [False] * (len(matrices) - 1)
    assert list(sections.looked_at(named("other-2"))) == [*sections.opposed(many), "other-2"]


def test_the_table_of_classes_is_that_of_scikit_learn_over_the_predictions(small):
    """Not of the metrics that a run kept: an older version kept fewer."""
    scores = {"F1, %": f1_score, "precision, %": precision_score, "found, %": recall_score}
    results = StudyResults.read(small.study)
    classes = results.first.classes
    rows = iter(sections.class_by_class(results.runs, {}, results.first)[0].rows)
    for title, score in scores.items():
        theirs = {
            variant: [
                score(table["label"], table["predicted"], labels=classes, average=None)
                for table in (
                    pd.read_csv(run.folder / "predictions.csv").query("part == 'test'") for run in runs
                )
            ]
            for variant, runs in results.runs.items()
        }
        for at, name in enumerate(classes):
            means = [100 * np.mean(found, axis=0)[at] for found in theirs.values()]
            row = next(rows)
            assert row[:2] == [title, name]
            assert [float(cell.partition(" ")[0]) for cell in row[2:]] == pytest.approx(means, abs=0.051)
    assert next(rows, None) is None


def test_metrics_that_are_not_defined_are_dashes(small, tmp_path):
    """With one class in the test part there is no AUROC."""
    study = shutil.copytree(small.study, tmp_path / "study")
    for path in [*study.glob("runs/*/*/predictions.csv"), *study.glob("runs/*/*/localisation.csv")]:
        table = pd.read_csv(path)
        table[(table["part"] != "test") | (table["label"] == "benign")].to_csv(path, index=False)
    results = StudyResults.read(study)
    results.write()
    assert np.isnan(results.outcome("plain", measure_named("auroc")).interval.value)
    text = Words(study_report(results).read_text()).text
    assert "AUROC" in text
    assert not re.search(r"\bnan\b", text)
    assert json.loads((study / "summary.json").read_text())["complete"] is True


def test_a_single_run_has_a_report(small, tmp_path):
    run = small.study / "runs/alpha-10/fold1-seed0"
    found = Words(run_report(run, tmp_path / "run.html", small.case_set, small.load).read_text())
    assert found.headings[0] == "What it can do"
    assert "It reached a balanced accuracy of" in found.text
    assert "alpha-10, fold 1, seed 0" in found.text
    assert all(source.startswith("data:image/") for source in found.sources)


def test_maps_without_free_channels_have_no_row_for_them(small, tmp_path):
    class NothingFree(FakePredictor):
        def _looked(self, image):
            found = super()._looked(image)
            return type(found)(found.prediction, found.maps, np.zeros_like(found.free))

    run = small.study / "runs/alpha-10/fold0-seed0"
    out = run_report(run, tmp_path / "run.html", small.case_set, NothingFree)
    assert "free channels" not in Words(out.read_text()).text


def test_another_case_set_is_refused(small, tmp_path):
    other = small.case_set.subset([0, 1, 2])
    with pytest.raises(DataError, match="must hold the cases of the runs, but it has no case 'case-"):
        run_report(small.study / "runs/plain/fold0-seed0", tmp_path / "run.html", other, small.load)
    assert not (tmp_path / "run.html").exists()


def test_variants_with_other_priors_stand_in_a_table_of_their_own(tmp_path):
    cases = write_cases(tmp_path / "cases", 24, zones=("sac", "embryo"))
    each = {"data.priors.grouping": "each"}
    study = SMALL["study"] | {"variants": {"plain": {"objectives.guidance.weight": 0}, "alpha-10": each}}
    recipe = {**SMALL, "data": {"size": 64, "priors": {"source": "outlines"}}, "study": study}
    made = Made(cases, write_study(tmp_path / "study", CaseSet.open(cases), recipe))
    out = study_report(StudyResults.read(made.study), made.case_set, load=made.load)
    shown = {"all", "sac", "embryo", "free channels"}
    rows = [row for row in Words(out.read_text()).first_cells if row in shown]
    assert rows == ["all", "free channels"] * 6 + ["sac", "embryo", "free channels"] * 6
