"""`sonoprior data show`: a contact sheet of a case set."""

from pathlib import Path


def show(
    data: Path,
    /,
    *,
    out: Path | None = None,
    cases: int = 36,
    columns: int = 6,
    level: str | None = None,
    outlined: bool = False,
    seed: int = 0,
) -> None:
    """Draw a contact sheet with outlines and labels.

    Args:
        data: a case set.
        out: the PNG; by default "sheet.png" where the command runs.
        cases: how many, spread evenly over the classes.
        columns: pictures in a row.
        level: whose labels stand below the pictures; by default the first.
        outlined: show only cases with outlines.
        seed: for which cases are shown.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.cases.show import sheet_of
    from sonoprior.core.checks import at_least
    from sonoprior.core.errors import DataError
    from sonoprior.core.folder import whole_file

    at_least("--cases", cases, 1, DataError)
    at_least("--columns", columns, 1, DataError)
    case_set = CaseSet.open(data)
    sheet = sheet_of(case_set, cases, columns=columns, level=level, outlined=outlined, seed=seed)
    target = Path("sheet.png") if out is None else out
    with whole_file(target) as temporary:
        sheet.save(temporary, format="PNG")
    print(f"{target}")
