"""`sonoprior casebase evaluate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .casebase import filters
from .evaluate import print_metrics
from .output import print_json


def evaluate(
    base: Path,
    *,
    level: Annotated[list[str] | None, Parameter(negative="")] = None,
    where: Annotated[list[str] | None, Parameter(negative="")] = None,
    learnt: Annotated[bool, Parameter(negative="")] = False,
    queries: int = 5000,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure a base by itself: what each of its cases finds, nothing of its own patient or exam.

    Recall@k at the level of the labels and at those above it (meta-recall), R-precision, MAP@R, and how far
    in the ontology the nearest case is where it is wrong; as it is and re-ranked, with intervals over
    patients.

    Parameters
    ----------
    base:
        The folder of the case base.
    level:
        A level of the labels to measure at, the lowest first; may be given several times. By default those of
        the bundle and those above.
    where:
        Which cases are looked for, as NAME=VALUE, such as split=test; may be given several times. All of them
        may be found.
    learnt:
        Look for the cases too that the bundle was trained with or chosen by; they are easier for it.
    queries:
        At most so many cases are looked for, drawn where there are more.
    seed:
        Of that draw, and of the bank of the re-ranking.
    json:
        Print JSON instead of a table.
    """
    from sonoprior.casebase.base import CaseBase
    from sonoprior.casebase.evaluate import evaluate as measure

    found = measure(
        CaseBase.open(base), level or (), where=filters(where), learnt=learnt, queries=queries, seed=seed
    )
    if json:
        print_json(asdict(found))
        return
    print_metrics({"as it is": found.measures, "re-ranked": found.reranked, "gain": found.gain})
    print(f"{found.queries} of {found.cases} cases looked for, of {found.groups} patients or exams")
    if found.learnt:
        said = "are among them, and easier" if learnt else "were not looked for, since they are easier"
        print(f"{found.learnt} cases that had a part in the bundle's training {said} for it")
    for name, count in found.unanswerable.items():
        if count:
            print(f"{count} of them no case of another patient could answer at the level '{name}'")
