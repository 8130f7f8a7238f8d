"""A study of embeddings made by code: what real runs would write, without a network."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from safetensors.numpy import save_file

from made_study import RECIPE, write_run
from sonoprior.cases import CaseSet
from sonoprior.core.folder import read_json, stamp, write_json
from sonoprior.studies.layout import PlannedRun, planned_runs
from sonoprior.training.hierarchy_settings import RetrievalSettings
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.retrieval_evaluation import Known, Part, retrieval_table

LEVELS = {"finding": ["benign", "malignant", "normal"], "state": ["ill", "well"]}
EMBEDDING = RECIPE | {
    "name": "made-embeddings",
    "about": "Are the nearest cases right more often? Made to show the page, not to answer it.",
    "data": {"size": 64, "level": "finding"},
    "model": {"embedding": {"dimension": 8}},
    "hierarchy": {"levels": list(LEVELS)},
    "objectives": {"metric": {"type": "metric"}},
    "training": {"epochs": 6, "monitor": "recall@1.finding"},
    "split": {"protocol": "cross_evaluation", "folds": 2},
    "study": {
        "primary": "recall@1.finding",
        "seeds": 1,
        "variants": {"plain": {}, "guided": {"objectives.metric.weight": 2}},
    },
    "published": [
        {"table": "3.4", "metric": "recall@1.state", "rows": [{"variant": "plain", "value": 91.44}]},
        {"table": "3.7", "metric": "recall@1", "rows": [{"variant": "plain", "value": 80.6}]},
    ],
}
SKILL = {"plain": 0.5, "guided": 1.5}


def known_of(case_set: CaseSet) -> Known:
    """What is known of the made cases; terms agree with their classes, up to noise."""
    finding = case_set.labels()
    terms = finding + np.random.default_rng(5).normal(0, 0.3, len(finding))
    return Known(
        ids=np.array(case_set.ids),
        groups=case_set.groups(),
        labels={"finding": finding, "state": (finding == 2).astype(np.int64)},
        classes=LEVELS,
        distances=np.array([[0, 0.5, 1], [0.5, 0, 1], [1, 1, 0]]),
        sets=lambda one, two: -np.abs(np.subtract.outer(terms[one], terms[two])),
    )


def write_embedding_study(folder: Path, case_set: CaseSet, recipe: dict | None = None) -> Path:
    """A finished study folder."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe or EMBEDDING, sort_keys=False))
    settings = load_recipe(folder / "recipe.yaml")
    stamp(folder, "study", 1)
    for run in planned_runs(settings):
        write_embedding_run(run.folder(folder), case_set, settings, run)
    return folder


def write_embedding_run(
    folder: Path, case_set: CaseSet, recipe: Recipe, run: PlannedRun, classifies: bool = False
) -> Path:
    """One run folder, as far as reports read it."""
    write_run(folder, case_set, recipe, run)
    predictions = pd.read_csv(folder / "predictions.csv")
    parts = embed(case_set, predictions, run)
    table = retrieval_table(parts, known_of(case_set), RetrievalSettings())
    table.to_csv(folder / "retrieval.csv", index=False)
    embeddings = {name: part.embeddings for name, part in parts.items()}
    save_file(embeddings, folder / "embeddings.safetensors")
    identity = read_json(folder / "run.json")
    identity |= {"levels": LEVELS, "embeds": True, "classifies": classifies, "priors": []}
    write_json(folder / "run.json", identity)
    pd.read_csv(folder / "localisation.csv").head(0).to_csv(folder / "localisation.csv", index=False)
    log = pd.read_csv(folder / "log.csv").rename(columns={"val.accuracy": "val.recall@1.finding"})
    log.to_csv(folder / "log.csv", index=False)
    if not classifies:
        predictions[["case", "part", "group", "label"]].to_csv(folder / "predictions.csv", index=False)
    return folder


def embed(case_set: CaseSet, predictions: pd.DataFrame, run: PlannedRun) -> dict[str, Part]:
    """Cases that lie around a corner for their class, the nearer the greater the skill."""
    place = {case: at for at, case in enumerate(case_set.ids)}
    rng = np.random.default_rng([6, run.fold, run.seed])
    parts = {}
    for name in ("validation", "test"):
        at = np.array([place[case] for case in predictions["case"][predictions["part"] == name]])
        points = SKILL.get(run.variant, 1.0) * np.eye(8)[case_set.labels()[at]]
        points = points + rng.normal(0, 0.5, points.shape)
        parts[name] = Part((points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), at)
    return parts
