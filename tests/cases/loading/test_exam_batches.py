import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.loading.exam_batches import ExamBatches, exam_batches, exam_numbers
from sonoprior.core.errors import DataError

# Exams of 5, 1, 12, 3 and 2 frames, mixed.
EXAMS = np.random.default_rng(0).permutation(np.repeat([4, 9, 0, 7, 2], [5, 1, 12, 3, 2]))


@pytest.mark.parametrize("seed", range(40))
def test_every_exam_comes_once_an_epoch_with_n_frames_of_its_own(seed):
    random = np.random.default_rng(seed)
    groups = random.integers(-1, 7, random.integers(1, 30))
    together, each, epoch = random.integers([1, 1, 0], [5, 4, 50]).tolist()
    alone = int((groups < 0).sum())
    exams = len(set(groups.tolist()) - {-1}) + alone
    if exams < together:
        with pytest.raises(DataError, match=f"needs {together} exams, but there are only {exams};"):
            exam_batches(groups, together, 3, epoch, each)
        return
    batches = exam_batches(groups, together, 3, epoch, each)
    assert [len(batch) for batch in batches[:-1]] == [together * each] * (len(batches) - 1)
    assert 0 < len(batches[-1]) <= together * each
    rows = np.concatenate(batches).reshape(-1, each)
    assert len(rows) == exams
    own = [f"alone {case}" if groups[case] < 0 else groups[case] for case in range(len(groups))]
    shown = []
    for row in rows:
        exam = own[row[0]]
        assert {own[case] for case in row} == {exam}
        assert len(set(row.tolist())) == min(each, own.count(exam))
        shown.append(exam)
    assert len(set(shown)) == exams


@pytest.mark.parametrize("each", [1, 2, 5])
def test_frames_are_dealt_like_cards_over_the_epochs(each):
    for exam, size in Counter(EXAMS.tolist()).items():
        turns = -(-size // each)
        for start in (0, turns, 7 * turns):
            shown = [
                case
                for epoch in range(start, start + turns)
                for case in np.concatenate(exam_batches(EXAMS, 2, 1, epoch, each))
                if EXAMS[case] == exam
            ]
            counts = Counter(shown)
            assert len(counts) == size  # all of them in one round
            assert max(counts.values()) <= -(-turns * each // size)


def test_another_round_deals_in_another_order():
    first, second = (
        [
            case
            for epoch in epochs
            for case in np.concatenate(exam_batches(EXAMS, 2, 1, epoch))
            if EXAMS[case] == 0
        ]
        for epochs in (range(12), range(12, 24))
    )
    assert first != second
    assert sorted(first) == sorted(second)


def test_an_epoch_needs_no_epoch_before_it_and_seeds_and_epochs_differ():
    def flat(seed, epoch):
        return np.concatenate(exam_batches(EXAMS, 2, seed, epoch)).tolist()

    assert flat(3, 4) == flat(3, 4)
    assert flat(3, 4) != flat(3, 5)
    assert flat(3, 4) != flat(4, 4)


def test_its_form_counts_batches_as_they_come():
    sampling = ExamBatches(EXAMS, each=3)
    assert len(sampling.epoch(EXAMS, 6, 0, 0)) == 15
    assert sampling.count(EXAMS, 6) == 3
    assert sampling.count(EXAMS, 6, whole_only=True) == 2


def test_exams_of_a_case_set(tmp_path):
    def written(name, exams):
        with CaseSetWriter(tmp_path / name, DatasetInfo(name=name)) as writer:
            for k, exam in enumerate(exams):
                writer.add(f"c{k}", np.zeros((9, 9), np.uint8), **({"exam": exam} if exam else {}))
        return CaseSet.open(tmp_path / name)

    assert exam_numbers(written("some", ["e7", None, "e1", "e7"])).tolist() == [0, -1, 1, 0]
    with pytest.raises(DataError, match="none must name exams to be sampled by exam, but no case names one"):
        exam_numbers(written("none", [None, None]))


def test_wrong_requests_are_refused():
    with pytest.raises(DataError, match="7 cases are no multiple of 2 an exam"):
        ExamBatches(EXAMS, each=2).count(EXAMS, 7)
    with pytest.raises(DataError, match="a batch needs 6 exams, but there are only 5; take a smaller batch"):
        exam_batches(EXAMS, 6, 0, 0)
    with pytest.raises(DataError, match="exams a batch must be at least 1, but got 0"):
        exam_batches(EXAMS, 0, 0, 0)
    with pytest.raises(DataError, match="frames an exam must be at least 1, but got 0"):
        exam_batches(EXAMS, 2, 0, 0, each=0)


def test_it_is_free_of_torch():
    code = "import sys, sonoprior.cases.loading.exam_batches; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
