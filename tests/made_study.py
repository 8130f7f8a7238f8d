"""A study folder made by code: what real runs would write, with simulated cases and networks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from sonoprior.cases import EMPTY, CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.priors import prior_names
from sonoprior.core.folder import stamp, write_json
from sonoprior.metrics.classification import SCALARS
from sonoprior.studies.layout import PlannedRun, planned_runs
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe, take_variant, write_recipe

CLASSES = ["benign", "malignant", "normal"]
SIDE = 128
RECIPE = {
    "format": 1,
    "name": "made-pga",
    "about": "Does it help to tell a network where the lesion is? Made to show the page, not to answer it.",
    "data": {"size": 64, "priors": {"source": "outlines", "grouping": "one"}},
    "objectives": {
        "classification": {"type": "cross_entropy"},
        "guidance": {"type": "prior_guided_attribution", "weight": 10.0},
    },
    "training": {"epochs": 14},
    "split": {"protocol": "cross_evaluation", "folds": 3},
    "study": {
        "seeds": 2,
        "variants": {
            "plain": {"objectives.guidance.weight": 0},
            "alpha-1": {"objectives.guidance.weight": 1},
            "alpha-10": {"objectives.guidance.weight": 10},
        },
    },
    "published": [
        {
            "table": "2.8",
            "about": "Another network, other weights, other splits.",
            "metric": "accuracy",
            "rows": [
                {"variant": "plain", "method": "Baseline", "alpha": None, "value": 81.88},
                {"variant": "alpha-10", "method": "PGA", "alpha": 10, "value": 82.97},
            ],
        }
    ],
}
_QUICK = {"plain": {"objectives.guidance.weight": 0}, "alpha-10": {"objectives.guidance.weight": 10}}
SMALL = RECIPE | {
    "split": {"protocol": "cross_evaluation", "folds": 2},
    "study": {"seeds": 1, "variants": _QUICK},
}
_OFF, _ON = {"objectives.guidance.weight": 0}, {"objectives.guidance.weight": 10}
# Everything that a study may ask: controls, a curve over label fractions, a spread, a contrast, a tuning.
FULL = RECIPE | {
    "name": "made-full",
    "study": {
        "question": "Is a network better when it is told where the lesion is, and does the place help?",
        "seeds": 2,
        "variants": {
            "plain": _OFF,
            "guided": _ON,
            "shuffled": _ON | {"data.priors.control": "shuffled"},
            "blob": _ON | {"data.priors.control": "blob"},
            "plain-20": _OFF | {"split.label_fraction": 0.2},
            "guided-20": _ON | {"split.label_fraction": 0.2},
        },
        "against": {"guided-20": "plain-20"},
        "controls": {"shuffled": "guided", "blob": "guided"},
        "curve": {
            "axis": "share of the labels",
            "lines": {
                "plain": {0.2: "plain-20", 1.0: "plain"},
                "guided": {0.2: "guided-20", 1.0: "guided"},
            },
            "labels_saved": {"without": "plain", "using": {"guided": "guidance"}},
        },
        "spread": {
            "axis": "share of the labels",
            "groups": {
                "without": {0.2: "plain-20", 1.0: "plain"},
                "with": {0.2: "guided-20", 1.0: "guided"},
            },
        },
        "contrast": {"column": "extra.mark_agrees", "kept": "yes", "lost": "no"},
    },
    "tune": {"metric": "auroc", "budget": 2, "grid": {"training.learning_rate": [1.0e-3, 3.0e-3]}},
}
SKILL = {"plain": 0.7, "alpha-1": 0.8, "alpha-10": 1.6}
SKILL |= {"guided": 1.6, "shuffled": 0.9, "blob": 1.5, "plain-20": 0.3, "guided-20": 1.3}
FOCUS = {"plain": 0.25, "alpha-1": 0.45, "alpha-10": 0.85}
FOCUS |= {"guided": 0.85, "shuffled": 0.3, "blob": 0.4, "plain-20": 0.2, "guided-20": 0.7}
# How far a mark that disagrees with the class misleads a variant.
MISLED = {"plain": 1.2, "guided": 0.3}


def lesion(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A speckled image with a dark ellipse (ragged where malignant, none where normal), and where it is."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    row, column = rng.uniform(0.3, 0.7, 2) * SIDE
    angle = np.arctan2(rows - row, columns - column)
    ragged = 1 + (0.25 * np.sin(7 * angle + rng.uniform(0, 6)) if kind == "malignant" else 0)
    a, b = rng.uniform(0.12, 0.2, 2) * SIDE
    inside = ((rows - row) / b) ** 2 + ((columns - column) / a) ** 2 < ragged**2
    inside &= kind != "normal"
    speckle = rng.gamma(3.0, 1 / 3, (SIDE, SIDE))
    speckle = (speckle + np.roll(speckle, 1, 1) + np.roll(speckle, 1, 0) + np.roll(speckle, 2, 1)) / 4
    layers = 95 + 35 * np.sin(rows / 11 + rng.uniform(0, 6)) - 0.3 * rows
    return (speckle * np.where(inside, 28, layers)).clip(0, 255).astype(np.uint8), inside


def write_cases(folder: Path, cases: int = 90, zones: tuple[str, ...] = ("lesion",)) -> Path:
    """Two images of each patient, one of them outlined; the normal ones are outlined as empty."""
    rng = np.random.default_rng(0)
    info = DatasetInfo(
        name="made lesions",
        levels={"finding": CLASSES},
        zones=list(zones),
        simulated=True,
        about="Dark ellipses.",
    )
    with CaseSetWriter(folder, info) as writer:
        for number in range(cases):
            kind = CLASSES[(number // 2) % 3]
            image, inside = lesion(rng, kind)
            empty = kind == "normal"
            drawn = {zone: EMPTY if empty else np.roll(inside, 12 * at, 0) for at, zone in enumerate(zones)}
            outlines = drawn if number % 2 == 0 else {}
            writer.add(
                f"case-{number:03}",
                image,
                labels={"finding": kind},
                outlines=outlines,
                patient=f"p{number // 2}",
                **{"extra.mark_agrees": "yes" if number % 3 else "no"},
            )
    return folder


@dataclass(frozen=True)
class Made:
    """A made case set with its study."""

    cases: Path
    study: Path

    @property
    def case_set(self) -> CaseSet:
        """The case set, opened."""
        return CaseSet.open(self.cases)

    def load(self, run: Path) -> "FakePredictor":
        """What `sonoprior.load` would give, without a network."""
        return FakePredictor(run)


def write_study(folder: Path, case_set: CaseSet, recipe: dict | None = None, leave_out: int = 0) -> Path:
    """A study folder with all runs but the last few."""
    folder.mkdir(parents=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe or RECIPE, sort_keys=False))
    settings = load_recipe(path)
    stamp(folder, "study", 1)
    planned = planned_runs(settings)
    for run in planned[: len(planned) - leave_out]:
        write_run(run.folder(folder), case_set, settings, run)
    return folder


def write_run(folder: Path, case_set: CaseSet, recipe: Recipe, run: PlannedRun) -> Path:
    """One run folder, as far as reports read it."""
    folder.mkdir(parents=True)
    own = take_variant(recipe, run.variant)
    write_recipe(folder / "recipe.yaml", own)
    tables = [_predictions(case_set, recipe, run, part) for part in ("validation", "test")]
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False)
    _split(case_set, tables, own.split.label_fraction).to_csv(folder / "split.csv", index=False)
    _localisation(case_set, tables[1], run).to_csv(folder / "localisation.csv", index=False)
    _log(run, recipe.training.epochs).to_csv(folder / "log.csv", index=False)
    ran_on = {"python": "3.11", "versions": {"torch": "2.11"}, "threads": 1, "gpu": None}
    write_json(folder / "environment.json", ran_on | {"case_set": "/home/somebody/cases"})
    identity = {"variant": run.variant, "fold": run.fold, "seed": run.seed, "level": case_set.default_level}
    identity |= {
        "classes": case_set.classes(),
        "priors": prior_names(case_set, own.data.priors) if own.data.priors else [],
        "case_set": case_set.info.name,
    }
    write_json(folder / "run.json", identity | {"simulated": case_set.info.simulated})
    stamp(folder, "run", 1)
    write_json(folder / "metrics.json", {})
    (folder / "weights.safetensors").touch()
    return folder


def _predictions(case_set: CaseSet, recipe: Recipe, run: PlannedRun, part: str) -> pd.DataFrame:
    classes = case_set.classes()
    patients = np.array([int(group.removeprefix("patient:p")) for group in case_set.groups()])
    turns = 3 if recipe.split.count == 1 else recipe.split.count  # one split leaves something to train with
    turn = (patients // len(classes) + (part == "validation")) % turns
    at = np.flatnonzero((turn == run.fold) & ((part == "test") | (patients % 2 == 0)))
    hard = np.random.default_rng(1).normal(0, 1.0, patients.max() + 1)[patients[at]]
    noise = np.random.default_rng([2, run.fold, run.seed, part == "test"]).normal(
        0, 1, (len(at), len(classes))
    )
    scores = noise * 0.8
    disagrees = case_set.column("extra.mark_agrees")[at] == "no"
    own = SKILL.get(run.variant, 1.0) + 0.8 * hard - MISLED.get(run.variant, 0) * (part == "test") * disagrees
    scores[np.arange(len(at)), case_set.labels()[at]] += own
    given = np.exp(1.6 * scores)
    given /= given.sum(axis=1, keepdims=True)
    columns = {
        "case": np.array(case_set.ids)[at],
        "part": part,
        "group": case_set.groups()[at],
        "label": np.array(classes)[case_set.labels()[at]],
        "predicted": np.array(classes)[given.argmax(1)],
        "confidence": given.max(1),
    }
    return pd.DataFrame(columns | {f"p.{name}": given[:, k] for k, name in enumerate(classes)})


def _split(case_set: CaseSet, tables: list[pd.DataFrame], fraction: float) -> pd.DataFrame:
    measured = pd.concat(tables)[["case", "part"]]
    rest = [case for case in case_set.ids if case not in set(measured["case"])]
    rest = rest[: round(fraction * len(rest))]
    return pd.concat([pd.DataFrame({"case": rest, "part": "train"}), measured])


def write_tried(study: Path, recipe: dict) -> Path:
    """What a tuning of the recipe would have kept in the study folder."""
    settings = Recipe.model_validate(recipe)
    rows = [
        {"variant": name, **tried, "fold": fold, "seed": 0}
        | {"value": 0.7 + 0.02 * at + 0.01 * fold, "chosen": "yes" if at == 1 else ""}
        for name in settings.study.variants
        for at, tried in enumerate(settings.tune.tried(name))
        for fold in range(settings.split.count)
    ]
    path = study / "tried.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def _localisation(case_set: CaseSet, test: pd.DataFrame, run: PlannedRun) -> pd.DataFrame:
    rng = np.random.default_rng([3, run.fold, run.seed])
    rows = []
    for case, label in zip(test["case"], test["label"], strict=True):
        for zone, mask in case_set.outlines(case_set.ids.index(case)).items():
            if mask is not None and mask.any():
                inside = float(np.clip(FOCUS.get(run.variant, 0.5) + rng.normal(0, 0.1), 0, 1))
                hit = float(rng.random() < inside)
                rows.append((case, "test", label, zone, inside, hit, inside - 0.1, mask.mean()))
    names = ["case", "part", "label", "prior", "inside", "pointing", "correlation", "area"]
    return pd.DataFrame(rows, columns=names)


def _log(run: PlannedRun, epochs: int) -> pd.DataFrame:
    rng = np.random.default_rng([4, run.fold, run.seed])
    epoch = np.arange(1, epochs + 1 - run.seed)
    rise = 1 - np.exp(-epoch / 4)
    columns = {"epoch": epoch, "seconds": 1.0, "lr": 1e-3}
    columns["train.loss"] = 1.1 - 0.8 * rise + rng.normal(0, 0.02, len(epoch))
    columns["train.classification"] = columns["train.loss"]
    if run.variant != "plain":
        columns["train.guidance"] = (
            -0.1 - 0.5 * rise * FOCUS.get(run.variant, 0.5) + rng.normal(0, 0.02, len(epoch))
        )
    skill = 0.33 + (0.25 + 0.2 * SKILL.get(run.variant, 1.0)) * rise
    return pd.DataFrame(
        columns | {f"val.{name}": skill + rng.normal(0, 0.03, len(epoch)) for name in SCALARS}
    )


@dataclass(frozen=True)
class FakePrediction:
    """As `Prediction`."""

    label: str
    confidence: float


@dataclass(frozen=True)
class FakeLooked:
    """As `Attribution`."""

    prediction: FakePrediction
    maps: dict[str, np.ndarray]
    free: np.ndarray


@dataclass(frozen=True)
class FakePredictor:
    """Looks at dark places as far as its variant is guided, and at one corner otherwise."""

    run: Path

    def attribution(self, images) -> list[FakeLooked]:
        """One map a prior, and the free channels."""
        return [self._looked(np.asarray(image, dtype=float)) for image in images]

    def _looked(self, image: np.ndarray) -> FakeLooked:
        import cv2

        identity = yaml.safe_load((self.run / "run.json").read_text())
        dark = 255 - cv2.GaussianBlur(image, (0, 0), 7)
        dark = (dark - np.quantile(dark, 0.8)).clip(0)
        dark[-20:] = 0
        corner = np.zeros_like(dark)
        corner[:40, :50] = dark.max()
        corner = cv2.GaussianBlur(corner, (0, 0), 9)
        focus = FOCUS.get(identity["variant"], 0.5)
        mixed = (focus * dark + (1 - focus) * corner).astype(np.float32)
        maps = {
            name: np.roll(mixed, 12 * at, 0) for at, name in enumerate(identity["priors"] or ["attribution"])
        }
        said = CLASSES[int(image.sum()) % 3]
        return FakeLooked(FakePrediction(said, 0.8), maps, (0.5 * dark + corner).astype(np.float32))
