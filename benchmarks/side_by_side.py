"""How many training steps a second a machine makes with several runs side by side: what to give `--jobs`.

    python benchmarks/side_by_side.py RECIPE VARIANT --data SET [--device cuda] [--jobs 1 4 16] [--seconds 10]
        [--set key=value]

Each run is a process of its own, as in a study, that trains the variant's first fold with its own seed. All
start at the same moment, after one epoch of warming up. Small networks leave a GPU idle most of the time, and
several of them fill it; on a processor there should be no more of them than cores.
"""

import argparse
import multiprocessing
import tempfile
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import perf_counter

from sonoprior.cases import CaseSet
from sonoprior.cases.loading.cache import Cache
from sonoprior.training.assemble import assemble, usable_priors
from sonoprior.training.loop import train_epoch
from sonoprior.training.machine import choose_device, computing, share_of_cores
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe, take_variant
from sonoprior.training.run import plan_run


def steps_of_one(given: argparse.Namespace, caches: Path, seed: int, jobs: int, start: Barrier) -> float:
    """Steps a second of one run, while others run."""
    recipe, case_set, device = variant_of(given), CaseSet.open(given.data), choose_device(given.device)
    plan = plan_run(recipe, case_set, given.variant, seed=seed)
    with computing(share_of_cores(jobs), seed):
        cache = cache_of(recipe, case_set, caches)
        training, _ = assemble(recipe, cache, plan.parts, seed, device, groups=plan.groups, texts=caches)
        train_epoch(training, 0)
        start.wait()
        begin, epochs = perf_counter(), 0
        while perf_counter() - begin < given.seconds:
            epochs += 1
            train_epoch(training, epochs)
        return epochs * training.steps_per_epoch / (perf_counter() - begin)


def variant_of(given: argparse.Namespace) -> Recipe:
    """The recipe that is measured, with so many epochs that its schedule never ends."""
    whole = load_recipe(given.recipe, changes=["training.epochs=100000", *given.set])
    return take_variant(whole, given.variant)


def cache_of(recipe: Recipe, case_set: CaseSet, folder: Path) -> Cache:
    """The decoded pixels, from the folder if they are there."""
    return Cache.build(case_set, folder, size=recipe.data.size, priors=usable_priors(recipe, case_set))


def measure(given: argparse.Namespace, caches: Path, jobs: int) -> float:
    """Steps a second of all runs together."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(jobs) as pool:
        start = manager.Barrier(jobs)
        tasks = [(given, caches, seed, jobs, start) for seed in range(jobs)]
        return sum(pool.starmap(steps_of_one, tasks, chunksize=1))


def main() -> None:
    """Print a line for each number of runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("variant")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache_of(variant_of(given), CaseSet.open(given.data), Path(folder))
        for jobs in given.jobs:
            rate = measure(given, Path(folder), jobs)
            what = f"{given.variant} on {given.device}, {jobs} side by side"
            print(f"{what}: {rate:.0f} steps a second", flush=True)


if __name__ == "__main__":
    main()
