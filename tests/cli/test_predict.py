import json
import shutil

import pandas as pd
import pytest

from sonoprior.cli.main import main


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture
def folder(blobs, tmp_path):
    """Two images in a folder in a folder, an outline beside one, and a file that is no image."""
    deep = tmp_path / "images" / "deep"
    deep.mkdir(parents=True)
    for name in ("case01.png", "case02.png"):
        shutil.copy(blobs / "images" / name, deep / name)
    shutil.copy(blobs / "images" / "case03.png", deep / "case01_mask.png")
    (tmp_path / "images" / "broken.png").write_bytes(b"text called .png")
    return tmp_path / "images"


def test_a_folder_as_csv(trained, folder, tmp_path, capsys):
    assert ran("predict", trained.run, folder, "--out", tmp_path / "found.csv", "--device", "cpu") == 0
    table = pd.read_csv(tmp_path / "found.csv")
    assert list(table.columns) == ["image", "predicted", "confidence", "p.dark", "p.bright"]
    assert table["image"].tolist() == [str(folder / "deep" / name) for name in ("case01.png", "case02.png")]
    said = capsys.readouterr()
    assert "2 images labelled" in said.err
    assert "1 files left out by the pattern *_mask*" in said.err
    assert "left out: " in said.err
    assert "broken.png" in said.err
    assert "not a diagnosis" in said.out


def test_json_on_the_terminal_and_in_a_file(trained, folder, tmp_path, capsys):
    out = tmp_path / "found.json"
    assert (
        ran("predict", trained.run, folder, "--exclude", "", "--out", out, "--json", "--device", "cpu") == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert len(said["predictions"]) == 3
    assert said["predictions"] == json.loads(out.read_text())
    assert "broken.png" in said["unreadable"][0]


def test_a_file_of_another_kind_is_refused_before_anything_is_done(trained, folder, capsys):
    assert ran("predict", trained.run, folder, "--out", folder / "found.xlsx") == 2
    assert "--out must be a .csv or a .json file, but got" in capsys.readouterr().err


def test_nothing_to_label(trained, tmp_path, capsys):
    assert ran("predict", trained.run, tmp_path, "--device", "cpu") == 2
    assert "must hold images" in capsys.readouterr().err


def test_a_newer_run(trained, folder, tmp_path, capsys):
    copy = shutil.copytree(trained.run, tmp_path / "run")
    (copy / "sonoprior.json").write_text('{"kind": "run", "format": 7}')
    assert ran("predict", copy, folder) == 2
    assert "install a newer sonoprior" in capsys.readouterr().err
