import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoprior.cases import CaseSet
from sonoprior.cli.main import main


@pytest.fixture
def source(tmp_path):
    """Three images of two classes, one of them outlined, one unreadable; and a CSV of them."""
    grey = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
    for name in ("x/a.png", "x/b.png", "y/c.png", "masks/x/a.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey).save(path)
    (tmp_path / "in" / "y" / "bad.png").write_text("no image")
    (tmp_path / "in" / "list.csv").write_text("file,plane\nx/a.png,p\ny/c.png,q\n")
    return tmp_path / "in"


def command(*words) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["data", "import", *map(str, words)])
    return ended.value.code


def test_an_import_ends_with_a_summary(source, tmp_path, capsys):
    assert command("folder", source, tmp_path / "out") == 0
    shown = capsys.readouterr()
    lines = [" ".join(line.replace("│", " ").split()) for line in shown.out.splitlines()]
    for line in (
        "class: x 2",
        "class: y 1",
        "outlines drawn 1",
        "outlines empty 0",
        "outlines absent 2",
        "left out 1",
    ):
        assert line in lines
    assert "3 cases" in shown.out
    assert f"left out: {source / 'y' / 'bad.png'} must be a PNG" in shown.out
    assert f"case set: {tmp_path / 'out'}" in shown.out
    assert "Importing in" in shown.err
    assert len(CaseSet.open(tmp_path / "out")) == 3


def test_a_summary_for_programs(source, tmp_path, capsys):
    assert command("folder", source, tmp_path / "out", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["cases"] == 3
    assert report["classes"] == {"class": {"x": 2, "y": 1}}
    assert report["outlines"] == {"drawn": 1, "empty": 0, "absent": 2}
    assert "must be a PNG" in report["left_out"][0]["reason"]


def test_strict_exits_with_2_and_leaves_nothing(source, tmp_path, capsys):
    assert command("folder", source, tmp_path / "out", "--strict") == 2
    assert "bad.png must be a PNG" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_csv_is_mapped_on_the_command_line(source, tmp_path):
    maps = ("--map", "image=file", "--map", "label.view=plane")
    assert command("csv", source / "list.csv", tmp_path / "out", *maps) == 0
    assert CaseSet.open(tmp_path / "out").classes() == ["p", "q"]


@pytest.mark.parametrize("text", ["image", "=file", "image="])
def test_half_a_map_is_refused(source, tmp_path, capsys, text):
    assert command("csv", source / "list.csv", tmp_path / "out", "--map", text) == 2
    assert (
        f"--map must be COLUMN_OF_A_CASE_SET=COLUMN_OF_THE_CSV, but got '{text}'" in capsys.readouterr().err
    )


def test_a_long_list_of_losses_is_cut(source, tmp_path, capsys):
    for number in range(25):
        (source / "y" / f"bad{number}.png").write_text("no image")
    assert command("folder", source, tmp_path / "out") == 0
    assert "left out: 6 more; --json lists them all" in capsys.readouterr().out


def test_coco_takes_its_file_after_the_images(source, tmp_path, capsys):
    said = {
        "images": [{"id": 1, "file_name": "x/a.png", "width": 20, "height": 20}],
        "categories": [{"id": 1, "name": "sac"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}],
    }
    (tmp_path / "given.json").write_text(json.dumps(said))
    words = ("coco", source, tmp_path / "given.json", tmp_path / "out", "--labels", "folders", "--complete")
    assert command(*words) == 0
    case_set = CaseSet.open(tmp_path / "out")
    assert case_set.classes() == ["x"]
    assert case_set.outline(0, "sac").any()


@pytest.mark.parametrize("paths", [(), ("a", "b", "c")])
def test_too_few_or_too_many_paths_are_refused(source, capsys, paths):
    assert command("folder", source, *paths) == 2
    assert f"NAME SOURCE OUT, or for coco NAME IMAGES ANNOTATIONS.json OUT, but got {len(paths)}" in (
        capsys.readouterr().err
    )


def test_a_file_of_annotations_without_use_is_refused(source, tmp_path, capsys):
    assert command("folder", source, "given.json", tmp_path / "out") == 2
    assert "the importer 'folder' has no use for a file of annotations" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("--every", "2"), "--every"),
        (("--every", "0"), "--every"),
        (("--margin", "0"), "--margin"),
        (("--form", "aligned"), "--form"),
        (("--landmarks", "p.csv"), "--landmarks"),
        (("--taxonomy", "t.csv"), "--taxonomy"),
        (("--labels", "folders"), "--labels"),
        (("--complete",), "--complete"),
        (("--keep-identifiers",), "--keep-identifiers"),
        (("--salt", "s"), "--salt"),
    ],
)
def test_every_flag_reaches_the_importer(source, tmp_path, capsys, words, flag):
    assert command("folder", source, tmp_path / "out", *words) == 2
    assert f"the importer 'folder' has no use for {flag}; leave it out" in capsys.readouterr().err


def test_every_importer_and_flag_is_documented(capsys):
    from sonoprior.cases.importers import IMPORTERS

    page = (Path(__file__).parents[2] / "docs" / "importing.md").read_text(encoding="utf-8")
    assert command("--help") == 0
    shown = capsys.readouterr().out
    for name in IMPORTERS.names():
        assert f"| `{name}` |" in page, name
        assert name in shown, name
    for flag in set(re.findall(r"--[a-z-]+", shown)) - {"--name", "--source", "--json", "--images"}:
        assert flag in page, flag
    for flag in set(re.findall(r"`(--[a-z-]+)", page)):
        assert flag in shown, flag
