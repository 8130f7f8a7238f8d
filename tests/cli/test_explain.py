import json

import pytest

from sonoprior.cli.main import main


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_overlays_and_a_page(trained, blobs, tmp_path, capsys):
    images = [blobs / "images" / name for name in ("case01.png", "case03.png")]
    out = tmp_path / "explained"
    assert ran("explain", trained.run, *images, "--out", out, "--device", "cpu", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["image"] for row in said["images"]] == [str(path) for path in images]
    files = {file for row in said["images"] for file in row["overlays"].values()}
    assert files | {"index.html", "explained.json"} == {path.name for path in out.iterdir()}


def test_a_folder_that_exists_is_refused(trained, blobs, tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    image = blobs / "images" / "case01.png"
    assert ran("explain", trained.run, image, "--out", tmp_path, "--device", "cpu") == 2
    assert "exists already" in capsys.readouterr().err


def test_an_unreadable_image_leaves_nothing_behind(trained, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"")
    out = tmp_path / "explained"
    assert ran("explain", trained.run, tmp_path / "broken.png", "--out", out, "--device", "cpu") == 2
    assert "broken.png" in capsys.readouterr().err
    assert not out.exists()
