"""`sonoprior data phantom`: make a simulated case set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sonoprior.core.errors import DataError

from .output import print_json

if TYPE_CHECKING:
    from sonoprior.cases.phantom import Confounder


def phantom(  # noqa: PLR0913 - one argument a flag
    out: Path,
    /,
    *,
    patients: int = 120,
    frames: int | None = None,
    seed: int = 7,
    size: int = 256,
    outlines: float = 0.23,
    boxes: float = 1.0,
    abdominal: float = 0.04,
    view_weight: Annotated[list[str] | None, Parameter(name="--view-weight")] = None,
    unlabelled: float = 0.05,
    sweeps: int = 0,
    label_noise: float = 0.0,
    outline_noise: float = 0.0,
    confounder: str | None = None,
    overlay_masks: bool = False,
    jobs: int | None = None,
    json: bool = False,
) -> None:
    """Simulate exams of early pregnancy and write them as a case set.

    Args:
        out: the new folder.
        patients: how many, one exam each.
        frames: how many with one of the eight classes, in all; by default 16.7 a patient.
        seed: the same seed makes the same set, with any number of jobs.
        size: pixels in each direction.
        outlines: share of frames that come with outlines.
        boxes: share of frames that come with boxes.
        abdominal: share of patients scanned through the abdominal wall.
        view_weight: how often a view is taken, as "NAME=WEIGHT"; may be given several times, and views that
            are not named are then not taken. By default they come as often as in real exams.
        unlabelled: further frames off their plane or between two views, as a share.
        sweeps: clips of 10 to 60 frames a patient, on top.
        label_noise: share of frames whose view is wrong.
        outline_noise: standard deviation of an outline's error, in pixels.
        confounder: a burnt-in mark that goes with a class but in the test part, as "logo=adnexa and ovary".
        overlay_masks: keep the place of each burnt-in mark.
        jobs: processes; by default one a core.
        json: print what was made as JSON.
    """
    from sonoprior.cases.phantom import make_phantom

    if jobs is not None and jobs < 1:
        raise DataError(f"--jobs must be at least 1, but got {jobs}.")
    made = make_phantom(
        out,
        patients=patients,
        frames=frames,
        seed=seed,
        size=size,
        outline_fraction=outlines,
        box_fraction=boxes,
        abdominal=abdominal,
        view_weights=_weights(view_weight or []),
        unlabelled=unlabelled,
        sweeps=sweeps,
        label_noise=label_noise,
        outline_noise_px=outline_noise,
        confounder=None if confounder is None else _confounder(confounder),
        overlay_masks=overlay_masks,
        jobs=jobs,
    )
    if json:
        print_json({"folder": str(out), "name": made.info.name, "cases": len(made), "simulated": True})
    else:
        print(f"{len(made)} simulated frames of {patients} simulated patients in {out}")


def _weights(texts: list[str]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for text in texts:
        view, _, weight = text.rpartition("=")
        try:
            weights[view] = float(weight)
        except ValueError as error:
            raise DataError(f"--view-weight must be NAME=WEIGHT, but got '{text}'.") from error
    return weights


def _confounder(text: str) -> "Confounder":
    from sonoprior.cases.phantom import Confounder

    mark, between, plane = text.partition("=")
    if not between:
        raise DataError(f"--confounder must be MARK=CLASS, but got '{text}'.")
    return Confounder(mark, plane)
