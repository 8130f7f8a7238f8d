"""How often candidate sets hold the true view of a new patient, by the way in which they are fitted.

    python benchmarks/coverage.py [--draws 300] [--out docs/results/coverage.md]

Simulated patients, easy or hard as a whole, with 1 to 80 frames of eight views each. Sets are fitted on a few
patients so that the true view of a new patient's frame shall be in them in 95 %, and measured on 200 others:

- frames pooled: split conformal prediction as if every frame were a patient of its own;
- patients: every patient weighs 1, one floor for all views;
- patients, by view: the same with the frames of each view alone, where 19 patients or more show it;
- the lower floor of both, as a bundle does it: so that both promises are kept;
- the last one with the temperature fitted on other patients, instead of on the same ones.

Coverage is the mean over draws of what a new patient's frames have; the range holds 90 % of the draws.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle.confidence import probabilities_of
from sonoprior.core.randomness import generator
from sonoprior.metrics.conformal import coverage_floors, covered, miss_floor, of_patients, patients_needed
from sonoprior.metrics.temperature import fitted_temperature

Floats = NDArray[np.float64]
VIEWS, NEW, COVERAGE, PATIENTS = 8, 200, 0.95, (20, 30, 60, 120)
ABOUT = f"""Simulated patients, easy or hard as a whole, with 1 to 80 frames of {VIEWS} views, some of them
rare. Sets shall hold the true view of a new patient's frame in 95 %. Each cell: coverage of {NEW} new
patients, every patient counting 1, with its range over 90 % of the draws of calibration patients; and the
mean size of a set."""
WORLDS = {
    "Exams are long or short by chance": 0,
    "Exams of hard patients are shorter": -1,
    "Exams of hard patients are longer": 1,
}


@dataclass(frozen=True)
class Frames:
    """Frames of patients: logits (n, K), labels (n,), groups (n,)."""

    logits: Floats
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]


def simulated(rng: np.random.Generator, patients: int, long: int) -> Frames:
    """Frames whose patients differ in how hard they are; hard ones have longer (1) or shorter (-1) exams."""
    hard = rng.normal(size=patients)
    length = long * hard if long else rng.normal(size=patients)
    count = np.clip(np.exp(2.2 + 1.1 * length).astype(np.int64), 1, 80)
    groups = np.repeat(np.arange(patients), count)
    shares = np.array([8, 8, 6, 6, 4, 4, 2, 1.0])
    labels = rng.choice(VIEWS, len(groups), p=shares / shares.sum())
    logits = rng.normal(size=(len(groups), VIEWS))
    logits[np.arange(len(groups)), labels] += 3 - 1.5 * hard[groups]
    return Frames(3 * logits, labels, groups)


def by_frame(seen: Frames, given: Floats) -> Floats:
    """One floor, every frame an observation."""
    shown = np.eye(VIEWS, dtype=np.bool_)[seen.labels]
    return np.full(VIEWS, miss_floor(shown, given, np.arange(len(given)), COVERAGE).value)


def by_patient(seen: Frames, given: Floats) -> Floats:
    """One floor, every patient an observation."""
    shown = np.eye(VIEWS, dtype=np.bool_)[seen.labels]
    return np.full(VIEWS, miss_floor(shown, given, seen.groups, COVERAGE).value)


def by_view(seen: Frames, given: Floats) -> Floats:
    """A floor of its own for every view with enough patients, of its own frames alone."""
    floors = by_patient(seen, given)
    shown = np.eye(VIEWS, dtype=np.bool_)[seen.labels]
    for view in range(VIEWS):
        own = seen.labels == view
        if len(np.unique(seen.groups[own])) >= patients_needed(COVERAGE):
            floors[view] = miss_floor(shown[own], given[own], seen.groups[own], COVERAGE).value
    return floors


def as_in_a_bundle(seen: Frames, given: Floats) -> Floats:
    """The lower of both, so that both promises are kept."""
    return np.array([floor.value for floor in coverage_floors(seen.labels, given, seen.groups, COVERAGE)])


def measured(rng: np.random.Generator, patients: int, long: int) -> dict[str, tuple[float, float]]:
    """Coverage and size of the sets of every way, for one draw of calibration patients."""
    seen, apart = (simulated(rng, patients, long) for _ in range(2))
    new = simulated(rng, NEW, long)
    same, other = (fitted_temperature(of.logits, of.labels) for of in (seen, apart))
    ways: dict[str, tuple[Callable[[Frames, Floats], Floats], float]] = {
        "frames pooled": (by_frame, same),
        "patients": (by_patient, same),
        "patients, by view": (by_view, same),
        "the lower floor of both (bundle)": (as_in_a_bundle, same),
        "the same, temperature of others": (as_in_a_bundle, other),
    }
    found: dict[str, tuple[float, float]] = {}
    for name, (way, temperature) in ways.items():
        held = probabilities_of(new.logits, temperature) >= way(
            seen, probabilities_of(seen.logits, temperature)
        )
        held[np.arange(len(held)), new.logits.argmax(1)] = True
        means = (covered(new.labels, held), held.sum(axis=1).astype(np.float64))
        coverage, size = (float(of_patients(each, new.groups)[1].mean()) for each in means)
        found[name] = (coverage, size)
    return found


def cell(draws: Floats) -> str:
    """Of (draws, 2) coverage and size in words."""
    low, high = np.quantile(draws[:, 0], [0.05, 0.95])
    return f"{100 * draws[:, 0].mean():.1f} ({100 * low:.0f} to {100 * high:.0f}); {draws[:, 1].mean():.2f}"


def main() -> None:
    """Simulate, print, and write."""
    options = argparse.ArgumentParser(description="How often candidate sets hold the true view.")
    options.add_argument("--draws", type=int, default=300)
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    lines = ["# How often candidates hold the true view", "", ABOUT]
    for title, long in WORLDS.items():
        lines += ["", f"## {title}", "", "| calibration patients | " + " | ".join(map(str, PATIENTS)) + " |"]
        lines.append("|---" * (len(PATIENTS) + 1) + "|")
        rng = generator(0, "coverage", long + 1)
        every = {
            patients: [measured(rng, patients, long) for _ in range(chosen.draws)] for patients in PATIENTS
        }
        for name in every[PATIENTS[0]][0]:
            cells = [cell(np.array([draw[name] for draw in every[patients]])) for patients in PATIENTS]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", f"    python benchmarks/coverage.py --draws {chosen.draws} --out docs/results/coverage.md"]
    print("\n".join(lines))
    if chosen.out:
        chosen.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
