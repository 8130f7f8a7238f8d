"""`sonoprior export`."""

import sys
from pathlib import Path

from .output import print_json


def export(run: Path, *, out: Path, data: Path | None = None, json: bool = False) -> None:
    """Write the bundle of a run: what answers frames without torch.

    Parameters
    ----------
    run:
        The run folder.
    out:
        The bundle folder to write.
    data:
        The case set that the run was trained on, by which its confidence is calibrated; where it lay when
        the run was trained, if it is not named.
    json:
        Print what the bundle says of itself as JSON.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.export.run import export_run

    manifest = export_run(run, out, case_set=None if data is None else CaseSet.open(data))
    if json:
        print_json(manifest.model_dump())
        return
    print(f"bundle: {out}", file=sys.stderr)
