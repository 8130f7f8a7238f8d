import numpy as np
import pytest

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.audit import audit
from sonoprior.cases.show import chosen_cases

ORGANS = ["liver", "kidney", "spleen"]
SHOWN = [["kidney", "liver"], None, [], ["liver"], ["liver", "kidney"], ["spleen"]]


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 40), dtype=np.uint8)


@pytest.fixture
def abdomen(tmp_path):
    info = DatasetInfo(name="abdomen", levels={"organs": ORGANS}, several=["organs"])
    with CaseSetWriter(tmp_path / "set", info) as writer:
        for number, organs in enumerate(SHOWN):
            writer.add(
                str(number),
                picture(0 if number == 4 else number),
                labels={} if organs is None else {"organs": organs},
                device="abc"[number % 3],
            )
    return CaseSet.open(tmp_path / "set")


def rows(report, name):
    (table,) = [one for one in report.crosstabs if one.name == name]
    return {row: counts[0] for row, counts in table.rows.items()}


def test_classes_and_combinations_are_counted(abdomen):
    report = audit(abdomen)
    assert rows(report, "label.organs") == {"liver": 3, "kidney": 2, "spleen": 1, "(missing)": 1}
    assert rows(report, "combinations.organs") == {"none": 1, "liver": 1, "liver + kidney": 2, "spleen": 1}
    assert not [found for found in report.findings if found.severity == "fatal"]


def test_devices_are_counted_by_single_classes(abdomen):
    (table,) = [one for one in audit(abdomen).crosstabs if one.name == "device"]
    assert table.columns == ["liver", "kidney", "spleen", "(missing)"]
    assert table.rows == {"a": [2, 1, 0, 0], "b": [1, 1, 0, 1], "c": [0, 0, 1, 0]}


def test_one_picture_with_the_same_classes_in_another_order_has_one_label(abdomen):
    assert not [found for found in audit(abdomen).findings if found.kind == "two labels"]


def test_a_class_that_is_not_there_is_named_by_itself(abdomen):
    table = abdomen.table.copy()
    table.loc[[0, 3], "label.organs"] = ["kidney;livr", "liver;liver"]
    report = audit(CaseSet(abdomen.root, abdomen.info, table))
    (found,) = [one for one in report.findings if one.kind == "unknown label"]
    assert "1 case(s) have the class 'livr'" in found.message
    assert any("'liver' stands there twice" in one.message for one in report.findings)
    assert rows(report, "label.organs") == {"liver": 2, "kidney": 1, "spleen": 1, "(missing)": 2}


def test_a_sheet_names_what_each_case_shows(abdomen):
    chosen, words = chosen_cases(abdomen, 6, level="organs", outlined=False, seed=0)
    said = dict(zip(chosen.tolist(), words, strict=True))
    assert said == {
        0: "liver + kidney",
        1: "unknown",
        2: "none",
        3: "liver",
        4: "liver + kidney",
        5: "spleen",
    }


def test_names_are_those_of_the_cells_where_a_case_has_one_class(tmp_path):
    info = DatasetInfo(name="sides", levels={"side": ["left", "right"]})
    with CaseSetWriter(tmp_path / "set", info) as writer:
        writer.add("a", picture(0), labels={"side": "right"})
        writer.add("b", picture(1))
    opened = CaseSet.open(tmp_path / "set")
    assert opened.label_names().tolist() == ["right", None] == opened.column("label.side").tolist()
