"""Whether "like this, but another view" finds better cases than the nearest of that view.

    python benchmarks/correction.py BUNDLE... --data SET [--out docs/results/correction.md]

Bundles of the same name are of runs that differ in their seed, and share a table; no patient of the set is
one that they learnt from (`sonoprior data phantom --seed` makes other patients). Every frame is a query for
every other view, among the frames of other patients. A frame of the wanted view is right where it shares with
the query what that shows besides its view. The ways to answer:

    filter      the nearest frames of the wanted view
    translate   moved from the mean of the query's view to that of the wanted one: q - mean(A) + mean(B)
    half way    moved half as far
    sum         q + mean(B)
    besides     by what both show besides their view: the cosine of q - mean(A) and c - mean(B)

Means leave the query's patient out. The measure is the average precision, averaged over wanted views and
then over the disorder and the lie of the uterus, so that both count alike; the device is shown apart, since
nobody looks for cases of the same one. Differences are paired, with intervals over patients, drawn together
for all runs. A way is kept that beats the filter in this average with an interval above zero, and does worse
in neither. Exit status 1 if `translate`, which the search takes, is not kept in every table.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonoprior.bundle.folder import open_bundle
from sonoprior.casebase.correction import moved
from sonoprior.cases import CaseSet
from sonoprior.cases.cells import split_items
from sonoprior.core.checks import listed
from sonoprior.core.folder import write_text
from sonoprior.core.progress import bar
from sonoprior.metrics.bootstrap import Interval, Mean, Pair, paired_difference
from sonoprior.runtime import Recogniser

WAYS = ("filter", "translate", "half way", "sum", "besides")
KEPT, FEWEST = "translate", 5
LIES = ("anteverted uterus", "retroverted uterus", "axial uterus")
FOR_A_REASON, AVERAGE = ("disorder", "lie of the uterus"), "disorder and lie"
Answered = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Frames:
    """The frames of a set whose view is known.

    Attributes:
        views: (n,) numbers of their views, of which there are `count`.
        groups: (n,) patients.
        shared: by what two frames may share, (n,) texts.
    """

    views: np.ndarray
    count: int
    groups: np.ndarray
    shared: Mapping[str, np.ndarray]


def read(cases: CaseSet) -> Frames:
    """What is known of frames besides their pixels."""
    terms = [split_items(cell or "") for cell in cases.column("terms")]
    shared = {
        "disorder": cases.column("label.disorder"),
        "lie of the uterus": np.array([next((lie for lie in LIES if lie in case), "") for case in terms]),
        "device": cases.column("device"),
    }
    return Frames(
        cases.labels("view"),
        len(cases.classes("view")),
        cases.groups(),
        {name: texts.astype(str) for name, texts in shared.items()},
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    """Of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def ranked(query: np.ndarray, own: np.ndarray, candidates: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How near each candidate is in each way, (ways, n)."""
    translated, half_way = moved(query, own, wanted), query + (wanted - own) / 2
    near = unit(np.stack([query, translated, half_way, query + wanted])) @ candidates.T
    left = unit(candidates - wanted) @ unit(query - own)
    return np.concatenate([near, left[None]])


def questions(frames: Frames, at: int) -> Iterator[tuple[int, np.ndarray]]:
    """The other views that are asked for, and the frames of other patients that show them."""
    others = frames.groups != frames.groups[at]
    if not (others & (frames.views == frames.views[at])).any():
        return
    for view in range(frames.count):
        rows = np.flatnonzero(others & (frames.views == view))
        if view != frames.views[at] and len(rows) >= FEWEST:
            yield view, rows


def precision(right: np.ndarray) -> np.ndarray:
    """The average precision of right answers in order, (ways, n) to (ways,)."""
    at = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
    return (at * right).sum(axis=1) / right.sum(axis=1)


def answered(frames: Frames, embeddings: np.ndarray) -> Answered:
    """By what is shared, the queries (q,) that can be answered and their average precision (q, ways)."""
    sums = np.stack([embeddings[frames.views == view].sum(axis=0) for view in range(frames.count)])
    counts = np.bincount(frames.views, minlength=frames.count)
    found: dict[str, dict[int, list[np.ndarray]]] = {name: {} for name in frames.shared}
    for at in range(len(embeddings)):
        own = np.flatnonzero(frames.groups == frames.groups[at])
        less, fewer = np.zeros_like(sums), np.bincount(frames.views[own], minlength=frames.count)
        np.add.at(less, frames.views[own], embeddings[own])
        means = (sums - less) / np.maximum(counts - fewer, 1)[:, None]
        for view, rows in questions(frames, at):
            near = ranked(embeddings[at], means[frames.views[at]], embeddings[rows], means[view])
            order = np.argsort(-near, axis=1, kind="stable")
            for name, texts in frames.shared.items():
                right = texts[rows] == texts[at]
                if right.any() and not right.all():
                    found[name].setdefault(at, []).append(precision(right[order]))
    return {
        name: (np.array(list(of)), np.array([np.mean(each, axis=0) for each in of.values()]))
        for name, of in found.items()
    }


def pairs(frames: Frames, runs: Sequence[Answered]) -> dict[str, list]:
    """By what is shared, and on their average, queries with their precision in every way, one pair a run."""
    made: dict[str, list] = {name: [] for name in [*frames.shared, AVERAGE]}
    for run in runs:
        for name, (queries, values) in run.items():
            made[name].append((frames.groups[queries], values))
        whole = np.full((len(FOR_A_REASON), len(frames.views), len(WAYS)), np.nan)
        for place, name in enumerate(FOR_A_REASON):
            queries, values = run[name]
            whole[place, queries] = values
        told = np.flatnonzero(~np.isnan(whole).any(axis=(0, 2)))
        made[AVERAGE].append((frames.groups[told], whole[:, told].mean(axis=0)))
    return made


def gain(runs: Sequence[tuple[np.ndarray, np.ndarray]], way: int) -> Interval:
    """What a way has over the filter."""
    return paired_difference(
        Mean(), [Pair(groups, (), values[:, way], values[:, 0]) for groups, values in runs]
    )


def section(name: str, frames: Frames, runs: Sequence[Answered]) -> tuple[list[str], list[str]]:
    """The lines of a kind of run, and the ways that it keeps."""
    by_name = pairs(frames, runs)
    gains = {of: [gain(values, way) for way in range(len(WAYS))] for of, values in by_name.items()}
    lines = ["| shared | way | MAP, % | against the filter, points |", "|---|---|---:|---:|"]
    for of, values in by_name.items():
        for way, called in enumerate(WAYS):
            mean = np.mean([each[:, way].mean() for _, each in values])
            value, low, high = (f"{100 * bound:+.2f}" for bound in gains[of][way])
            against = f"{value} ({low} to {high})" if way else ""
            lines.append(f"| {of} | {called} | {100 * mean:.1f} | {against} |")
    kept = [
        called
        for way, called in enumerate(WAYS)
        if way and gains[AVERAGE][way].low > 0 and not any(gains[of][way].high < 0 for of in FOR_A_REASON)
    ]
    verdict = f"Kept: {listed(kept) or 'none'}."
    return [f"## {name}, runs: {len(runs)}", "", *lines, "", verdict, ""], kept


def main() -> int:
    """Measure, print, and keep the tables if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    cases = CaseSet.open(given.data)
    cases = cases.subset(np.flatnonzero(cases.labels("view") >= 0))
    frames = read(cases)
    kinds: dict[str, list[Answered]] = {}
    for bundle in given.bundles:
        with bar(f"embedding by {bundle.name}", len(cases)) as tick:
            images = (cases.read_image(at) for at in range(len(cases)) if tick() is None)
            embeddings = Recogniser(bundle).embed(images)
        kinds.setdefault(open_bundle(bundle).name, []).append(answered(frames, embeddings))
    about = (
        f"`python benchmarks/correction.py` with {len(cases)} frames of {len(set(frames.groups))} patients"
        f" whom no run learnt from. {cases.info.about} What the ways are, and by which rule one is kept, says"
        " `python benchmarks/correction.py --help`. The ways were made up on other simulated"
        " patients."
    )
    page = ["# Like this, but another view", "", about, ""]
    kept = set(WAYS)
    for name, runs in kinds.items():
        lines, here = section(name, frames, runs)
        page += lines
        kept &= set(here)
    print("\n".join(page))
    if given.out:
        write_text(given.out, "\n".join(page))
    return 0 if KEPT in kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
