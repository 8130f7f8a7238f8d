"""How long a frame waits for its whole answer, beside the bare network and the torch model.

    python benchmarks/answer_latency.py [--frames 60] [--rounds 5] [--cases 200000] [--threads N]
                                        [--out docs/results/answer_latency.md]

A mobilenetv3_large_100 at 224 x 224 with 8 classes and an embedding of 128, trained for one epoch on speckle
(what it answers is worth nothing; how long it takes is), is exported, and 200,000 random cases are put into
its case base. A whole answer is: a frame of 640 x 480 decoded from its file, brought into the square, the
network, view and confidence, the overlay at the frame's size, and the ten nearest cases, exactly. One frame
at a time, where all threads compute one network; and as many frames in flight as there are threads, each
computed by one, as a service that is asked for a clip would. The search is one pass over the matrix, as fast
as memory gives it: numpy's BLAS has one thread here (OPENBLAS_NUM_THREADS=1), which costs it nothing and
leaves the others to the network. Everything takes turns in one run; figures are medians over rounds of the
time a frame, ratios are taken within each round. Goals: 100 whole answers a second, in flight, and bundle and
cases loaded within 2 seconds. Exit status 1 if one is missed.
"""

import argparse
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import onnxruntime
import torch
import yaml
from PIL import Image
from threadpoolctl import threadpool_limits

from sonoprior.bundle.confidence import Confidence
from sonoprior.bundle.manifest import NETWORK, Manifest
from sonoprior.casebase.base import CaseBase
from sonoprior.casebase.record import Record
from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.images import read_grey
from sonoprior.core.cores import cores
from sonoprior.core.randomness import generator
from sonoprior.export.run import export_run
from sonoprior.models.onnx_file import write_onnx
from sonoprior.runtime import Recogniser
from sonoprior.runtime.frames import prepare
from sonoprior.training.machine import choose_device
from sonoprior.training.predictor import load
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import Computing, plan_run, train_run

BACKBONE, SIZE, DIMENSION, CLASSES, NEAREST = "mobilenetv3_large_100", 224, 128, 8, 10
ENOUGH, SOON = 100, 2.0
WHOLE = "whole answer"
RECIPE = {
    "format": 1,
    "name": "latency",
    "data": {"level": "view", "size": SIZE},
    "model": {
        "backbone": BACKBONE,
        "tap": "last",
        "weights": "none",
        "embedding": {"dimension": DIMENSION, "logits": True},
    },
    "hierarchy": {"levels": ["view"]},
    "objectives": {
        "classification": {"type": "cross_entropy"},
        "similarity": {"type": "semantic_abstraction", "alphas": [1]},
    },
    "training": {"epochs": 1, "batch_size": 16, "monitor": "recall@1.view"},
    "split": {
        "protocol": "single_split",
        "validation": 0.25,
        "test": 0.25,
        "keep_duplicates_together": False,
    },
    "study": {"primary": "recall@1.view", "seeds": 1, "baseline": "one", "variants": {"one": {}}},
}
START = """
import sys, time
begin = time.perf_counter()
from sonoprior.casebase.base import CaseBase
base = CaseBase.open(sys.argv[1])
imported = time.perf_counter()
base.vectors()
cases = time.perf_counter()
base.recogniser
print(imported - begin, cases - imported, time.perf_counter() - cases)
"""


def fan(random: np.random.Generator) -> np.ndarray:
    """Speckle in a fan of 70 degrees on black, 640 x 480."""
    rows, columns = np.mgrid[:480, :640]
    depth, angle = np.hypot(rows + 60, columns - 320), np.arctan2(columns - 320, rows + 60)
    inside = (depth > 80) & (depth < 530) & (abs(angle) < np.deg2rad(35))
    return (random.rayleigh(50, (480, 640)).clip(1, 255) * inside).astype(np.uint8)


def write_cases(folder: Path) -> CaseSet:
    """A few frames of every class, of 8 patients."""
    random = generator(0, "frames")
    names = [f"view {number}" for number in range(CLASSES)]
    with CaseSetWriter(folder, DatasetInfo(name="latency", levels={"view": names})) as writer:
        for number in range(8 * CLASSES):
            label = {"view": names[number % CLASSES]}
            writer.add(f"{number}", fan(random), labels=label, exam=f"{number // CLASSES}")
    return CaseSet.open(folder)


def write_run(folder: Path, case_set: CaseSet) -> Path:
    """A run that has seen every case once."""
    path = folder / "latency.yaml"
    path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    plan = plan_run(load_recipe(path, variant="one"), case_set, "one")
    return train_run(plan, folder / "run", Computing(choose_device("cpu")))


def fill(base: CaseBase, count: int) -> None:
    """Random cases in exams of 20."""
    random = generator(0, "cases")
    with base.store.adding() as adding:
        for start in range(0, count, 20_000):
            given = random.standard_normal((min(20_000, count - start), DIMENSION), dtype=np.float32)
            adding.put(
                (random_record(start + at) for at in range(len(given))),
                given / np.linalg.norm(given, axis=1, keepdims=True),
            )


def random_record(number: int) -> Record:
    """A case without a picture."""
    facts = {"set": ["random"], "case": [str(number)]}
    return Record(f"random/{number}", f"random/exam:{number // 20}", f"random/{number // 20}", facts)


class Ways:
    """What takes turns; every way is given the number of a frame."""

    def __init__(self, base: CaseBase, run: Path, frames: Mapping[str, list[Path]], threads: int) -> None:
        self.base, self.frames = base, frames
        bundle = next((base.folder / "bundles").iterdir())
        self.recogniser = Recogniser(bundle, threads=threads)
        self.alone, self.pool = Recogniser(bundle, threads=1), ThreadPoolExecutor(threads)
        pictures = [read_grey(path) for path in frames["png"]]
        side = self.recogniser.manifest.side
        self.pictures = pictures
        self.squares = [prepare(one, side).square[None, None] for one in pictures]
        self.answers = self.recogniser.answers(pictures)
        self.model = load(run, "cpu").model.network.eval()
        self.inputs = torch.rand(1, 1, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
        bare = base.folder.with_name("bare.onnx")
        write_onnx(self.model, {"images": self.inputs}, ["outputs"], bare, "the network alone")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.bare = onnxruntime.InferenceSession(bare, options)
        self.images = self.inputs.numpy()
        self.exported = onnxruntime.InferenceSession(self.recogniser.folder / NETWORK, options)

    def whole(self, recogniser: Recogniser, kind: str) -> Callable[[int], object]:
        """From the file to the ten nearest."""

        def answer(at: int) -> object:
            found = recogniser.answer(self.frames[kind][at], overlay=True)
            return found, self.base.nearest(found.embedding[None], NEAREST)

        return answer

    def in_flight(self, kind: str) -> Callable[[int], object]:
        """The same of some frames, as many at a time as there are threads."""
        return lambda count: list(self.pool.map(self.whole(self.alone, kind), range(count)))

    def torch_model(self, _: int) -> object:
        """The network as it was trained, of an input that is ready."""
        with torch.inference_mode():
            return self.model(self.inputs)

    def all(self) -> dict[str, Callable[[int], object]]:
        """Every way by name, to be given how many frames."""
        flying = {f"{WHOLE}, {kind.upper()}, in flight": self.in_flight(kind) for kind in self.frames}
        return flying | {name: one_by_one(way) for name, way in self.alone_in_turn().items()}

    def alone_in_turn(self) -> dict[str, Callable[[int], object]]:
        """What is measured one frame at a time, to be given its number."""
        side = self.recogniser.manifest.side
        return {
            f"{WHOLE}, PNG": self.whole(self.recogniser, "png"),
            f"{WHOLE}, JPEG": self.whole(self.recogniser, "jpg"),
            "the same without overlay, PNG": lambda at: self.base.nearest(
                self.recogniser.answer(self.frames["png"][at]).embedding[None], NEAREST
            ),
            "decode a PNG": lambda at: read_grey(self.frames["png"][at]),
            "decode a JPEG": lambda at: read_grey(self.frames["jpg"][at]),
            "into the square": lambda at: prepare(self.pictures[at], side),
            "square, network, view, confidence": lambda at: self.recogniser.answer(self.pictures[at]),
            "the same with overlay": lambda at: self.recogniser.answer(self.pictures[at], overlay=True),
            f"{NEAREST} nearest": lambda at: self.base.nearest(self.answers[at].embedding[None], NEAREST),
            "the bundle's graph alone": lambda at: self.exported.run(None, {"squares": self.squares[at]}),
            "bare network, onnxruntime": lambda _: self.bare.run(None, {"images": self.images}),
            "bare network, torch": self.torch_model,
        }


def one_by_one(way: Callable[[int], object]) -> Callable[[int], object]:
    """The same of some frames, one after the other."""
    return lambda count: [way(at) for at in range(count)]


def measure(ways: Mapping[str, Callable[[int], object]], frames: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a frame of every way, a value a round."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():  # the first time of everything is slower
        way(2)
    for _ in range(rounds):
        for name, way in ways.items():
            begin = perf_counter()
            way(frames)
            taken[name].append(1e3 * (perf_counter() - begin) / frames)
    return taken


def starts(folder: Path, rounds: int) -> list[float]:
    """Seconds of a fresh process for its imports, the cases, and the bundle; medians."""
    command = [sys.executable, "-c", START, str(folder)]
    each = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(rounds)]
    return np.median([[float(word) for word in line.split()] for line in each], axis=0).tolist()


def rows(taken: Mapping[str, list[float]]) -> Iterable[str]:
    """The table of ways."""
    whole = taken[f"{WHOLE}, PNG"]
    yield "| a frame | ms | a second | share of a whole answer, PNG |"
    yield "|---|--:|--:|--:|"
    for name, values in taken.items():
        share = median(value / all_of_it for value, all_of_it in zip(values, whole, strict=True))
        yield f"| {name} | {median(values):.2f} | {1e3 / median(values):.0f} | {share:.2f} |"


def introduction(chosen: argparse.Namespace, manifest: Manifest, calibrated: bool) -> list[str]:
    """What was measured on what."""
    about = manifest.overlay
    assert about is not None  # this network's last map can be exported
    machine = f"{chosen.threads} threads of {platform.machine()}"
    versions = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}"
    return [
        "# How long a frame waits for its answer",
        "",
        f"{BACKBONE}, {SIZE} x {SIZE}, {chosen.cases:,} cases x {DIMENSION}, {machine}, {versions}.",
        f"Frames of 640 x 480, {chosen.frames} a round, {chosen.rounds} rounds in turns;",
        f"one at a time, or in flight {chosen.threads} at a time.",
        f"The overlay is of {about.tap}, {about.how}, {len(about.maps)} maps;",
        f"confidence is {'' if calibrated else 'not '}calibrated.",
        f"Goals: {ENOUGH} whole answers a second; loaded within {SOON:g} s.",
    ]


def started(loading: list[float]) -> str:
    """How long a fresh process takes until it can answer."""
    imports, cases, bundle = loading
    each = f"imports {imports:.2f} s, cases {cases:.2f} s, bundle {bundle:.2f} s"
    return f"Start of a fresh process: {each}; in all {sum(loading):.2f} s."


def main() -> int:
    """Measure, print, and keep the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    threadpool_limits(1, user_api="blas")
    with TemporaryDirectory() as name:
        folder = Path(name)
        case_set = write_cases(folder / "set")
        run = write_run(folder, case_set)
        manifest = export_run(run, folder / "bundle", case_set=case_set)
        base = CaseBase.build(folder / "bundle", [case_set], folder / "base")
        fill(base, chosen.cases - len(case_set))
        frames = write_frames(folder, chosen.frames)
        base.vectors()
        taken = measure(Ways(base, run, frames, chosen.threads).all(), chosen.frames, chosen.rounds)
        loading = starts(folder / "base", chosen.rounds)
        calibrated = Confidence.read(folder / "bundle", manifest.views).calibrated
    found = [*introduction(chosen, manifest, calibrated), "", *rows(taken), "", started(loading)]
    print("\n".join(found))
    if chosen.out is not None:
        command = "    python benchmarks/answer_latency.py --out docs/results/answer_latency.md"
        chosen.out.write_text("\n".join([*found, "", command]) + "\n", encoding="utf-8")
    fast = min(1e3 / median(values) for name, values in taken.items() if name.endswith("in flight"))
    return 0 if fast >= ENOUGH and sum(loading) <= SOON else 1


def write_frames(folder: Path, count: int) -> dict[str, list[Path]]:
    """The same frames as PNG and as JPEG files."""
    random = generator(1, "frames")
    files: dict[str, list[Path]] = {"png": [], "jpg": []}
    for number in range(count):
        picture = Image.fromarray(fan(random))
        for kind, paths in files.items():
            paths.append(folder / f"{number}.{kind}")
            picture.save(paths[-1], quality=90)
    return files


if __name__ == "__main__":
    raise SystemExit(main())
