r"""Which number tells best that a frame is none of the views that a network knows.

    make demo                                          # makes out/demo/phantom and its runs
    python benchmarks/unfamiliarity.py out/demo/study/runs/plain/fold0-seed0 --data out/demo/phantom
    python benchmarks/unfamiliarity.py RUN... --data out/demo/phantom --busi BUSI --other ABDOMEN \
        --vendor "Cygnus V" --out docs/results/unfamiliarity.md

Fits every score on the features of the training part of each run, sets the limits by its validation part, and
shows how far test frames are told from frames that are none: natural pictures, drawn pictures, a black, a
white and a grey screen, noise, other simulated organs, real breast lesions (BUSI). With `--vendor NAME` a
network with the recipe of the first run is trained without the frames of that vendor, strange to it then.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.images import read_grey
from sonoprior.cases.loading.letterbox import letterbox
from sonoprior.core.randomness import generator
from sonoprior.export.graph import ExportedNetwork
from sonoprior.export.unfamiliarity import Unfamiliarity
from sonoprior.training.machine import choose_device
from sonoprior.training.parts import read_parts
from sonoprior.training.predictor import Predictor, load
from sonoprior.training.run import Computing, plan_run, train_run

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]
Score = Callable[[Floats, Floats], Floats]
SIDE, COUNT, NEIGHBOUR, SHARES = 256, 60, 5, (0.95, 0.99)
ABOUT = """Each cell: the AUROC of strange frames against the test frames, and the percentage of strange
frames found at limits that keep 95 / 99 % of the validation frames. A bundle's limit keeps 99 %. Black, white
and grey are one frame each."""
COMMAND = """
    make demo
    python benchmarks/unfamiliarity.py RUN... --data out/demo/phantom --busi BUSI --other ABDOMEN \\
        --vendor "Cygnus V" --out docs/results/unfamiliarity.md"""


@dataclass(frozen=True)
class Given:
    """What a network gives for n frames: features (n, C) and logits (n, K)."""

    features: Floats
    logits: Floats


def given(network: ExportedNetwork, frames: Sequence[Grey]) -> Given:
    """What a network gives for frames of any size."""
    names, parts = network.outputs(), []
    for start in range(0, len(frames), 64):
        squares = np.stack([letterbox(frame, network.side) for frame in frames[start : start + 64]])
        with torch.no_grad():
            found = dict(zip(names, network(torch.from_numpy(squares)[:, None]), strict=True))
        features = found["features"].double().numpy()
        parts.append((features, found["logits"].double().numpy() if "logits" in found else features))
    return Given(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def scores(train: Given, labels: NDArray[np.int64], *, names: bool) -> dict[str, Score]:
    """Every score, larger where stranger, of features and logits."""
    module = Unfamiliarity.fit(train.features)
    alike = NearestNeighbors(n_neighbors=NEIGHBOUR).fit(normalize(train.features))
    everything = LedoitWolf().fit(train.features)
    kinds = np.unique(labels)
    means = np.stack([train.features[labels == kind].mean(0) for kind in kinds])
    inside = LedoitWolf(assume_centered=True).fit(train.features - means[np.searchsorted(kinds, labels)])

    def ours(features: Floats, _logits: Floats) -> Floats:
        return module(torch.from_numpy(features.astype(np.float32))).double().numpy()

    def to_classes(features: Floats) -> Floats:
        apart = [features - mean for mean in means]
        return np.min([np.einsum("nc,cd,nd->n", each, inside.precision_, each) for each in apart], axis=0)

    found: dict[str, Score] = {
        "Mahalanobis, all of training (exported)": ours,
        "Mahalanobis, nearest class": lambda f, _: to_classes(f),
        "relative Mahalanobis": lambda f, _: to_classes(f) - everything.mahalanobis(f),
        f"distance to neighbour {NEIGHBOUR}": lambda f, _: alike.kneighbors(normalize(f))[0][:, -1],
    }
    if names:
        found |= {
            "1 - largest probability": lambda _, z: 1 - softmax(z, axis=1).max(1),
            "energy": lambda _, z: -logsumexp(z, axis=1),
        }
    return found


def natural() -> list[Grey]:
    """Crops of two photographs, a temple and a flower."""
    rng, found = generator(0, "natural"), []
    for number in range(COUNT):
        photograph = cv2.cvtColor(load_sample_images().images[number % 2], cv2.COLOR_RGB2GRAY)
        side = int(rng.integers(150, 400))
        row, column = (int(rng.integers(0, size - side)) for size in photograph.shape)
        found.append(photograph[row : row + side, column : column + side])
    return found


def drawn() -> list[Grey]:
    """Gradients, checkerboards, writing."""
    rng, found = generator(0, "drawn"), []
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for number in range(COUNT):
        if number % 3 == 0:
            angle = rng.uniform(0, 2 * np.pi)
            wave = np.cos(angle) * rows + np.sin(angle) * columns
            picture = (wave - wave.min()) / (wave.max() - wave.min())
        elif number % 3 == 1:
            field = int(rng.integers(8, 64))
            picture = ((rows // field + columns // field) % 2).astype(np.float64)
        else:
            page = np.full((SIDE, SIDE), 255, np.uint8)
            for line in range(24, SIDE, 24):
                words = "".join(rng.choice(list("abcdefgh ijkl mnop"), 24))
                cv2.putText(page, words, (6, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1)
            picture = (page if number % 2 else 255 - page) / 255
        found.append((255 * picture).astype(np.uint8))
    return found


def screens() -> dict[str, list[Grey]]:
    """Frames without a picture."""
    rng = generator(0, "noise")
    noise = [rng.integers(0, 256, (SIDE, SIDE)).astype(np.uint8) for _ in range(COUNT)]
    return {
        "black frame": [np.zeros((SIDE, SIDE), np.uint8)],
        "white frame": [np.full((SIDE, SIDE), 255, np.uint8)],
        "grey frame": [np.full((SIDE, SIDE), 128, np.uint8)],
        "noise": noise,
    }


def some(case_set: CaseSet) -> list[Grey]:
    """Frames of a case set."""
    places = generator(0, "some").permutation(len(case_set))[: 3 * COUNT]
    return [case_set.read_image(int(at)) for at in places]


def busi(folder: Path) -> list[Grey]:
    """Real breast lesions."""
    paths = sorted(path for path in folder.rglob("*.png") if "_mask" not in path.name)
    return [read_grey(paths[at]) for at in generator(0, "busi").permutation(len(paths))[: 3 * COUNT]]


def measure(predictor: Predictor, case_set: CaseSet, strange: Mapping[str, Sequence[Grey]]) -> list[str]:
    """A table of one run: a row a score, a column a group of strange frames."""
    model, parts = predictor.model, read_parts(predictor.folder / "split.csv", case_set)
    network = ExportedNetwork(model.network, model.tap, model.heads, predictor.recipe.data.size).eval()
    frames = {part: [case_set.read_image(int(at)) for at in places] for part, places in parts.items()}
    seen = {part: given(network, of) for part, of in frames.items() if of}
    other = {name: given(network, of) for name, of in strange.items()}
    labels = case_set.labels(model.level)[parts["train"]]
    rows = [
        "| score | test frames kept | " + " | ".join(other) + " |",
        "|---" + "|--:" * (len(other) + 1) + "|",
    ]
    for name, score in scores(seen["train"], labels, names=network.names_classes).items():
        chosen, familiar = (score(of.features, of.logits) for of in (seen["validation"], seen["test"]))
        limits = [float(np.quantile(chosen, share)) for share in SHARES]
        cells = [" / ".join(f"{100 * (familiar <= limit).mean():.0f}" for limit in limits)]
        for of in other.values():
            found = score(of.features, of.logits)
            truth = np.repeat([0, 1], [len(familiar), len(found)])
            area = roc_auc_score(truth, np.concatenate([familiar, found]))
            caught = " / ".join(f"{100 * (found > limit).mean():.0f}" for limit in limits)
            cells.append(f"{area:.3f}, {caught}")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def without_vendor(predictor: Predictor, case_set: CaseSet, vendor: str, folder: Path) -> Predictor:
    """A run of the same recipe, trained without the frames of a vendor."""
    others = np.flatnonzero([vendor not in device for device in case_set.column("device")])
    plan = plan_run(predictor.recipe, case_set.subset(others), "without a vendor")
    return load(train_run(plan, folder / "run", Computing(choose_device("cpu"))), "cpu")


def worth(predictor: Predictor, case_set: CaseSet, places: NDArray[np.int64]) -> str:
    """How often a network is right about the frames of a vendor, whether it finds them familiar or not."""
    model, parts = predictor.model, read_parts(predictor.folder / "split.csv", case_set)
    network = ExportedNetwork(model.network, model.tap, model.heads, predictor.recipe.data.size).eval()
    labels = case_set.labels(model.level)
    places = places[labels[places] >= 0]
    cases = {name: parts[name] for name in ("train", "validation", "test")} | {"vendor": places}
    seen = {name: given(network, [case_set.read_image(int(at)) for at in of]) for name, of in cases.items()}
    module = Unfamiliarity.fit(seen["train"].features)

    def strangeness(name: str) -> Floats:
        return module(torch.from_numpy(seen[name].features.astype(np.float32))).double().numpy()

    near = strangeness("vendor") <= np.quantile(strangeness("validation"), SHARES[-1])
    right = {name: seen[name].logits.argmax(1) == labels[of] for name, of in cases.items()}
    own, familiar, strange = (
        100 * part.mean() for part in (right["test"], right["vendor"][near], right["vendor"][~near])
    )
    return (
        f"It is right about {own:.0f} % of the test frames, {familiar:.0f} % of the vendor's frames that stay"
        f" familiar (limit of {SHARES[-1]:.0%}), and {strange:.0f} % of those that do not."
    )


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("runs", type=Path, nargs="+")
    options.add_argument("--data", type=Path, required=True, help="the phantom that they were trained on")
    options.add_argument("--busi", type=Path)
    options.add_argument("--other", type=Path, help="a case set of other organs")
    options.add_argument("--vendor", default="")
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    case_set = CaseSet.open(chosen.data)
    strange = {"natural pictures": natural(), "drawn pictures": drawn(), **screens()}
    strange |= {"other organs": some(CaseSet.open(chosen.other))} if chosen.other else {}
    strange |= {"BUSI": busi(chosen.busi)} if chosen.busi else {}
    lines = ["# Not a view I know", "", ABOUT]
    for run in chosen.runs:
        lines += ["", f"## {run}", "", *measure(load(run, "cpu"), case_set, strange)]
    if chosen.vendor:
        lines += ["", f"## Trained without {chosen.vendor}, with the recipe of the first run", ""]
        with TemporaryDirectory() as folder:
            run = without_vendor(load(chosen.runs[0], "cpu"), case_set, chosen.vendor, Path(folder))
            places = [at for at, device in enumerate(case_set.column("device")) if chosen.vendor in device]
            others = {chosen.vendor: [case_set.read_image(at) for at in places]} | strange
            lines += [*measure(run, case_set, others), "", worth(run, case_set, np.array(places))]
    lines.append(COMMAND)
    print("\n".join(lines))
    if chosen.out:
        chosen.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
