"""`sonoprior export`, end to end."""

import json

import pytest

from sonoprior.cli.main import main


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.mark.usefixtures("without_overlay")
def test_a_bundle_with_what_it_can_do_in_words(bundles, tmp_path, capsys):
    one = bundles("classifier")
    assert run("export", one.run, "--out", tmp_path / "bundle", "--coverage", "0.8") == 0
    shown = capsys.readouterr().out
    assert "tiny, guided; names 2 classes; embeds in 96 dimensions" in shown
    assert "confidence: calibrated on" in shown
    assert "overlay: none; left out here. Nor can the last map be used: left out here." in shown
    assert json.loads((tmp_path / "bundle" / "confidence.json").read_text())["coverage"] == 0.8
    assert (tmp_path / "bundle" / "index.html").is_file()


def test_wrong_input_ends_with_a_sentence(bundles, tmp_path, capsys):
    one = bundles("classifier")
    assert run("export", one.run, "--out", tmp_path / "bundle", "--coverage", "2") == 2
    assert "coverage must lie between 0.5 and 0.999, but got 2" in capsys.readouterr().err
    assert run("export", one.run, "--out", tmp_path / "bundle", "--data", tmp_path) == 2
    assert run("export", tmp_path, "--out", tmp_path / "bundle") == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
