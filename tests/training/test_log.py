import csv

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sonoprior.training.log import Log


def row(epoch: int) -> dict[str, float]:
    return {"epoch": epoch, "lr": 0.1, "train.loss": 1 / epoch, "val.accuracy": 0.5}


def logged(folder):
    with (folder / "log.csv").open() as file:
        return [int(line["epoch"]) for line in csv.DictReader(file)]


def on_board(folder, name):
    board = EventAccumulator(str(folder / "tensorboard"))
    board.Reload()
    return [(event.step, event.value) for event in board.Scalars(name)]


def test_a_row_an_epoch_in_both(tmp_path):
    log = Log(tmp_path, [])
    for epoch in (1, 2, 3):
        log.add(row(epoch))
    log.close()
    assert logged(tmp_path) == [1, 2, 3]
    assert on_board(tmp_path, "train/loss")[1] == (2, 0.5)


def test_a_resumed_log_holds_no_epoch_twice(tmp_path):
    log = Log(tmp_path, [])
    for epoch in (1, 2, 3):
        log.add(row(epoch))
    log.close()
    again = Log(tmp_path, [row(1), row(2)])  # the third was logged, but no checkpoint of it was kept
    again.add(row(3))
    again.close()
    assert logged(tmp_path) == [1, 2, 3]
    assert [step for step, _ in on_board(tmp_path, "val/accuracy")] == [1, 2, 3]


def test_a_run_that_an_older_version_began_goes_on_with_what_is_measured_now(tmp_path):
    log = Log(tmp_path, [row(1)])
    log.add(row(2) | {"val.macro_precision": 0.25})
    log.close()
    with (tmp_path / "log.csv").open() as file:
        assert [line["val.macro_precision"] for line in csv.DictReader(file)] == ["", "0.25"]
