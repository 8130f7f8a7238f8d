from itertools import combinations

import numpy as np
import pytest

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.core.errors import DataError, FolderError
from sonoprior.training.parts import PARTS, case_groups, plan_parts, read_parts, write_parts
from sonoprior.training.recipe import DataSettings, SplitSettings
from tiny import write_blobs

DATA = DataSettings()


@pytest.fixture
def case_set(blobs):
    return CaseSet.open(blobs)


def planned(case_set, **settings):
    split = SplitSettings(**settings)
    return plan_parts(split, DATA, case_set, case_groups(split, case_set))


def test_no_group_is_cut_and_no_case_is_lost(case_set):
    for fold in planned(case_set, protocol="k_fold", folds=3, validation=0.25):
        assert sorted(np.concatenate([fold[part] for part in PARTS])) == list(range(len(case_set)))
        for one, other in combinations(PARTS, 2):
            assert not set(case_set.groups()[fold[one]]) & set(case_set.groups()[fold[other]])


def test_each_case_is_tested_once(case_set):
    folds = planned(case_set, protocol="k_fold", folds=3)
    assert sorted(np.concatenate([fold["test"] for fold in folds])) == list(range(len(case_set)))


def test_a_fraction_of_the_labels_leaves_the_measured_parts_as_they_are(case_set):
    (whole,) = planned(case_set, protocol="hold_out")
    (half,) = planned(case_set, protocol="hold_out", label_fraction=0.5)
    assert set(half["train"]) < set(whole["train"])
    assert np.array_equal(half["test"], whole["test"])
    assert np.array_equal(half["validation"], whole["validation"])


def small_set(folder, rows):
    """A set of noise images: (label or None, split or None) each."""
    rng = np.random.default_rng(1)
    with CaseSetWriter(folder, DatasetInfo(name="small", levels={"tone": ["dark", "bright"]})) as writer:
        for number, (label, part) in enumerate(rows):
            image = rng.integers(0, 255, (40, 40)).astype(np.uint8)
            labels = {"tone": label} if label else {}
            writer.add(f"c{number}", image, labels=labels, split=part)
    return CaseSet.open(folder)


def test_a_given_split_is_taken(tmp_path):
    rows = [(label, part) for part in ("train", "validation", "test") for label in ("dark", "bright")]
    (parts,) = planned(small_set(tmp_path / "set", rows), protocol="given")
    assert {part: at.tolist() for part, at in parts.items()} == {
        "train": [0, 1],
        "validation": [2, 3],
        "test": [4, 5],
    }


def test_cases_of_unknown_label_are_trained_with_but_not_measured(tmp_path):
    rows = [("dark", "train"), ("bright", "train"), (None, "train"), ("dark", "validation")]
    rows += [(None, "test"), ("bright", "test")]
    (parts,) = planned(small_set(tmp_path / "set", rows), protocol="given")
    assert parts["train"].tolist() == [0, 1, 2]
    assert parts["test"].tolist() == [5]


def test_a_part_without_a_label_is_refused(tmp_path):
    rows = [("dark", "train"), ("bright", "train"), (None, "validation"), ("bright", "test")]
    with pytest.raises(DataError, match="the validation part of the split must hold labelled cases"):
        planned(small_set(tmp_path / "set", rows), protocol="given")


def test_one_class_to_train_with_is_refused(tmp_path):
    rows = [("dark", "train"), ("dark", "train"), ("bright", "validation"), ("bright", "test")]
    with pytest.raises(DataError, match="must hold at least 2 classes, but it holds 1"):
        planned(small_set(tmp_path / "set", rows), protocol="given")


def test_one_class_only_is_refused(tmp_path):
    case_set = small_set(tmp_path / "set", [("dark", None)] * 12)
    with pytest.raises(DataError, match="class"):
        planned(case_set, protocol="k_fold", folds=3)


def test_near_duplicates_join_the_groups_of_two_exams(tmp_path):
    rng = np.random.default_rng(2)
    texture = [np.kron(rng.integers(0, 255, (16, 16)), np.ones((6, 6))).astype(np.uint8) for _ in range(4)]
    with CaseSetWriter(tmp_path / "set", DatasetInfo(name="twins", levels={"tone": ["a", "b"]})) as writer:
        for number, image in enumerate([*texture, texture[0].copy()]):
            writer.add(f"c{number}", image, labels={"tone": "a"}, exam=f"e{number}")
    case_set = CaseSet.open(tmp_path / "set")
    joined = case_groups(SplitSettings(), case_set, tmp_path / "kept")
    assert joined[0] == joined[4]
    assert len(set(joined)) == 4
    assert np.array_equal(case_groups(SplitSettings(), case_set, tmp_path / "kept"), joined)
    apart = case_groups(SplitSettings(keep_duplicates_together=False), case_set)
    assert len(set(apart)) == 5


def test_parts_read_back_as_they_were_written(case_set, tmp_path):
    (parts,) = planned(case_set, protocol="hold_out")
    write_parts(tmp_path / "split.csv", case_set, parts)
    again = read_parts(tmp_path / "split.csv", case_set)
    assert all(np.array_equal(parts[part], again[part]) for part in PARTS)


def test_a_split_of_other_cases_is_refused(case_set, tmp_path):
    (parts,) = planned(case_set, protocol="hold_out")
    write_parts(tmp_path / "split.csv", case_set, parts)
    fewer = CaseSet.open(write_blobs(tmp_path / "fewer", cases=20))
    with pytest.raises(DataError, match=r"split\.csv names the case 'case\d\d', which .*fewer does not have"):
        read_parts(tmp_path / "split.csv", fewer)


def test_a_split_that_is_not_there(case_set, tmp_path):
    with pytest.raises(FolderError, match=r"split\.csv cannot be read"):
        read_parts(tmp_path / "split.csv", case_set)
