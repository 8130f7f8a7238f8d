"""The case set that a run was trained on: named by the user, or where it lay when the run was trained."""

from pathlib import Path

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.errors import DataError, SonopriorError
from sonoprior.core.folder import read_json
from sonoprior.training.parts import read_parts
from sonoprior.training.predictor import Predictor
from sonoprior.training.run import CASE_SET, ENVIRONMENT


def training_set(predictor: Predictor, named: CaseSet | None) -> tuple[CaseSet | None, str]:
    """The set that a run was trained on, or None and why it cannot be had.

    Args:
        predictor: the run.
        named: the set that the user says it is; where None, the one whose place the run remembers.

    Raises:
        DataError: if the named set is another one.
    """
    if named is not None:
        _check_same(predictor, named)
        return named, ""
    place = read_json(predictor.folder / ENVIRONMENT).get(CASE_SET)
    if not isinstance(place, str):
        return None, "the run does not say where its case set lies"
    try:
        found = CaseSet.open(Path(place))
        _check_same(predictor, found)
    except SonopriorError as error:
        return None, str(error).rstrip(".")
    return found, ""


def _check_same(predictor: Predictor, case_set: CaseSet) -> None:
    """Refuse a set of another name, of other classes, or without a case that the run was given."""
    name, level = predictor.identity["case_set"], predictor.model.level
    if case_set.info.name != name:
        raise DataError(
            f"{predictor.folder} was trained on the case set '{name}', but {case_set.root} is"
            f" '{case_set.info.name}'."
        )
    read_parts(predictor.folder / "split.csv", case_set)
    has = case_set.classes(level) if level in case_set.info.levels else None
    if has != list(predictor.model.classes):
        raise DataError(
            f"{case_set.root} is not the set that {predictor.folder} was trained on: its '{level}' level has"
            " other classes."
        )
