"""A tiny case set in which a case may show several classes at once, and recipes that train on it."""

from pathlib import Path

import numpy as np

SHAPES = ["disc", "bar", "frame"]
COMBINATIONS = [["disc"], ["bar"], ["disc", "bar"], ["frame"], ["disc"], []]
CASES = 72


def drawn(rng: np.random.Generator, shapes: list[str], side: int = 40) -> np.ndarray:
    """Bright shapes on speckle: a disc on the left, a bar on the right, a frame around."""
    rows, columns = np.mgrid[:side, :side] / side
    edge = np.minimum(np.minimum(rows, columns), np.minimum(1 - rows, 1 - columns))
    where = {
        "disc": (rows - 0.5) ** 2 + (columns - 0.3) ** 2 < 0.03,
        "bar": abs(columns - 0.7) < 0.08,
        "frame": edge < 0.08,
    }
    grey = rng.normal(70, 15, (side, side)) + 130 * sum((where[name] for name in shapes), start=rows < 0)
    return grey.clip(0, 255).astype(np.uint8)


def write_shapes(folder: Path, cases: int = CASES, hidden: int = 0, seed: int = 0) -> Path:
    """Combinations in turn, exams of six frames in parts of their own; the last `hidden` exams unlabelled."""
    from sonoprior.cases import CaseSetWriter, DatasetInfo

    rng = np.random.default_rng(seed)
    info = DatasetInfo(name="shapes", levels={"shapes": SHAPES}, several=["shapes"])
    with CaseSetWriter(folder, info) as writer:
        for number in range(cases):
            exam, shown = number // len(COMBINATIONS), COMBINATIONS[number % len(COMBINATIONS)]
            labelled = exam < cases // len(COMBINATIONS) - hidden
            part = ("train", "validation", "test")[exam % 3] if labelled else "train"
            writer.add(
                f"case{number:03}",
                drawn(rng, shown),
                labels={"shapes": shown} if labelled else {},
                exam=f"e{exam}",
                split=part,
            )
    return folder


SEVERAL = {
    "format": 1,
    "name": "tiny-several",
    "data": {"level": "shapes", "several": True, "size": 32},
    "model": {"backbone": "test_resnet", "tap": "stage2"},
    "objectives": {"labels": {"type": "multi_label_cross_entropy"}},
    "augment": {"mirror": 0},
    "training": {
        "epochs": 6,
        "batch_size": 6,
        "learning_rate": 0.01,
        "threads": 1,
        "monitor": "weighted_f1",
    },
    "split": {"protocol": "given", "keep_duplicates_together": False},
    "study": {"primary": "weighted_f1", "seeds": 1},
}

CLUSTERS = SEVERAL | {
    "name": "tiny-clusters",
    "data": {"level": "shapes", "size": 32},
    "model": {"backbone": "test_resnet", "tap": "stage2", "clusters": {"count": "combinations"}},
    "objectives": {"clusters": {"type": "deep_clustering"}},
    "streams": {"unlabelled": {"views": "two", "batch_size": 12}},
}
