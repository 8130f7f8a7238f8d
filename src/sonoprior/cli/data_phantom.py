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
    kit: str = "early-pregnancy",
    patients: int = 120,
    frames: int | None = None,
    seed: int = 7,
    size: int = 256,
    outlines: float = 0.23,
    boxes: float = 1.0,
    abdominal: float | None = None,
    view_weight: Annotated[list[str] | None, Parameter(name="--view-weight")] = None,
    unlabelled: float | None = None,
    out_of_scope: float | None = None,
    sweeps: int | None = None,
    label_noise: float | None = None,
    outline_noise: float = 0.0,
    confounder: str | None = None,
    overlay_masks: bool = False,
    jobs: int | None = None,
    json: bool = False,
) -> None:
    """Simulate exams and write them as a case set.

    Args:
        out: the new folder.
        kit: which exams: early-pregnancy, abdomen or fetal-planes. A flag that is not a kit's own is refused.
        patients: how many, one exam each.
        frames: early-pregnancy: how many with one of the eight classes, in all; by default 16.7 a patient.
        seed: the same seed makes the same set, with any number of jobs.
        size: pixels in each direction.
        outlines: share of frames that come with outlines.
        boxes: share of frames that come with boxes.
        abdominal: early-pregnancy: share of patients scanned through the abdominal wall; by default 0.04.
        view_weight: early-pregnancy: how often a view is taken, as "NAME=WEIGHT"; may be given several times,
            and views that are not named are then not taken. By default they come as often as in real exams.
        unlabelled: early-pregnancy: further frames off their plane or between two views, as a share, by
            default 0.05. Otherwise: share of patients whom nobody labelled, by default 0.6 of the abdomen's.
        out_of_scope: abdomen: share of the unlabelled frames that show another part of the body; by default
            0.05.
        sweeps: early-pregnancy: clips of 10 to 60 frames a patient, on top.
        label_noise: early-pregnancy: share of frames whose view is wrong.
        outline_noise: standard deviation of an outline's error, in pixels.
        confounder: early-pregnancy: a burnt-in mark that goes with a class but in the test part, as
            "logo=adnexa and ovary".
        overlay_masks: keep the place of each burnt-in mark.
        jobs: processes; by default one a core.
        json: print what was made as JSON.
    """
    from sonoprior.cases.phantom import make_phantom

    if jobs is not None and jobs < 1:
        raise DataError(f"--jobs must be at least 1, but got {jobs}.")
    own = {
        "frames": frames,
        "abdominal": abdominal,
        "view_weights": _weights(view_weight) if view_weight else None,
        "unlabelled": unlabelled,
        "out_of_scope": out_of_scope,
        "sweeps": sweeps,
        "label_noise": label_noise,
        "confounder": None if confounder is None else _confounder(confounder),
    }
    made = make_phantom(
        out,
        kit,
        jobs=jobs,
        patients=patients,
        seed=seed,
        size=size,
        outline_fraction=outlines,
        box_fraction=boxes,
        outline_noise_px=outline_noise,
        overlay_masks=overlay_masks,
        **{name: value for name, value in own.items() if value is not None},
    )
    if json:
        said = {"folder": str(out), "kit": kit, "name": made.info.name, "cases": len(made)}
        print_json({**said, "simulated": True})
    else:
        print(f"{len(made)} simulated frames of {patients} simulated patients ({kit}) in {out}")


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
