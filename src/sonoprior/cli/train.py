"""`sonoprior train`."""

import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .evaluate import print_metrics
from .output import print_json
from .recipe import Set

if TYPE_CHECKING:
    from sonoprior.training.loop import Fit
    from sonoprior.training.recipe import Recipe
    from sonoprior.training.run import AfterEpoch


def train(  # noqa: PLR0913 (each is an option)
    recipe: str,
    *,
    data: Path,
    out: Path,
    changes: Set = None,
    quick: bool = False,
    variant: str | None = None,
    fold: int = 0,
    seed: int = 0,
    resume: bool = False,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Train one run of a recipe, and measure it.

    Parameters
    ----------
    recipe:
        A recipe's name, or the path of a YAML file.
    data:
        The folder of the case set.
    out:
        The run folder to write.
    changes:
        A setting to change, as dotted.key=value; may be given several times.
    quick:
        Take the recipe's quick form.
    variant:
        The variant of the recipe; its settings as they stand, if none is named.
    fold:
        Which split, from 0.
    seed:
        Every draw of the run is derived from it.
    resume:
        Go on with a run that was stopped.
    device:
        auto, cpu, cuda, cuda:1, mps.
    json:
        Print the metrics as JSON.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.core.folder import read_json
    from sonoprior.training.exportable import warn_of_tap
    from sonoprior.training.machine import choose_device
    from sonoprior.training.recipe_file import load_recipe
    from sonoprior.training.run import METRICS, Computing, plan_run, train_run

    settings = load_recipe(recipe, quick=quick, changes=changes or [], variant=variant, fold=fold)
    refuse_existing(out, resume=resume)
    plan = plan_run(settings, CaseSet.open(data), variant or settings.name, fold, seed)
    computing = Computing(choose_device(device))
    try:
        with plain_warnings():
            warn_of_tap(settings)
            with epoch_bar(settings) as after_epoch:
                train_run(plan, out, computing, resume=resume, after_epoch=after_epoch)
    except KeyboardInterrupt:
        print(how_to_resume(out), file=sys.stderr)
        raise
    metrics = read_json(out / METRICS)
    if json:
        print_json({"run": str(out), "metrics": metrics})
        return
    print_metrics(metrics)
    print(f"run: {out}")


def refuse_existing(out: Path, *, resume: bool) -> None:
    """Refuse a folder with something in it, unless it is resumed.

    Raises:
        FolderError: saying how to go on.
    """
    from sonoprior.core.errors import FolderError

    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderError(f"{out} exists already; name a new folder, or go on with it with --resume.")


def how_to_resume(out: Path) -> str:
    """What to say when a person stops the work."""
    return f"sonoprior: what is finished is kept in {out}; go on with the same command and --resume."


@contextmanager
def plain_warnings() -> "Generator[None, None, None]":
    """Print each warning as one sentence on standard error, once."""

    def show(message: Warning | str, *_where: object) -> None:
        print(f"sonoprior: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextmanager
def epoch_bar(settings: "Recipe") -> "Generator[AfterEpoch, None, None]":
    """A bar that counts epochs, with the monitored metric behind it."""
    from sonoprior.core.progress import bar
    from sonoprior.training.pretraining import epochs_in_all

    with bar("training", epochs_in_all(settings)) as tick:
        seen = 0

        def after_epoch(fit: "Fit") -> None:
            nonlocal seen
            monitor = fit.training.settings.monitor
            now, best = fit.progress.rows[-1][f"val.{monitor}"], fit.progress.best_value
            tick(fit.epochs_done - seen, f"{monitor} {now:.3f}, best {best:.3f}")
            seen = fit.epochs_done

        yield after_epoch
