import json

import numpy as np
import pytest

from import_trees import put, reasons, run, text
from sonoprior.core.errors import DataError


def shape(label, kind, *points) -> dict:
    return {
        "label": label,
        "points": [list(p) for p in points],
        "shape_type": kind,
        "group_id": None,
        "flags": {},
    }


def document(image: str, *shapes: dict, size=(24, 20)) -> str:
    return json.dumps({
        "version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": image, "imageData": None,
        "imageHeight": size[0], "imageWidth": size[1],
    })  # fmt: skip


SAC = shape("sac", "polygon", (2, 3), (8, 3), (8, 9), (2, 9))


@pytest.fixture
def folder(tmp_path):
    """a: every kind of shape; b: a file elsewhere, without shapes; c: no file."""
    root = tmp_path / "in"
    for name in ("x/a.png", "x/b.png", "y/c.jpg"):
        put(root / name)
    shapes = (
        SAC,
        shape("sac", "circle", (14, 18), (14, 15)),
        shape("uterus", "rectangle", (18, 20), (1, 2)),
        shape("yolk", "point", (5.5, 6.5)),
        shape("yolk", "point", (7, 8)),
    )
    text(root / "x" / "a.json", document("a.png", *shapes))
    text(root / "json" / "b.json", document("..\\x\\b.png"))
    return root


def test_shapes_become_outlines_boxes_and_points(folder, tmp_path):
    report, case_set = run("labelme", folder, tmp_path / "out")
    assert report.left_out == []
    assert case_set.ids == ["x/a", "x/b", "y/c"]
    assert case_set.info.zones == ["sac", "uterus", "yolk"]
    sac = case_set.outline(0, "sac")
    assert sac[3:9, 2:8].all()
    assert sac[:, :10].sum() == 36
    assert abs(sac[:, 10:].sum() - np.pi * 9) < 4
    assert sac[17, 14]
    assert case_set.column("box.uterus").tolist() == ["1 2 18 20", None, None]
    assert case_set.column("point.yolk").tolist() == ["5 6;6.5 7.5", None, None]
    assert case_set.outline(1, "sac") is None
    assert report.outlines == {"drawn": 1, "empty": 0, "absent": 2}


def test_complete_holds_for_annotated_images_only(folder, tmp_path):
    report, case_set = run("labelme", folder, tmp_path / "out", complete=True)
    assert case_set.outline(0, "uterus") is None  # boxed, so it is there, without an outline
    assert not case_set.outline(1, "sac").any()
    assert case_set.outline(2, "sac") is None
    assert report.outlines == {"drawn": 1, "empty": 1, "absent": 1}


def test_labels_from_folders(folder, tmp_path):
    _, case_set = run("labelme", folder, tmp_path / "out", labels="folders")
    assert case_set.labels().tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Invalid JSON"),
        ("[]", "Input should be an object"),
        ('{"shapes": []}', "the field 'imagePath' is wrong: Field required"),
        (
            document("a.png", shape("s", "polygon", (1, 2), (3, 4))),
            "a polygon must have at least 3 points, but has 2",
        ),
        (document("a.png", shape("s", "rectangle", (1, 2))), "a rectangle must have 2 points, but has 1"),
        (document("a.png", shape("s", "point", (1, 2), (3, 4))), "a point must have 1 points, but has 2"),
        (
            document("a.png", shape("s", "linestrip", (1, 2), (3, 4))),
            "shape_type' is wrong: Input should be 'polygon'",
        ),
        (
            document("a.png", shape("s", "point", (float("nan"), 2))),
            "is wrong: Input should be a finite number",
        ),
        (
            document("a.png", shape("s", "point", (1e300, 2))),
            "is wrong: Input should be less than or equal to",
        ),
        (document("../../secret.png", SAC), "imagePath: must be a path relative to"),
        (document("/etc/secret.png", SAC), "imagePath: must be a path relative to"),
        (document("gone.png", SAC), "a.json outlines an image that is not there"),
    ],
)
def test_a_wrong_file_is_listed_and_its_image_stays(folder, tmp_path, content, reason):
    text(folder / "x" / "a.json", content)
    report, case_set = run("labelme", folder, tmp_path / "out")
    assert len(case_set) == 3
    assert case_set.info.zones == []
    assert reason in reasons(report)
    with pytest.raises(DataError):
        run("labelme", folder, tmp_path / "strict", strict=True)


def test_outlines_of_another_size_and_a_point_outside_are_left_out(folder, tmp_path):
    text(folder / "x" / "a.json", document("a.png", SAC, shape("yolk", "point", (30, 5)), size=(48, 40)))
    report, case_set = run("labelme", folder, tmp_path / "out")
    assert case_set.outline(0, "sac") is None
    assert case_set.column("point.yolk")[0] is None
    assert "'sac' was outlined in an image of 40 x 48 pixels, but the image has 20 x 24" in reasons(report)
    assert "a point must lie in the image" in reasons(report)


def test_two_files_about_one_image_are_refused(folder, tmp_path):
    text(folder / "x" / "again.json", document("a.png", SAC))
    with pytest.raises(DataError, match=r"a\.json and .*again\.json are both about x/a\.png; keep one"):
        run("labelme", folder, tmp_path / "out")


def test_a_label_that_can_be_no_zone_is_refused(folder, tmp_path):
    text(folder / "x" / "a.json", document("a.png", shape("a/b", "point", (1, 2))))
    with pytest.raises(DataError, match=r"zones: a name must be text without .* but got 'a/b'"):
        run("labelme", folder, tmp_path / "out")


def test_a_huge_file_is_listed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("sonoprior.cases.importers.labelme._MOST_BYTES", 100)
    report, _ = run("labelme", folder, tmp_path / "out")
    assert "a.json must not be larger than 100 bytes" in reasons(report)


def test_a_damaged_image_is_listed(folder, tmp_path):
    (folder / "x" / "a.png").write_bytes(b"no image")
    report, case_set = run("labelme", folder, tmp_path / "out")
    assert case_set.ids == ["x/b", "y/c"]
    assert "a.png must be a PNG" in reasons(report)
