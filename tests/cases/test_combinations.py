"""Levels in which a case may show several classes at once."""

from itertools import product

import numpy as np
import pytest

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.combinations import combinations_of, name_of
from sonoprior.cases.info import make_info
from sonoprior.core.errors import DataError

ORGANS = ["liver", "kidney", "spleen"]
INFO = DatasetInfo(name="abdomen", levels={"organs": ORGANS, "side": ["left", "right"]}, several=["organs"])
GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
SHOWN = [["kidney", "liver"], None, [], ["liver"], ["spleen"], ["liver", "kidney"], ORGANS]


@pytest.fixture
def written(tmp_path):
    with CaseSetWriter(tmp_path / "set", INFO) as writer:
        for number, organs in enumerate(SHOWN):
            writer.add(str(number), GREY, labels={} if organs is None else {"organs": organs})
    return CaseSet.open(tmp_path / "set")


def refused(tmp_path, cell, **info):
    about = {"name": "x", "levels": {"organs": ORGANS}, "several": ["organs"]} | info
    with pytest.raises(DataError) as error, CaseSetWriter(tmp_path / "bad", DatasetInfo(**about)) as writer:
        writer.add("a", GREY, labels={"organs": cell})
    return str(error.value)


def test_every_case_has_the_number_of_its_combination(written):
    assert written.classes("organs") == [
        "none",
        "liver",
        "liver + kidney",
        "liver + kidney + spleen",
        "spleen",
    ]
    assert written.labels("organs").tolist() == [2, -1, 0, 1, 4, 2, 3]
    assert written.singles("organs") == ORGANS


def test_the_members_of_a_combination_are_what_its_cases_show(written):
    members = written.members("organs")
    for shown, number in zip(SHOWN, written.labels("organs"), strict=True):
        if shown is not None:
            assert [name for name, held in zip(ORGANS, members[number], strict=True) if held] == sorted(
                shown, key=ORGANS.index
            )
    assert list(written.shown("organs").values()) == [[], ["liver"], ORGANS[:2], ORGANS, ["spleen"]]


def test_all_combinations_are_sorted_by_the_numbers_of_their_classes():
    every = [
        [name for name, held in zip(ORGANS, row, strict=True) if held] for row in product([0, 1], repeat=3)
    ]
    found = combinations_of([";".join(names) or "@empty" for names in every], ORGANS)
    numbers = [tuple(np.flatnonzero(row)) for row in found.members]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 8
    for names, number in zip(every, found.labels, strict=True):
        assert found.names[number] == (" + ".join(names) or "none")


def test_a_level_with_one_class_a_case_has_its_classes_as_members(written):
    assert written.members("side").tolist() == [[True, False], [False, True]]
    assert written.shown("side") == {"left": ["left"], "right": ["right"]}
    assert written.labels("side").tolist() == [-1] * len(SHOWN)


def test_a_level_without_a_label_has_no_combination():
    found = combinations_of([None, None], ORGANS)
    assert (found.names, found.members.shape) == ([], (0, 3))
    assert found.labels.tolist() == [-1, -1]


def test_the_empty_combination_has_a_name():
    assert name_of(np.zeros(3, bool), ORGANS) == "none"


def test_a_class_outside_of_the_level_is_refused(tmp_path):
    message = "the class must be one of liver, kidney, spleen, but got 'livr'. Did you mean 'liver'?"
    assert message in refused(tmp_path, ["kidney", "livr"])


def test_a_class_twice_is_refused(tmp_path):
    message = "every class may stand there once, but 'liver' stands there twice"
    assert message in refused(tmp_path, ["liver", "kidney", "liver"])


def test_an_unfinished_cell_is_refused(tmp_path):
    assert "the class must be one of" in refused(tmp_path, "liver;")


def test_a_list_of_classes_is_for_levels_with_several(tmp_path):
    message = "a list of classes is for levels in which a case may show several (none here), but got one"
    assert message in refused(tmp_path, ["liver"], several=[])


@pytest.mark.parametrize("name", ["none", "a + b", " a", "a;b", "@empty"])
def test_class_names_that_a_cell_could_not_hold_are_refused(name):
    with pytest.raises(DataError, match=r"levels\.organs: a (class|name)"):
        make_info({"name": "x", "levels": {"organs": ["liver", name]}, "several": ["organs"]}, "here")


def test_a_level_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="several: a level must be one of organs, but got 'organ'"):
        make_info({"name": "x", "levels": {"organs": ORGANS}, "several": ["organ"]}, "here")


def test_a_set_without_such_levels_keeps_the_fingerprint_that_it_had(tmp_path):
    info = DatasetInfo(name="x", levels={"side": ["left", "right"]})
    with CaseSetWriter(tmp_path / "set", info) as writer:
        writer.add("a", GREY, labels={"side": "left"})
    opened = CaseSet.open(tmp_path / "set")
    with_field = CaseSet(opened.root, info.model_copy(update={"several": ["side"]}), opened.table)
    assert opened.fingerprint() != with_field.fingerprint()
    assert "several" not in (tmp_path / "set" / "dataset.yaml").read_text()
