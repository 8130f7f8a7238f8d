"""A study folder of embeddings made by code: 18 classes in 5 kinds, whose cases lie near their cousins."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from made_study import Made, write_study
from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.core.folder import read_json, write_json
from sonoprior.metrics.neighbours import Embedded, nearest
from sonoprior.studies.finished import FinishedRun

KINDS = {
    "uterus": ["longitudinal uterus", "oblique uterus", "longitudinal cervix", "transverse uterus"],
    "interstitial": ["left interstitial", "right interstitial", "left tubal portion", "right tubal portion"],
    "adnexa": ["transverse right adnexa", "transverse left adnexa", "long right adnexa", "long left adnexa"],
    "bladder": ["longitudinal bladder", "vesicouterine fold"],
    "sac": ["gestational sac", "embryo", "trophoblast", "yolk sac"],
}
# Not in the order of the kinds, as in a case set of real names.
VIEWS = sorted(name for names in KINDS.values() for name in names)
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}
# How well a variant tells views apart, and how well their kinds.
SKILL = {"plain": (1.0, 0.5), "guided": (1.2, 2.2)}
RECIPE = {
    "format": 1,
    "name": "made-sal",
    "about": "Do classes that are cousins come near each other? Made to show the page, not to answer it.",
    "data": {"size": 64, "level": "view"},
    "model": {"embedding": {"logits": True}},
    "hierarchy": {"levels": ["view", "kind"]},
    "objectives": {"classification": {"type": "cross_entropy"}},
    "training": {"epochs": 14},
    "split": {"protocol": "cross_evaluation", "folds": 2},
    "study": {
        "seeds": 1,
        "variants": {"plain": {}, "guided": {"training.epochs": 13}},
    },
}
SMALL_SIDE = 48


def write_views(folder: Path, cases: int = 360) -> Path:
    """Two images of each patient, of one view: stripes whose direction is the view and grey the kind."""
    info = DatasetInfo(name="made views", levels={"view": VIEWS, "kind": list(KINDS)}, simulated=True)
    rows, columns = np.mgrid[:SMALL_SIDE, :SMALL_SIDE]
    rng = np.random.default_rng(0)
    with CaseSetWriter(folder, info) as writer:
        for number in range(cases):
            view = VIEWS[(number // 2) % len(VIEWS)]
            angle = np.pi * VIEWS.index(view) / len(VIEWS)
            wave = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) / 3 + rng.uniform(0, 6))
            image = 40 + 35 * list(KINDS).index(KIND_OF[view]) + 30 * wave + rng.normal(0, 6, rows.shape)
            labels = {"view": view, "kind": KIND_OF[view]}
            picture = image.clip(0, 255).astype(np.uint8)
            writer.add(f"case-{number:04}", picture, labels=labels, patient=f"p{number // 2}")
    return folder


def write_embedding_study(folder: Path, case_set: CaseSet, recipe: dict | None = None) -> Path:
    """A study whose runs embed."""
    study = write_study(folder, case_set, recipe or RECIPE)
    for path in sorted(study.glob("runs/*/*/run.json")):
        add_embedding(path.parent)
    return study


def add_embedding(run: Path) -> None:
    """What a run with an embedding has besides: drawn embeddings, and what is found by them."""
    identity = read_json(run / "run.json")
    levels = {"view": VIEWS, "kind": list(KINDS)}
    write_json(run / "run.json", identity | {"levels": levels, "embeds": True, "classifies": True})
    measured = pd.read_csv(run / "predictions.csv", dtype=str)
    parts = dict(list(measured.groupby("part", sort=False)))
    stored = {part: embeddings(table["label"], identity["variant"]) for part, table in parts.items()}
    pd.concat([_found(table, stored[part]) for part, table in parts.items()]).to_csv(
        run / "retrieval.csv", index=False
    )
    save_file(stored, run / "embeddings.safetensors")
    save_file({"view": text_similarity(VIEWS)}, run / "language.safetensors")


def embeddings(labels, variant: str) -> np.ndarray:
    """A case is its kind and its view, in directions of their own, and noise."""
    rng = np.random.default_rng([5, len(variant)])
    of_view, of_kind = SKILL.get(variant, (1.0, 1.0))
    towards = np.random.default_rng(6).normal(0, 1, (len(VIEWS) + len(KINDS), 16))
    drawn = rng.normal(0, 1.1, (len(labels), 16))
    for row, label in enumerate(labels):
        drawn[row] += of_view * towards[VIEWS.index(label)]
        drawn[row] += of_kind * towards[len(VIEWS) + list(KINDS).index(KIND_OF[label])]
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def text_similarity(views) -> np.ndarray:
    """1 for a view with itself, 0.7 for a cousin, 0.2 for others, and a little of its own for each pair."""
    kinds = np.array([KIND_OF[view] for view in views])
    own = np.random.default_rng(7).uniform(0, 0.1, (len(views), len(views)))
    alike = np.where(kinds[:, None] == kinds, 0.7, 0.2) + (own + own.T) / 2
    return np.where(np.eye(len(views), dtype=bool), 1.0, alike).astype(np.float32)


def _found(table: pd.DataFrame, given: np.ndarray) -> pd.DataFrame:
    places = nearest(Embedded(given, table["group"].to_numpy(object)), k=1).index[:, 0]
    views, cases = table["label"].to_numpy(str), table["case"].to_numpy(str)
    kinds = np.array([KIND_OF[view] for view in views])
    found = np.where(places < 0, "", views[places])
    columns = {
        "case": cases,
        "part": table["part"].to_numpy(str),
        "group": table["group"].to_numpy(str),
        "label.view": views,
        "label.kind": kinds,
        "nearest": np.where(places < 0, "", cases[places]),
        "cluster.view": 0,
        "cluster.kind": 0,
    }
    right = {"view": found == views, "kind": np.array([KIND_OF.get(name) for name in found]) == kinds}
    for level, of in right.items():
        for name in ("recall@1", "recall@2", "recall@4", "recall@8", "recall@10", "r_precision", "map@r"):
            columns[f"{name}.{level}"] = of.astype(float)
    wrong = 1 - text_similarity(VIEWS)
    columns["how_wrong.view"] = [
        np.nan if not near or near == view else float(wrong[VIEWS.index(view), VIEWS.index(near)])
        for view, near in zip(views, found, strict=True)
    ]
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class MadeEmbedding(Made):
    """A made case set with a study of embeddings."""

    def run(self, variant: str = "guided", fold: int = 0) -> FinishedRun:
        """One of its runs."""
        return FinishedRun.read(self.study / "runs" / variant / f"fold{fold}-seed0")
