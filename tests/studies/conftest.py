import pytest

from made_study import SMALL, Made, write_cases, write_study
from sonoprior.cases import CaseSet


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A finished study of three variants, three folds and two seeds; not to be written to."""
    folder = tmp_path_factory.mktemp("made")
    cases = write_cases(folder / "cases")
    return Made(cases, write_study(folder / "study", CaseSet.open(cases)))


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A finished study of two variants, two folds and one seed; not to be written to."""
    folder = tmp_path_factory.mktemp("small")
    cases = write_cases(folder / "cases", 36)
    return Made(cases, write_study(folder / "study", CaseSet.open(cases), SMALL))
