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
    for fold in planned(case_set, protocol="cross_evaluation", folds=3, validation=0.25):
        assert sorted(np.concatenate([fold[part] for part in PARTS])) == list(range(len(case_set)))
        for one, other in combinations(PARTS, 2):
            assert not set(case_set.groups()[fold[one]]) & set(case_set.groups()[fold[other]])


def test_each_case_is_tested_once(case_set):
    folds = planned(case_set, protocol="cross_evaluation", folds=3)
    assert sorted(np.concatenate([fold["test"] for fold in folds])) == list(range(len(case_set)))


def test_a_fraction_of_the_labels_leaves_the_measured_parts_as_they_are(case_set):
    (whole,) = planned(case_set, protocol="single_split")
    (half,) = planned(case_set, protocol="single_split", label_fraction=0.5)
    assert set(half["train"]) < set(whole["train"])
    assert np.array_equal(half["test"], whole["test"])
    assert np.array_equal(half["validation"], whole["validation"])


@pytest.mark.parametrize("protocol", ["single_split", "cross_evaluation", "fixed_test"])
def test_a_calibration_part_comes_from_the_training_part_alone(case_set, protocol):
    plain = planned(case_set, protocol=protocol, folds=2, validation=0.2)
    folds = planned(case_set, protocol=protocol, folds=2, validation=0.2, calibration=0.4)
    groups = case_set.groups()
    for fold, before in zip(folds, plain, strict=True):
        assert np.array_equal(fold["test"], before["test"])
        assert np.array_equal(fold["validation"], before["validation"])
        assert sorted([*fold["train"], *fold["calibration"]]) == before["train"].tolist()
        assert not set(groups[fold["train"]]) & set(groups[fold["calibration"]])
        assert set(case_set.labels()[fold["calibration"]]) == {0, 1}
        assert len(fold["calibration"]) == pytest.approx(0.4 * len(before["train"]), abs=2)


def test_a_split_without_a_calibration_part_is_as_it_was(case_set):
    assert list(planned(case_set, protocol="single_split")[0]) == list(PARTS)


def test_hidden_labels_leave_the_calibration_part_as_it_is(case_set):
    (whole,) = planned(case_set, protocol="single_split", calibration=0.3)
    (half,) = planned(case_set, protocol="single_split", calibration=0.3, label_fraction=0.5)
    assert np.array_equal(half["calibration"], whole["calibration"])
    assert set(half["train"]) < set(whole["train"])


def test_unlabelled_cases_of_a_calibration_patient_are_not_learnt_from(tmp_path):
    rows = [(label, None) for label in ("dark", "bright", None) for _ in range(12)]
    case_set = small_set(tmp_path / "set", rows)
    groups = np.array([f"p{number % 12}" for number in range(36)])
    split = SplitSettings(protocol="single_split", calibration=0.4)
    (fold,) = plan_parts(split, DATA, case_set, groups, streams=True)
    calibration = set(groups[fold["calibration"]])
    assert calibration
    assert not calibration & set(groups[np.concatenate([fold["train"], fold["unlabelled"]])])


def test_a_calibration_part_is_written_and_read_back(case_set, tmp_path):
    (fold,) = planned(case_set, protocol="single_split", calibration=0.3)
    write_parts(tmp_path / "split.csv", case_set, fold)
    found = read_parts(tmp_path / "split.csv", case_set)
    assert list(found) == ["train", "validation", "test", "calibration"]
    assert all(np.array_equal(found[part], fold[part]) for part in fold)


def test_a_class_of_one_group_cannot_be_set_aside(tmp_path):
    rows = [("dark", None), ("bright", None)] * 2 + [("dark", None)] * 4
    case_set = small_set(tmp_path / "set", rows)
    with pytest.raises(DataError, match="class 'bright' cannot come into each of"):
        planned(case_set, protocol="single_split", calibration=0.3, keep_duplicates_together=False)


def test_a_fixed_test_part_is_the_same_in_every_fold_and_the_rest_validates_once(case_set):
    folds = planned(case_set, protocol="fixed_test", folds=3, test=0.25)
    assert len(folds) == 3
    tested = folds[0]["test"]
    assert all(np.array_equal(fold["test"], tested) for fold in folds)
    rest = np.setdiff1d(np.arange(len(case_set)), tested)
    assert sorted(np.concatenate([fold["validation"] for fold in folds])) == rest.tolist()
    for fold in folds:
        assert sorted(np.concatenate([fold["train"], fold["validation"]])) == rest.tolist()
        for one, other in combinations(PARTS, 2):
            assert not set(case_set.groups()[fold[one]]) & set(case_set.groups()[fold[other]])


def test_a_fixed_test_part_is_the_own_one_of_the_set(tmp_path):
    rows = [
        (label, part) for part in ("train", "train", "validation", "test") for label in ("dark", "bright")
    ]
    case_set = small_set(tmp_path / "set", [*rows, ("dark", None)])
    folds = planned(case_set, protocol="fixed_test", folds=3)
    assert [fold["test"].tolist() for fold in folds] == [[6, 7]] * 3
    assert sorted(np.concatenate([fold["validation"] for fold in folds])) == [0, 1, 2, 3, 4, 5]


def test_near_duplicates_of_the_own_test_part_are_left_out(tmp_path):
    rows = [
        (label, part) for part in ("train", "train", "validation", "test") for label in ("dark", "bright")
    ]
    case_set = small_set(tmp_path / "set", rows)
    groups = case_set.groups()
    groups[0] = groups[6]
    folds = plan_parts(SplitSettings(protocol="fixed_test", folds=2), DATA, case_set, groups)
    assert [fold["test"].tolist() for fold in folds] == [[6, 7]] * 2
    assert sorted(np.concatenate([fold["validation"] for fold in folds])) == [1, 2, 3, 4, 5]


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


def test_a_rare_combination_does_not_keep_a_given_split_from_being_validated(tmp_path):
    info = DatasetInfo(name="x", levels={"organ": ["kidney", "liver", "spleen"]}, several=["organ"])
    shown = ["kidney", "liver", "spleen"] * 4
    with CaseSetWriter(tmp_path / "set", info) as writer:
        for number, organs in enumerate([*shown, "kidney;liver;spleen", *shown[:3]]):
            image = np.random.default_rng(number).integers(0, 255, (40, 40)).astype(np.uint8)
            part = "train" if number < 13 else "test"
            writer.add(f"c{number}", image, labels={"organ": organs.split(";")}, split=part)
    case_set, split = CaseSet.open(tmp_path / "set"), SplitSettings(protocol="given", validation=0.3)
    data = DataSettings(several=True)
    (parts,) = plan_parts(split, data, case_set, case_groups(split, case_set))
    assert sorted([*parts["train"], *parts["validation"]]) == list(range(13))
    for part in ("train", "validation"):
        assert case_set.members("organ")[case_set.labels("organ")[parts[part]]].any(axis=0).all()


def test_cases_of_unknown_label_are_trained_with_but_not_measured(tmp_path):
    rows = [("dark", "train"), ("bright", "train"), (None, "train"), ("dark", "validation")]
    rows += [(None, "test"), ("bright", "test")]
    (parts,) = planned(small_set(tmp_path / "set", rows), protocol="given")
    assert parts["train"].tolist() == [0, 1, 2]
    assert parts["test"].tolist() == [5]


def test_a_share_of_the_labels_is_one_of_the_cases_that_have_one(tmp_path):
    rows = [(label, "train") for label in ("dark", "bright", None) for _ in range(10)]
    rows += [(label, part) for part in ("validation", "test") for label in ("dark", "bright")]
    case_set = small_set(tmp_path / "set", rows)
    (half,) = planned(case_set, protocol="given", label_fraction=0.5)
    assert len(half["train"]) == 10
    assert (case_set.labels()[half["train"]] >= 0).all()


def test_a_part_without_a_label_is_refused(tmp_path):
    rows = [("dark", "train"), ("bright", "train"), (None, "validation"), ("bright", "test")]
    with pytest.raises(DataError, match="the validation part of the split must hold labelled cases"):
        planned(small_set(tmp_path / "set", rows), protocol="given")


def test_one_class_to_train_with_is_refused(tmp_path):
    rows = [("dark", "train"), ("dark", "train"), ("bright", "validation"), ("bright", "test")]
    with pytest.raises(DataError, match="must hold at least 2 classes, but it holds 1"):
        planned(small_set(tmp_path / "set", rows), protocol="given")


def test_a_class_that_is_measured_but_not_trained_with_is_refused(tmp_path):
    info = DatasetInfo(name="three", levels={"tone": ["dark", "bright", "grey"]})
    rows = [(tone, "train") for tone in ("dark", "bright")]
    rows += [(tone, "validation") for tone in ("dark", "bright")] + [("grey", "test")]
    with CaseSetWriter(tmp_path / "set", info) as writer:
        for number, (tone, part) in enumerate(rows):
            writer.add(f"c{number}", np.full((40, 40), number, np.uint8), labels={"tone": tone}, split=part)
    with pytest.raises(DataError, match="must hold every class that is measured, but test holds grey and"):
        planned(CaseSet.open(tmp_path / "set"), protocol="given")


@pytest.fixture
def five_tones(tmp_path):
    """Six cases of each of five classes, two of them unknown; the last case is a copy of the first."""
    tones = ["a", "b", "c", "d", "e"]
    rng = np.random.default_rng(3)
    first = rng.integers(0, 255, (40, 40)).astype(np.uint8)
    info = DatasetInfo(name="five", levels={"tone": tones, "half": ["low", "high"]})
    with CaseSetWriter(tmp_path / "five", info) as writer:
        for number in range(32):
            image = first if number in (0, 29) else rng.integers(0, 255, (40, 40)).astype(np.uint8)
            labels = {"tone": tones[number % 5]} if number < 30 else {}
            writer.add(f"c{number}", image, labels=labels)
    return CaseSet.open(tmp_path / "five")


def tones_of(case_set, positions):
    return {case_set.classes()[label] for label in case_set.labels()[positions]}


def test_an_open_set_tests_the_last_half_of_the_classes(five_tones):
    (parts,) = planned(five_tones, protocol="open_set", validation=0.25, keep_duplicates_together=False)
    labels = five_tones.labels()
    assert parts["test"].tolist() == [case for case in range(32) if labels[case] in (3, 4)]
    for part in ("train", "validation"):
        assert tones_of(five_tones, parts[part]) == {"a", "b", "c"}
    assert sorted([*parts["train"], *parts["validation"]]) == [case for case in range(30) if labels[case] < 3]


def test_an_open_set_tests_the_classes_that_are_named_and_keeps_duplicates_on_one_side(five_tones):
    (parts,) = planned(five_tones, protocol="open_set", validation=0.25, test_classes=["e", "b"])
    assert tones_of(five_tones, parts["test"]) == {"b", "e"}
    assert tones_of(five_tones, parts["train"]) == {"a", "c", "d"}
    # The first case, an "a", and its copy, an "e", cannot both stay.
    kept = set(np.concatenate([parts[part] for part in PARTS]))
    assert len(kept) == 29
    assert len(kept & {0, 29}) == 1


def test_fewer_labels_leave_the_test_part_of_an_open_set_as_it_is(five_tones):
    (whole,) = planned(five_tones, protocol="open_set", validation=0.25)
    (half,) = planned(five_tones, protocol="open_set", validation=0.25, label_fraction=0.5)
    assert set(half["train"]) < set(whole["train"])
    assert np.array_equal(half["test"], whole["test"])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["d", "ee"], r"test_classes: a class of the level tone must be one of a, b, c, d, e, but got 'ee'"),
        (["d"], "an open set needs cases of at least two classes for test, but has 1"),
        (["a", "b", "c", "d"], "an open set needs cases of at least two classes for training, but has 1"),
        ([], "an open set needs cases of at least two classes for test, but has 0"),
    ],
)
def test_an_open_set_of_other_classes_is_refused(five_tones, classes, message):
    with pytest.raises(DataError, match=message):
        planned(five_tones, protocol="open_set", test_classes=classes)


def test_the_nearest_class_is_offered(tmp_path):
    case_set = small_set(tmp_path / "set", [("dark", None), ("bright", None)] * 4)
    with pytest.raises(DataError, match=r"but got 'brigth'\. Did you mean 'bright'\?"):
        planned(case_set, protocol="open_set", test_classes=["brigth"])


def test_a_class_that_an_open_set_cannot_validate_with_is_named(tmp_path):
    info = DatasetInfo(name="rare", levels={"tone": ["a", "b", "c", "d"]})
    with CaseSetWriter(tmp_path / "set", info) as writer:
        for number, tone in enumerate("aaabccdd"):
            writer.add(f"c{number}", np.full((40, 40), number, np.uint8), labels={"tone": tone})
    with pytest.raises(DataError, match="open_set: the class 'b' cannot come into each of 2 parts"):
        planned(CaseSet.open(tmp_path / "set"), protocol="open_set", keep_duplicates_together=False)


def test_too_few_patients_for_the_folds_are_refused(tmp_path):
    rows = [("dark", None), ("bright", None), ("dark", None)]
    case_set = small_set(tmp_path / "set", rows)
    for protocol in ("cross_evaluation", "fixed_test"):
        with pytest.raises(DataError, match=r"cannot come into each of|parts need at least"):
            planned(case_set, protocol=protocol, folds=5)


def test_a_class_with_too_few_patients_is_named(tmp_path):
    rows = [("dark", None)] * 12 + [("bright", None)] * 2
    with pytest.raises(DataError, match=r"cross_evaluation: the class 'bright' cannot come into each of 5"):
        planned(small_set(tmp_path / "set", rows), protocol="cross_evaluation", folds=5)


def test_one_class_only_is_refused(tmp_path):
    case_set = small_set(tmp_path / "set", [("dark", None)] * 12)
    with pytest.raises(DataError, match="class"):
        planned(case_set, protocol="cross_evaluation", folds=3)


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
    assert np.array_equal(case_groups(SplitSettings(protocol="given"), case_set), joined)  # not found either
    apart = case_groups(SplitSettings(keep_duplicates_together=False), case_set)
    assert len(set(apart)) == 5


def test_parts_read_back_as_they_were_written(case_set, tmp_path):
    (parts,) = planned(case_set, protocol="single_split")
    write_parts(tmp_path / "split.csv", case_set, parts)
    again = read_parts(tmp_path / "split.csv", case_set)
    assert all(np.array_equal(parts[part], again[part]) for part in PARTS)


def test_a_split_of_other_cases_is_refused(case_set, tmp_path):
    (parts,) = planned(case_set, protocol="single_split")
    write_parts(tmp_path / "split.csv", case_set, parts)
    fewer = CaseSet.open(write_blobs(tmp_path / "fewer", cases=20))
    with pytest.raises(DataError, match=r"split\.csv names the case 'case\d\d', which .*fewer does not have"):
        read_parts(tmp_path / "split.csv", fewer)


def test_a_split_that_is_not_there(case_set, tmp_path):
    with pytest.raises(FolderError, match=r"split\.csv cannot be read"):
        read_parts(tmp_path / "split.csv", case_set)
