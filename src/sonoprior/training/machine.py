"""What a run computes on: device, threads, versions. What is recorded here is what is used."""

import os
import platform
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from sonoprior.core.checks import at_least, one_of
from sonoprior.core.cores import cores
from sonoprior.core.errors import SonopriorError

# Where a run keeps what it ran on, and there the place of its case set.
ENVIRONMENT, CASE_SET = "environment.json", "case_set"
PACKAGES = ("sonoprior", "torch", "torchvision", "timm", "numpy", "pandas", "scikit-learn", "safetensors")

# What torch says in every process on a GPU, and nobody can act on: that it takes up a context, and that
# attention has no kernel which repeats itself to the last bit.
_HARMLESS = ("Attempting to run cuBLAS, but there was no current", "Memory Efficient attention defaults")


def share_of_cores(workers: int) -> int:
    """Threads for each of some workers, so that together they use every core once."""
    at_least("the number of jobs", workers, 1)
    return max(1, cores() // workers)


@contextmanager
def computing(threads: int, seed: int) -> Generator[None, None, None]:
    """Compute with so many threads, in a reproducible way; afterwards everything is as it was.

    The same seed, threads and machine give the same numbers. torch's global random state starts from
    `seed` inside and is restored outside.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filling: Any = torch.utils.deterministic  # its one setting is a property that no stub knows
    fills = filling.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to repeat itself
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    # Nothing here reads memory before it is written; filling all of it first took a sixth of a step.
    filling.fill_uninitialized_memory = False
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            for said in _HARMLESS:
                warnings.filterwarnings("ignore", said)
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1], warn_only=warn_only)
        filling.fill_uninitialized_memory = fills


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        SonopriorError: if the name is none of these, or this machine has no such device.
    """
    kind, _, index = name.partition(":")
    one_of("device", kind, ["auto", "cpu", "cuda", "mps"])
    if kind == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    available = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (index and not index.isdigit()) or int(index or 0) >= available[kind]:
        raise SonopriorError(f"device must be one that this machine has, but got '{name}'; it has {_have()}.")
    return torch.device(name)


def _have() -> str:
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ", ".join(["cpu", *gpus, *mps])


def versions() -> dict[str, str | None]:
    """Installed versions of what decides a run's numbers; None where a package is missing."""
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def environment(device: torch.device, threads: int, workers: int) -> dict[str, Any]:
    """What is written beside a run, so that its numbers can be made again."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
        "device": str(device),
        "gpu": gpu,
        "threads": threads,
        "workers": workers,
        "cores": cores(),
    }
