"""`sonoprior compare`."""

from pathlib import Path

from .output import print_json, print_table


def compare(run_a: Path, run_b: Path, *, out: Path | None = None, json: bool = False) -> None:
    """Compare two runs on the test cases that they share, B minus A.

    Intervals draw whole patients or duplicate groups, the same for both runs.

    Parameters
    ----------
    run_a:
        A run folder, usually the baseline.
    run_b:
        The run folder that is compared with it.
    out:
        A file for the same numbers as JSON.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.core.folder import write_json
    from sonoprior.studies.comparison import compare_runs
    from sonoprior.studies.formats import bounds, heading, number

    found = compare_runs(run_a, run_b)
    content = {"a": str(run_a), "b": str(run_b), "measures": {row.measure.name: row.plain() for row in found}}
    if out is not None:
        write_json(out, content)
    if json:
        print_json(content)
        return
    rows = [
        [
            heading(row.measure),
            number(row.a, row.measure),
            number(row.b, row.measure),
            number(row.difference.value, row.measure, sign=True),
            bounds(row.difference, row.measure, sign=True),
            row.cases,
        ]
        for row in found
    ]
    print_table(f"A {run_a}\nB {run_b}", ["measure", "A", "B", "B − A", "95 % interval", "cases"], rows)
