"""One run that learns by outlines, by an ontology with its language, and from unlabelled frames at once."""

import csv
import math

import numpy as np
import pytest
import torch

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.training.recipe_file import validated
from sonoprior.training.run import Computing, plan_run, train_run
from tiny import EMBEDDING, VIEWS, stripes

CASES, SIDE = 120, 40
OBJECTIVES = {
    "classification": {"type": "cross_entropy"},
    "similarity": {"type": "semantic_abstraction", "alphas": [1, 0.5], "loss": {"name": "multi_similarity"}},
    "language": {"type": "language_guidance", "weights": [1, 0.5]},
    "guidance": {"type": "prior_guided_attribution", "weight": 0.5},
    "contrastive": {"type": "nt_xent", "weight": 0.5, "stream": "pairs", "projection": 8},
    "pseudo-labels": {"type": "fixmatch", "weight": 0.5, "threshold": 0.3},
}
TOGETHER = EMBEDDING | {
    "name": "together",
    "data": {"level": "view", "size": 32, "priors": {"source": "outlines", "grouping": "one"}},
    "model": {"backbone": "test_resnet", "tap": "stage2", "embedding": {"dimension": 8, "logits": True}},
    "objectives": OBJECTIVES,
    "streams": {
        "unlabelled": {"views": "weak-strong", "batch_size": 10},
        "pairs": {"views": "two", "batch_size": 10},
    },
    "training": EMBEDDING["training"] | {"monitor": "balanced_accuracy"},
    "split": EMBEDDING["split"] | {"label_fraction": 0.6},
    "study": {"primary": "balanced_accuracy", "seeds": 1},
}


@pytest.fixture(scope="module")
def outlined_views(tmp_path_factory):
    """Five views in exams of five frames, every other frame outlined, every fifth exam without a label."""
    rng, levels = np.random.default_rng(0), {"view": list(VIEWS), "meta": list(dict.fromkeys(VIEWS.values()))}
    info = DatasetInfo(name="outlined stripes", levels=levels, zones=["square"])
    square = np.zeros((SIDE, SIDE), np.bool_)
    square[10:30, 10:30] = True
    folder = tmp_path_factory.mktemp("views") / "set"
    with CaseSetWriter(folder, info) as writer:
        for number in range(CASES):
            exam, view = number // len(VIEWS), list(VIEWS)[number % len(VIEWS)]
            writer.add(
                f"case{number:03}",
                stripes(rng, number % len(VIEWS), SIDE),
                labels={"view": view, "meta": VIEWS[view]} if exam % 5 else {},
                outlines={"square": square} if number % 2 else {},
                exam=f"e{exam}",
            )
    return CaseSet.open(folder)


def logged(run):
    with (run / "log.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_all_of_them_learn_in_one_run(outlined_views, tmp_path):
    plan = plan_run(validated(TOGETHER, "together"), outlined_views, "plain")
    run = train_run(plan, tmp_path / "run", Computing(torch.device("cpu")))
    rows = logged(run)
    assert len(rows) == TOGETHER["training"]["epochs"]
    terms = {name: [row[f"train.{name}"] for row in rows] for name in ("loss", *OBJECTIVES)}
    assert all(math.isfinite(value) for values in terms.values() for value in values), terms
    assert all(any(values) for values in terms.values()), terms  # nothing is silently left out
    for at in range(len(rows)):
        parts = sum(entry.get("weight", 1.0) * terms[name][at] for name, entry in OBJECTIVES.items())
        assert terms["loss"][at] == pytest.approx(parts, rel=1e-4)
