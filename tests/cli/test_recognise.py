import json

import numpy as np
import pytest

from made_bundle import MAPS, made_bundle
from sonoprior.cases.images import write_png
from sonoprior.cli.main import main


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture
def bundle(tmp_path):
    return made_bundle(tmp_path / "bundle")


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(1)
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        write_png(folder / f"{number}.png", rng.integers(0, 256, (40, 60)).astype(np.uint8))
    return folder


def test_a_table_for_people(bundle, images, capsys):
    write_png(images / "black.png", np.zeros((40, 60), np.uint8))
    (images / "broken.png").write_bytes(b"nothing")
    write_png(images / "0_mask.png", np.zeros((40, 60), np.uint8))
    assert ran("recognise", bundle, images) == 0
    said = capsys.readouterr()
    assert "not a diagnosis" in said.out
    assert said.out.count("not known") == 4
    assert said.out.count("cannot tell") == 3
    assert said.out.count("0.png") == 1
    assert said.out.count("not a view") == 1
    assert "confidence is not calibrated" in said.err
    assert "1 files left out by the pattern *_mask*" in said.err
    assert "broken.png" in said.err


def test_json_for_programs(bundle, images, capsys):
    assert ran("recognise", bundle, images, "--json", "--threads", 1) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["unreadable"] == []
    assert [row["image"] for row in said["answers"]] == [str(images / f"{number}.png") for number in range(3)]
    for row in said["answers"]:
        assert row["confidence"] == row["probabilities"][row["view"]]
        assert row["candidates"] is row["familiar"] is None


def test_both_engines_say_the_same(bundle, images, capsys):
    found = []
    for engine in ("onnxruntime", "openvino"):
        assert ran("recognise", bundle, images, "--engine", engine, "--json") == 0
        found.append(json.loads(capsys.readouterr().out)["answers"])
    for one, other in zip(*found, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)


def test_a_page_of_where_it_looked(bundle, images, tmp_path, capsys):
    out = tmp_path / "answers"
    assert ran("recognise", bundle, images, "--out", out, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["answers"]) == 3
    kept = json.loads((out / "explained.json").read_text())
    assert all(list(row["overlays"]) == MAPS for row in kept)
    files = {file for row in kept for file in row["overlays"].values()}
    assert files | {"index.html", "explained.json"} == {path.name for path in out.iterdir()}
    page = (out / "index.html").read_text()
    assert "not a diagnosis" in page
    assert page.count("data:image/jpeg") == 3 * (len(MAPS) + 1)


def test_a_bundle_that_cannot_say_where_it_looked_says_so(images, tmp_path):
    bundle = made_bundle(tmp_path / "mute", overlay=False, named_by=None)
    assert ran("recognise", bundle, images, "--out", tmp_path / "answers") == 0
    assert (
        "It cannot say where it looked: it was made without." in (tmp_path / "answers/index.html").read_text()
    )


def test_what_is_wrong_is_said_in_a_sentence(bundle, images, tmp_path, capsys):
    assert ran("recognise", tmp_path, images) == 2
    assert "is not a bundle folder" in capsys.readouterr().err
    assert ran("recognise", bundle, tmp_path / "nowhere.png") == 2
    assert "there is no file or folder" in capsys.readouterr().err
    assert ran("recognise", bundle, images, "--out", bundle) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "not known"),
        ([], "none"),
        (["a", "b"], "b, a"),
        (["a", "b", "c", "d", "e"], "e, d, c, b and 1 more"),
        (["a", "b", "c", "d", "e", "f"], "any"),
    ],
)
def test_candidates_for_people_begin_with_the_likeliest_and_are_counted_where_many(found, said):
    from sonoprior.cli.recognise import _candidates

    chances = {"a": 0.05, "b": 0.1, "c": 0.15, "d": 0.2, "e": 0.3, "f": 0.2}
    assert _candidates(found, chances) == said
