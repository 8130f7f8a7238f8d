"""`sonoprior doctor`."""

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .output import print_json, print_table

_BYTES_IN_GB = 1024**3


def doctor(*, device: str = "auto", json: bool = False) -> None:
    """Say what is installed and what is used: versions, extras, device, threads, disk.

    Parameters
    ----------
    device:
        auto, cpu, cuda, cuda:1, mps; an error if this machine does not have it.
    json:
        Print JSON instead of tables.
    """
    found: dict[str, Any] = {
        "sonoprior": version("sonoprior"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": _packages(),
        "computing": _computing(device),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / _BYTES_IN_GB, 1),
    }
    if json:
        print_json(found)
        return
    plain = [(name, value) for name, value in found.items() if not isinstance(value, dict)]
    print_table("sonoprior", ["what", "found"], [*plain, *found["computing"].items()])
    rows = [(name, needed, came or "not installed") for name, (needed, came) in found["packages"].items()]
    print_table("packages", ["package", "needed by", "found"], rows)


def _packages() -> dict[str, tuple[str, str | None]]:
    """Each required package with what needs it (the core, or an extra) and its version, None if missing."""
    found: dict[str, tuple[str, str | None]] = {}
    for requirement in metadata("sonoprior").get_all("Requires-Dist") or []:
        name, extra = _named(requirement)
        found.setdefault(name, (extra, _version(name)))
    return found


def _named(requirement: str) -> tuple[str, str]:
    """Package and extra of a line such as 'torch>=2.11; extra == "train"'."""
    package, _, marker = requirement.partition(";")
    name = package.split("[")[0].split(">")[0].split("=")[0].split("<")[0].split("~")[0].split("!")[0]
    extra = marker.split("==")[-1].strip(" \"'") if "extra" in marker else "core"
    return name.strip(), extra


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _computing(device: str) -> dict[str, Any]:
    if find_spec("torch") is None:
        return {"device": "none: torch is missing; install sonoprior[train]"}
    import torch

    from sonoprior.core.cores import cores
    from sonoprior.training.machine import choose_device

    chosen = choose_device(device)
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "device": str(chosen),
        "gpus": ", ".join(gpus) or "none",
        "cores": cores(),
        "threads of one run": cores(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
    }
