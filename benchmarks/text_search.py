r"""How well words find images: captions of the classes against the test frames of a run, by its bundle alone.

    sonoprior train phantom-sal --quick --data out/phantom --out out/clip --set language.encoder=minilm \
        --set objectives.clip-view.weight=1 --set 'objectives.similarity.loss={name: softmax}'
    sonoprior export out/clip --out out/clip-bundle
    python benchmarks/text_search.py out/clip out/clip-bundle --data out/phantom

A caption has no exam of its own, so that every test frame may be found. Beside it stand the images of the
same run as queries, whose own exams are left out, and what a random order would find. The captions are those
of the training, the same in other words, and the names of the level above, which were never learnt.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases import CaseSet
from sonoprior.runtime import Recogniser
from sonoprior.training.parts import read_parts
from sonoprior.training.text_side import read_texts

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
REWORDED = "ultrasound frame that shows the {}"


def found(similarity: Floats, labels: Labels) -> tuple[float, float]:
    """Precision at 10 and R-precision, means over the rows of (C, n) whose class some image has."""
    at_ten, r_precision = [], []
    for number in np.unique(labels):
        right = labels[np.argsort(-similarity[number], kind="stable")] == number
        at_ten.append(right[:10].mean())
        r_precision.append(right[: right.sum()].mean())
    return float(np.mean(at_ten)), float(np.mean(r_precision))


def line(what: str, texts: Sequence[str], recogniser: Recogniser, images: Floats, labels: Labels) -> str:
    """A row of the table, of the known labels."""
    known = labels >= 0
    similarity = recogniser.embed_text(texts) @ images[known].T
    at_ten, r_precision = found(similarity, labels[known])
    right = (similarity.argmax(0) == labels[known]).mean()
    return f"| {what} | {len(texts)} | {at_ten:.3f} | {r_precision:.3f} | {right:.3f} |"


def chance(labels: Labels) -> float:
    """What a random order has for both, the mean share of the classes that some image has."""
    return 1 / len(np.unique(labels[labels >= 0]))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("run", type=Path)
    options.add_argument("bundle", type=Path)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--above", default="meta", help="the level above")
    chosen = options.parse_args()
    case_set, kept = CaseSet.open(chosen.data), read_texts(chosen.run)
    if kept is None:
        raise SystemExit(f"{chosen.run} has no text side")
    test = read_parts(chosen.run / "split.csv", case_set)["test"]
    recogniser = Recogniser(chosen.bundle)
    images = recogniser.embed(case_set.read_image(int(case)) for case in test)
    labels = {level: case_set.labels(level)[test] for level in (kept.level, chosen.above)}
    names = case_set.classes(kept.level)
    print(f"{len(test):,} test frames, {len(names)} classes; {recogniser.manifest.text}\n")
    print("| query | queries | precision at 10 | R-precision | frames nearest to their own caption |")
    print("|---|---|---|---|---|")
    rows = {"as trained": kept.captions, "reworded": [REWORDED.format(name) for name in names]}
    for what, texts in rows.items():
        print(line(what, texts, recogniser, images, labels[kept.level]))
    above = case_set.classes(chosen.above)
    print(line(f"the names of '{chosen.above}'", above, recogniser, images, labels[chosen.above]))
    by_images = json.loads((chosen.run / "metrics.json").read_text())["test"]
    for level, of in labels.items():
        print(f"{level}: by images R-precision {by_images[f'r_precision.{level}']['value']:.3f};", end=" ")
        print(f"by chance {chance(of):.3f}")
    start = time.perf_counter()
    for text in kept.captions:
        recogniser.embed_text([text])
    print(f"{(time.perf_counter() - start) / len(kept.captions) * 1000:.1f} ms a text")


if __name__ == "__main__":
    main()
