"""`sonoprior compare`: two runs on the test cases that they share."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .output import print_json, print_table


def compare(
    run_a: Path,
    run_b: Path,
    *,
    as_json: Annotated[bool, Parameter("--json")] = False,
    out: Path | None = None,
) -> None:
    """Compare two runs on the test cases they share, B minus A, with intervals over patients.

    Args:
        run_a: a run folder, usually the baseline.
        run_b: a run folder.
        as_json: print JSON instead of a table.
        out: also write the JSON to this file.
    """
    from sonoprior.core.folder import write_json
    from sonoprior.studies.comparison import compare_runs
    from sonoprior.studies.wording import bounds, heading, number

    found = compare_runs(run_a, run_b)
    content = {
        "a": str(run_a),
        "b": str(run_b),
        "difference": "b - a",
        "measures": {row.measure.name: row.plain() for row in found},
    }
    if out is not None:
        write_json(out, content)
    if as_json:
        print_json(content)
        return
    rows = [
        [
            heading(row.measure),
            number(row.first, row.measure),
            number(row.second, row.measure),
            number(row.difference.value, row.measure, sign=True),
            bounds(row.difference, row.measure, sign=True),
            row.cases,
        ]
        for row in found
    ]
    print_table(f"A {run_a}\nB {run_b}", ["measure", "A", "B", "B - A", "95 % interval", "cases"], rows)
