"""How much memory a run takes that reads 85,000 unlabelled frames.

    python benchmarks/unlabelled_memory.py [--frames 85000] [--out docs/results/unlabelled_memory.md]

The run is a whole one, from the case set to its metrics: FixMatch with flexible thresholds, which remembers a
class for every frame, beside cross-entropy on 400 labelled frames. Taken is the anonymous resident memory of
the process (`RssAnon` of /proc/self/status), which leaves out the pages of the mapped cache: those the system
may take back at any time. It is read ten times a second and its highest value is kept, for each part of the
run. Two forms: a small network with small images, which sees every frame once; and ResNet18 at 224 x 224 for
a few steps, whose cache is a file of holes, since what is in it makes no difference. What a step of the
latter keeps for its backward pass grows with the batch and not with the frames: with twice its batch it is
above the goal, however few frames there are. Goal: less than 3 GiB. Exit status 1 if it is more.
"""

import argparse
import platform
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.loading.cache import FORMAT, KIND
from sonoprior.cases.loading.letterbox import cache_side
from sonoprior.cases.loading.source import Source
from sonoprior.core.folder import stamp, whole_folder
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import validated
from sonoprior.training.run import Computing, plan_run, train_run

GOAL, MIB = 3072, 1024
CLASSES = ("bladder", "kidney", "liver", "spleen")
LABELLED = {"train": 400, "validation": 100, "test": 100}
EXAM = 12
SET = "set"


@dataclass(frozen=True)
class Form:
    """One way to run; `steps` of None sees every frame, `batch` is of unlabelled ones."""

    backbone: str
    size: int
    batch: int
    steps: int | None
    holes: bool


FORMS = (Form("test_resnet", 32, 64, None, holes=False), Form("resnet18", 224, 32, 8, holes=True))


@dataclass
class Memory:
    """The highest anonymous resident memory of each part of a run, in MiB."""

    highest: dict[str, float] = field(default_factory=dict[str, float])
    part: str = "before"

    def see(self) -> None:
        """Read it once."""
        self.highest[self.part] = max(self.highest.get(self.part, 0.0), anonymous())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Read it ten times a second."""
        over = Event()

        def read() -> None:
            while not over.wait(0.1):
                self.see()

        thread = Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def anonymous() -> float:
    """Anonymous resident memory of this process, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / MIB


def write_cases(folder: Path, frames: int) -> None:
    """Frames of 48 x 48 pixels in exams of 12, without a label but for a few hundred."""
    random = np.random.default_rng(0)
    parts = [part for part, count in LABELLED.items() for _ in range(count)]
    info = DatasetInfo(name="benchmark", levels={"organ": list(CLASSES)})
    with CaseSetWriter(folder, info) as writer:
        for case in range(frames + len(parts)):
            image = random.integers(0, 256, (48, 48), dtype=np.uint8)
            known = case < len(parts)
            part = parts[case] if known else "train"
            writer.add(
                f"{case}",
                image,
                labels={"organ": CLASSES[case % len(CLASSES)]} if known else {},
                exam=f"{part}{case // EXAM}",
                split=part,
            )


def write_holes(case_set: CaseSet, folder: Path, size: int) -> None:
    """A cache for this training size that takes no room on the disk: every image is black."""
    side, cases = cache_side(size), len(case_set)
    source = Source(case_set, side, None, 0, 0)
    with whole_folder(folder / source.key(FORMAT)) as building:
        for name, shape in {"images": (cases, side, side), "maps": (0, 0, side, side)}.items():
            with (building / f"{name}.npy").open("wb") as file:
                npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
                file.truncate(file.tell() + int(np.prod(shape)))
        np.save(building / "row.npy", np.full(cases, -1, np.int32))
        np.save(building / "present.npy", np.zeros((cases, 0), np.bool_))
        stamp(building, KIND, FORMAT)


def recipe_of(form: Form, frames: int) -> Recipe:
    """One epoch over all frames, or a few steps of it."""
    content: dict[str, Any] = {
        "format": 1,
        "name": "benchmark",
        "data": {"level": "organ", "size": form.size, "priors": None},
        "model": {"backbone": form.backbone, "tap": "last"},
        "streams": {"unlabelled": {"views": "weak-strong", "batch_size": form.batch}},
        "objectives": {
            "classification": {"type": "cross_entropy"},
            "consistency": {"type": "fixmatch", "threshold": 0.5, "flexible": {}},
        },
        "training": {
            "epochs": 1,
            "batch_size": form.batch // 2,
            "steps_per_epoch": form.steps or -(-frames // form.batch),
        },
        "split": {"protocol": "given", "keep_duplicates_together": False},
    }
    return validated(content, "benchmark")


def measure(form: Form, folder: Path) -> tuple[dict[str, float], float]:
    """The highest memory of each part of a run in this process, and the seconds that it took."""
    begin, memory = perf_counter(), Memory()
    case_set = CaseSet.open(folder / SET)
    cache = folder / "cache"
    if form.holes:
        write_holes(case_set, cache, form.size)
    with memory.watched():
        memory.part = "planning, caching, an epoch"
        plan = plan_run(recipe_of(form, len(case_set)), case_set, "plain")

        def after_epoch(_fit: object) -> None:
            memory.part = "measuring"

        on = Computing(torch.device("cpu"), cache=cache)
        train_run(plan, folder / form.backbone, on, after_epoch=after_epoch)
    return memory.highest, perf_counter() - begin


def main() -> int:
    """Measure, print, and keep the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=85_000)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    parts = ("planning, caching, an epoch", "measuring")
    before = anonymous()
    lines = [
        "# Memory of a run over many unlabelled frames",
        "",
        f"{chosen.frames} unlabelled frames, FixMatch with flexible thresholds in two views, and half as",
        f"many labelled ones in a batch; {torch.get_num_threads()} threads of {platform.machine()},",
        f"torch {torch.__version__}.",
        f"Highest anonymous resident memory, in MiB; the libraries alone take {before:.0f}. Goal: {GOAL}.",
        "",
        f"| network | pixels | batch | steps | {' | '.join(parts)} | minutes |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    print("\n".join(lines), flush=True)
    highest = 0.0
    with TemporaryDirectory() as folder:
        write_cases(Path(folder) / SET, chosen.frames)
        for form in FORMS:
            # A process of its own, which has nothing left of the form before.
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                found, seconds = process.submit(measure, form, Path(folder)).result()
            highest = max(highest, *found.values())
            taken = " | ".join(f"{found[part]:.0f}" for part in parts)
            steps = form.steps or "all frames"
            shown = f"{form.backbone} | {form.size} | {form.batch} | {steps}"
            lines.append(f"| {shown} | {taken} | {seconds / 60:.0f} |")
            print(lines[-1], flush=True)
    if chosen.out is not None:
        command = "    python benchmarks/unlabelled_memory.py --out docs/results/unlabelled_memory.md"
        chosen.out.write_text("\n".join([*lines, "", command]) + "\n", encoding="utf-8")
    return 0 if highest < GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
