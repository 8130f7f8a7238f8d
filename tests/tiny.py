"""A tiny case set, and a recipe that trains on it in a second."""

from pathlib import Path

import numpy as np

CLASSES = ["dark", "bright"]
CASES = 36


def blob(rng: np.random.Generator, bright: bool, side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A disc on speckle, and where it is: bright discs are one class, dark ones the other."""
    rows, columns = np.mgrid[:side, :side]
    row, column = rng.uniform(side * 0.3, side * 0.7, 2)
    disc = (rows - row) ** 2 + (columns - column) ** 2 < (side * 0.2) ** 2
    grey = rng.normal(110, 20, (side, side)) + (70 if bright else -70) * disc
    return grey.clip(0, 255).astype(np.uint8), disc


def write_blobs(folder: Path, cases: int = CASES, **info) -> Path:
    """Two classes in turn; every third case has an outline, one of them an empty one; exams of two images."""
    from sonoprior.cases import EMPTY, CaseSetWriter, DatasetInfo

    rng = np.random.default_rng(0)
    about = {"name": "blobs", "levels": {"tone": CLASSES}, "zones": ["disc"]} | info
    with CaseSetWriter(folder, DatasetInfo(**about)) as writer:
        for number in range(cases):
            image, disc = blob(rng, bright=number % 2 == 1)
            drawn = {} if number % 3 else {"disc": EMPTY if number == 0 else disc}
            label = {"tone": CLASSES[number % 2]}
            writer.add(
                f"case{number:02}",
                image,
                labels=label,
                outlines=drawn,
                exam=f"e{number // 2 % 9}-{number % 2}",
            )
    return folder


TINY = {
    "format": 1,
    "name": "tiny",
    "data": {"size": 32, "priors": {"source": "outlines", "grouping": "one"}},
    "model": {"backbone": "test_resnet", "tap": "stage2", "dropout": 0.2},
    "objectives": {
        "classification": {"type": "cross_entropy"},
        "guidance": {"type": "prior_guided_attribution", "weight": 1.0},
    },
    "training": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "threads": 1},
    "split": {
        "protocol": "single_split",
        "validation": 0.25,
        "test": 0.25,
        "keep_duplicates_together": False,
    },
    "study": {
        "seeds": 1,
        "variants": {"plain": {"objectives.guidance.weight": 0}, "guided": {"objectives.guidance.weight": 2}},
    },
    "quick": {"training.epochs": 1},
}

VIEWS = {
    "transverse view of right adnexa": "adnexal view",
    "transverse view of left adnexa": "adnexal view",
    "longitudinal view of the uterus": "uterus view",
    "oblique view of the uterus": "uterus view",
    "longitudinal view of bladder": "bladder and vesicouterine fold view",
}


def stripes(rng: np.random.Generator, kind: int, side: int = 40) -> np.ndarray:
    """Stripes on speckle whose direction is that of their kind."""
    rows, columns = np.mgrid[:side, :side]
    angle = np.pi * kind / len(VIEWS)
    wave = np.sin((np.cos(angle) * rows + np.sin(angle) * columns) / 2 + rng.uniform(0, 6))
    return (rng.normal(120, 25, (side, side)) + 50 * wave).clip(0, 255).astype(np.uint8)


def write_views(folder: Path, cases: int = 60, metas: bool = True) -> Path:
    """Five views of three meta-views, in exams of five frames, each with its view and a finding as terms."""
    from sonoprior.cases import CaseSetWriter, DatasetInfo

    rng = np.random.default_rng(0)
    levels = {"view": list(VIEWS), "meta": list(dict.fromkeys(VIEWS.values()))}
    with CaseSetWriter(folder, DatasetInfo(name="stripes", levels=levels)) as writer:
        for number in range(cases):
            view = list(VIEWS)[number % len(VIEWS)]
            labels = {"view": view} | ({"meta": VIEWS[view]} if metas else {})
            finding = "fibroid" if number % 2 else "anteverted uterus"
            writer.add(
                f"case{number:02}",
                stripes(rng, number % len(VIEWS)),
                labels=labels,
                terms=f"{view};{finding}",
                exam=f"e{number // len(VIEWS)}",
            )
    return folder


EMBEDDING = {
    "format": 1,
    "name": "tiny-embedding",
    "data": {"level": "view", "size": 32},
    "model": {"backbone": "test_resnet", "tap": "stage2", "embedding": {"dimension": 8}},
    "hierarchy": {"levels": ["view", "meta"], "ontology": "early_pregnancy"},
    "objectives": {"similarity": {"type": "semantic_abstraction", "alphas": [1, 0.5]}},
    "augment": {"mirror": 0},
    "training": {
        "epochs": 2,
        "batch_size": 12,
        "sampling": "classes",
        "cases_per_class": 4,
        "learning_rate": 0.003,
        "threads": 1,
        "monitor": "recall@1.view",
    },
    "split": {
        "protocol": "single_split",
        "validation": 0.25,
        "test": 0.25,
        "keep_duplicates_together": False,
    },
    "study": {
        "primary": "recall@1.view",
        "seeds": 1,
        "variants": {
            "plain": {"objectives.similarity.alphas": [1, 0]},
            "guided": {"objectives.similarity.alphas": [1, 0.5]},
        },
    },
}
