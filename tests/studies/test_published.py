"""What stands beside published numbers: under which conditions, and what their alpha is here."""

from dataclasses import replace

import pytest

from made_embedding import RECIPE as EMBEDDING
from made_embedding import write_embedding_study, write_views
from made_study import RECIPE, write_study
from sonoprior.cases import CaseSet
from sonoprior.studies import StudyResults
from sonoprior.studies.published import conditions_table
from sonoprior.training.recipe import PublishedTable

OTHERS = PublishedTable(table="3.4", alpha="of the meta level", rows=[{"value": 1}])
WEIGHED = {"type": "semantic_abstraction", "alphas": [1, 0], "loss": {"name": "margin", "alpha": 0.3}}


def alpha_of(results, published=OTHERS):
    rows = conditions_table(results, published).rows
    return [row for row in rows if "alpha" in row[0]]


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return CaseSet.open(write_views(tmp_path_factory.mktemp("views") / "set", 72))


def results_of(views, folder, objectives, variants):
    study = EMBEDDING["study"] | {"variants": variants}
    content = EMBEDDING | {"objectives": EMBEDDING["objectives"] | objectives, "study": study}
    return StudyResults.read(write_embedding_study(folder, views, content))


def test_alpha_is_the_form_of_guidance_where_there_is_guidance(made):
    results = StudyResults.read(made.study)
    assert alpha_of(results) == [["form of alpha", "of the meta level", "correlation"]]
    said_nothing = OTHERS.model_copy(update={"alpha": ""})
    assert alpha_of(results, said_nothing) == [["form of alpha", "–", "correlation"]]


def test_alpha_is_the_weight_of_a_level_where_levels_are_abstracted(views, tmp_path):
    """Not the margin of the loss, which is called alpha too, nor what a variant does not learn by."""
    variants = {
        "plain": {},
        "half": {"objectives.similarity.alphas": [1, 0.5]},
        "without": {"objectives.similarity.weight": 0, "objectives.similarity.alphas": [1, 0.7]},
    }
    results = results_of(views, tmp_path / "study", {"similarity": WEIGHED}, variants)
    ours = "1, 0 or 1, 0.5 in similarity, by variant"
    assert alpha_of(results) == [["alpha", "of the meta level", ours]]
    alone = replace(results, runs={"half": results.runs["half"]})
    assert alpha_of(alone) == [["alpha", "of the meta level", "1, 0.5 in similarity"]]


def test_without_an_alpha_of_ours_there_is_a_dash_and_without_theirs_no_row(views, tmp_path):
    results = results_of(views, tmp_path / "study", {}, {"plain": {}})
    assert alpha_of(results) == [["alpha", "of the meta level", "–"]]
    assert alpha_of(results, OTHERS.model_copy(update={"alpha": ""})) == []


def test_alpha_is_that_of_the_prior_on_sizes_where_clusters_are_made(small, tmp_path):
    prior = {"name": "dirichlet", "alpha": 1.1}
    clusters = {"type": "deep_clustering", "stream": "unlabelled", "size": prior}
    content = RECIPE | {
        "objectives": {"classification": {"type": "cross_entropy"}, "clustering": clusters},
        "streams": {"unlabelled": {"views": "two"}},
        "study": {
            "seeds": 1,
            "variants": {
                "plain": {},
                "higher": {"objectives.clustering.size.alpha": 1.5},
                "entropy": {"objectives.clustering.size": {"name": "entropy"}},
            },
        },
    }
    results = StudyResults.read(write_study(tmp_path / "study", small.case_set, content))
    assert alpha_of(results) == [["alpha", "of the meta level", "1.1 or 1.5 in clustering, by variant"]]
