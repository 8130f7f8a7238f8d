"""What a page says of pseudo-labels, against numbers that were worked out by hand."""

import shutil

import numpy as np
import pandas as pd
import pytest

from sonoprior.render.blocks import Note, Paragraph, Table
from sonoprior.studies import StudyResults, run_report, study_report
from sonoprior.studies.pseudo_labels import pseudo_labels

RATE, RIGHT, AGREE = (f"train.fixmatch.pseudo_label_{name}" for name in ("rate", "accuracy", "agreement"))
NOTHING = float("nan")


@pytest.fixture
def study(made, tmp_path):
    """Three variants with six runs each of 14 or 13 epochs, none of which logs a pseudo-label yet."""
    return shutil.copytree(made.study, tmp_path / "study")


def log(study, variant, columns):
    """Write columns into the logs of a variant, each from the last values of (runs) on."""
    for at, path in enumerate(sorted(study.glob(f"runs/{variant}/*/log.csv"))):
        table = pd.read_csv(path)
        for name, of_runs in columns.items():
            table[name] = np.resize(of_runs[at], len(table))
        table.to_csv(path, index=False)


def blocks_of(study):
    return pseudo_labels(StudyResults.read(study).runs)


def test_a_study_without_pseudo_labels_says_nothing_of_them(study):
    assert blocks_of(study) == []
    text = study_report(StudyResults.read(study)).with_suffix(".md").read_text()
    assert "What the pseudo-labels were" not in text


def test_the_table_is_of_the_last_epoch_and_counts_the_silent_ones_of_all_runs(study):
    for path in sorted(study.glob("runs/alpha-10/*/log.csv")):
        table = pd.read_csv(path)
        last = 0.5 if "seed0" in str(path) else 0.25
        table[RATE] = [0.0, 0.0, *[0.9] * (len(table) - 3), last]
        table[RIGHT] = [NOTHING, NOTHING, *[0.1] * (len(table) - 3), 2 * last - 0.2]
        table.to_csv(path, index=False)
    _, table = blocks_of(study)
    assert table.header == ["variant", "objective", "used, %", "of those right, %", "epochs without any"]
    # Three times 50 and 25 %, whose deviation is 12.5 * sqrt(6 / 5); three times 80 and 30 %, twice that.
    (row,) = table.rows
    assert row[:4] == ["alpha-10", "fixmatch", "37.5 ± 13.7", "55.0 ± 27.4"]
    assert (row[4].content, row[4].tone) == ("12 of 81", "plain")


def test_several_labels_have_the_share_of_single_ones(study):
    log(study, "alpha-1", {RATE: [[0.2]] * 6, RIGHT: [[0.5]] * 6, AGREE: [[0.75]] * 6})
    log(study, "alpha-10", {RATE: [[0.4]] * 6})
    _, table = blocks_of(study)
    assert table.header[3:5] == ["of those right, %", "single labels right, %"]
    assert [row[:5] for row in table.rows] == [
        ["alpha-1", "fixmatch", "20.0 ± 0.0", "50.0 ± 0.0", "75.0 ± 0.0"],
        ["alpha-10", "fixmatch", "40.0 ± 0.0", "–", "–"],
    ]


def test_a_variant_that_never_learnt_from_one_is_warned_of(study):
    log(study, "alpha-1", {RATE: [[0.0]] * 6, RIGHT: [[NOTHING]] * 6})
    log(study, "alpha-10", {RATE: [[0.0], [0.0, 0.5], *[[0.5]] * 4]})
    found = blocks_of(study)
    whole, part = (block for block in found if isinstance(block, Note))
    assert whole.text == (
        "alpha-1: fixmatch learnt nothing, because no pseudo-label reached its threshold in any epoch."
    )
    assert part.text.startswith("alpha-10: fixmatch learnt nothing in 1 of 6 runs, because")
    assert {whole.tone, part.tone} == {"warning"}
    (table,) = (block for block in found if isinstance(block, Table))
    assert table.rows[0][2:4] == ["0.0 ± 0.0", "–"]
    assert (table.rows[0][4].content, table.rows[0][4].tone) == ("81 of 81", "bad")
    # The first run's 14 epochs, and every other one of the second's 13.
    assert table.rows[1][4].content == "21 of 81"
    assert isinstance(found[0], Paragraph)


def test_two_objectives_have_a_row_each(study):
    log(study, "alpha-1", {RATE: [[0.2]] * 6, "train.one-head.pseudo_label_rate": [[0.1]] * 6})
    _, table = blocks_of(study)
    assert [row[:3] for row in table.rows] == [
        ["alpha-1", "fixmatch", "20.0 ± 0.0"],
        ["alpha-1", "one-head", "10.0 ± 0.0"],
    ]


def test_both_pages_say_it(study, tmp_path):
    log(study, "alpha-1", {RATE: [[0.0]] * 6})
    said = "alpha-1: fixmatch learnt nothing, because no pseudo-label reached its threshold in any epoch."
    assert said in study_report(StudyResults.read(study)).with_suffix(".md").read_text()
    assert said in run_report(study / "runs/alpha-1/fold0-seed0", tmp_path / "run.html").read_text()
