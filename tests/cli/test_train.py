import json

import pytest

from sonoprior.cli import train as command
from sonoprior.cli.main import main
from sonoprior.training import run


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_it_trains_and_prints_the_metrics(tiny_recipe, blobs, tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--quick", "--variant", "plain", "--json"]
    arguments = ["train", tiny_recipe, "--data", blobs, "--out", out, *options]
    assert ran(*arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["run"] == str(out)
    assert said["metrics"] == json.loads((out / "metrics.json").read_text())
    assert ran(*arguments) == 2
    assert "exists already; name a new folder, or go on with it with --resume" in capsys.readouterr().err
    assert ran(*arguments, "--resume") == 0


def test_ctrl_c_says_how_to_go_on(tiny_recipe, blobs, tmp_path, capsys, monkeypatch):
    def stopped(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train_run", stopped)
    assert ran("train", tiny_recipe, "--data", blobs, "--out", tmp_path / "run") == 130
    assert f"kept in {tmp_path / 'run'}; go on with the same command and --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "objectives.guidance.weight=-1"], "objectives.guidance.weight"),
        (["--set", "model.tap=stage9"], "tap must be one of"),
        (["--device", "abacus"], "device must be one of"),
        (["--fold", "3"], "fold must lie between 0 and 0, but got 3"),
        (["--seed", "-1"], "seed must be at least 0, but got -1"),
        (["--variant", "gided"], "Did you mean 'guided'?"),
        (["--set", "split={protocol: cross_evaluation, folds: 30}"], "30 parts need at least 30 groups"),
        (["--set", "split.protocol=given"], "split"),
    ],
)
def test_wrong_input_ends_with_status_2_and_leaves_nothing(
    tiny_recipe, blobs, tmp_path, capsys, arguments, said
):
    assert ran("train", tiny_recipe, "--data", blobs, "--out", tmp_path / "run", *arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_no_case_set(tiny_recipe, tmp_path, capsys):
    assert ran("train", tiny_recipe, "--data", tmp_path / "none", "--out", tmp_path / "run") == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_a_warning_is_one_sentence(capsys):
    import warnings

    with command.plain_warnings():
        warnings.warn("look out", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "sonoprior: warning: look out\n"
