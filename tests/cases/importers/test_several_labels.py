import numpy as np
import pytest
from PIL import Image

from sonoprior.cases import CaseSet
from sonoprior.cases.importers import IMPORTERS, ImportOptions, import_cases
from sonoprior.core.errors import DataError


@pytest.fixture
def table(tmp_path):
    for name in "abcd":
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    rows = ["a.png,liver; kidney,left", "b.png,@empty,", "c.png,,right", "d.png,kidney,a;b"]
    (tmp_path / "cases.csv").write_text("\n".join(["image,label.organs,label.side", *rows]))
    return tmp_path / "cases.csv"


def imported(table, name="csv", **said):
    return import_cases(IMPORTERS.load(name)(table, ImportOptions(**said)), table.parent / "set")


def test_a_cell_may_hold_several_classes(table):
    report = imported(table, several=("organs",))
    case_set = CaseSet.open(table.parent / "set")
    assert case_set.singles("organs") == ["kidney", "liver"]
    assert case_set.label_names("organs").tolist() == ["kidney + liver", "none", None, "kidney"]
    assert case_set.label_names("side").tolist() == ["left", None, "right", "a;b"]
    assert report.classes == {"organs": {"kidney": 2, "liver": 1}, "side": {"a;b": 1, "left": 1, "right": 1}}


def test_without_a_word_of_it_a_cell_is_one_class(table):
    imported(table)
    assert "liver; kidney" in CaseSet.open(table.parent / "set").classes("organs")


def test_a_level_that_is_not_there_is_refused(table):
    with pytest.raises(DataError, match="several: a level must be one of organs, side, but got 'organ'"):
        imported(table, several=("organ",))


def test_an_importer_without_use_for_it_says_so(table):
    with pytest.raises(DataError, match="the importer 'folder' has no use for --several; leave it out"):
        imported(table.parent, "folder", several=("organs",))
