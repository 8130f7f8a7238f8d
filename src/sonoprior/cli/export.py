"""`sonoprior export`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .output import print_json

if TYPE_CHECKING:
    from sonoprior.bundle.manifest import Manifest


def export(
    run: Path, *, out: Path, data: Path | None = None, coverage: float = 0.95, json: bool = False
) -> None:
    """Write the bundle of a run: what answers frames without torch.

    Parameters
    ----------
    run:
        The run folder.
    out:
        The bundle folder to write.
    data:
        The case set that the run was trained on, by which its confidence is calibrated; the one that it
        was trained from, where that still lies there, if none is named.
    coverage:
        How often the true class shall be among the candidates, from 0.5 to 0.999; the more often, the more
        candidates an answer has.
    json:
        Print what the bundle says of itself as JSON.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.export.run import export_run

    case_set = None if data is None else CaseSet.open(data)
    manifest = export_run(run, out, case_set=case_set, coverage=coverage)
    if json:
        print_json(manifest.model_dump())
    for line in _told(out, manifest):
        print(line, file=sys.stderr if json else sys.stdout)


def _told(out: Path, manifest: "Manifest") -> Iterator[str]:
    """What the bundle can do, and what it cannot and why."""
    from sonoprior.bundle.confidence import Confidence

    named = f"names {len(manifest.views.classes)} classes" if manifest.views else "names no classes"
    yield f"bundle: {out} ({manifest.name}; {named}; embeds in {manifest.dimension} dimensions)"
    confidence = Confidence.read(out, manifest.views)
    if confidence.calibrated:
        yield f"confidence: calibrated on {confidence.cases} cases of {confidence.patients} patients"
    else:
        yield f"confidence: not calibrated, {confidence.reason}"
    if confidence.limit is None:
        yield "for confidence and 'not a view I know' name the case set of the run with --data"
    if manifest.overlay is None:
        yield f"overlay: none; {manifest.no_overlay}"
    else:
        yield f"overlay: at {manifest.overlay.tap}, {manifest.overlay.how}" + (
            f"; {manifest.overlay.reason}" if manifest.overlay.reason else ""
        )
    yield f"model card: {out / 'index.html'}"
