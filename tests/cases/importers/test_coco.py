import json

import numpy as np
import pytest
from pycocotools import mask as tools

from import_trees import put, reasons, run, text
from sonoprior.core.errors import DataError

SQUARE = [2, 3, 8, 3, 8, 9, 2, 9]
AREA = np.zeros((24, 20), bool)
AREA[3:9, 2:8] = True


def packed(mask: np.ndarray) -> str:
    return tools.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


def lengths(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, by a plain loop."""
    counts, last = [0], False
    for value in mask.T.ravel():
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return counts


def content() -> dict:
    def annotation(number, image, category, **more):
        return {"id": number, "image_id": image, "category_id": category, "iscrowd": 0, **more}

    size = [24, 20]
    names = ("sac/a.png", "sac/b.png", "uterus/c.png", "uterus/d.png")
    return {
        "info": {"year": 2020},
        "images": [
            {"id": 10 + n, "file_name": name, "width": 20, "height": 24} for n, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "sac", "supercategory": ""}, {"id": 7, "name": "yolk"}],
        "annotations": [
            annotation(1, 10, 1, segmentation=[SQUARE], bbox=[2, 3, 6, 6], area=36.0),
            annotation(2, 10, 1, segmentation=[[12, 3, 14, 3, 14, 5, 12, 5]]),
            annotation(3, 10, 7, segmentation={"size": size, "counts": lengths(AREA)}),
            annotation(4, 11, 7, segmentation={"size": size, "counts": packed(~AREA)}),
            annotation(5, 12, 1, segmentation=[], bbox=[1.5, 2, 4, 5]),
        ],
    }


@pytest.fixture
def images(tmp_path):
    for image in content()["images"]:
        put(tmp_path / "in" / image["file_name"])
    return tmp_path / "in"


def bring(images, tmp_path, said=None, **options):
    path = text(tmp_path / "given.json", json.dumps(said or content()))
    return run("coco", images, tmp_path / "out", annotations=path, **options)


def test_polygons_and_run_lengths_are_outlines_and_categories_zones(images, tmp_path):
    report, case_set = bring(images, tmp_path)
    assert report.left_out == []
    assert case_set.ids == ["sac/a", "sac/b", "uterus/c", "uterus/d"]
    assert case_set.info.zones == ["sac", "yolk"]
    two = AREA.copy()
    two[3:5, 12:14] = True
    assert np.array_equal(case_set.outline(0, "sac"), two)
    assert np.array_equal(case_set.outline(0, "yolk"), AREA)
    assert np.array_equal(case_set.outline(1, "yolk"), ~AREA)
    assert case_set.outline(1, "sac") is None
    assert case_set.outlines(2) == {"sac": None, "yolk": None}
    assert case_set.column("box.sac").tolist() == [None, None, "1.5 2 5.5 7", None]
    assert report.outlines == {"drawn": 2, "empty": 0, "absent": 2}


def test_complete_says_that_what_is_not_annotated_is_not_there(images, tmp_path):
    report, case_set = bring(images, tmp_path, complete=True)
    assert not case_set.outline(1, "sac").any()
    assert case_set.outline(2, "sac") is None  # boxed, so it is there, without an outline
    assert not case_set.outline(3, "sac").any()
    assert report.outlines == {"drawn": 2, "empty": 2, "absent": 0}


def test_labels_from_folders(images, tmp_path):
    _, case_set = bring(images, tmp_path, labels="folders")
    assert case_set.classes() == ["sac", "uterus"]
    assert case_set.labels().tolist() == [0, 0, 1, 1]


def test_labels_from_a_csv(images, tmp_path):
    table = text(
        tmp_path / "labels.csv",
        "file,label.view,pid,extra.note\nsac/a.png,x,1,\nuterus/c.png,y,2,blurred\nnone.png,y,3,\n",
    )
    columns = {"image": "file", "patient": "pid"}
    report, case_set = bring(images, tmp_path, labels=str(table), columns=columns)
    assert case_set.classes("view") == ["x", "y"]
    assert case_set.labels("view").tolist() == [0, -1, 1, -1]
    assert case_set.column("patient").tolist() == ["1", None, "2", None]
    assert case_set.column("extra.note").tolist() == [None, None, "blurred", None]
    assert "row 3 is about 'none.png', which is not there" in reasons(report)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,label.v\nsac/a.png,x\nsac/a.png,y\n", "rows 1 and 2 are both about 'sac/a.png'"),
        ("image,outline.sac\nsac/a.png,x.png\n", r"row 1: a CSV of labels may say .* but not 'outline\.sac'"),
        ("file\nsac/a.png\n", "say which column names the images"),
        ("image,split\nsac/a.png,dev\n", "row 1, split: the part must be one of"),
    ],
)
def test_a_wrong_csv_of_labels_is_refused(images, tmp_path, table, message):
    with pytest.raises(DataError, match=message):
        bring(images, tmp_path, labels=str(text(tmp_path / "labels.csv", table)))


def test_a_map_without_a_csv_and_folders_without_folders_are_refused(images, tmp_path):
    with pytest.raises(DataError, match="--map maps columns of the CSV that --labels names"):
        bring(images, tmp_path, columns={"image": "file"})
    put(images / "flat.png")
    flat = content() | {"images": [{"id": 1, "file_name": "flat.png", "width": 20, "height": 24}]}
    with pytest.raises(DataError, match="--labels folders needs files in folders named after classes"):
        bring(images, tmp_path, flat | {"annotations": []}, labels="folders")


def changed(**fields) -> dict:
    said = content()
    said["annotations"][0] |= fields
    return said


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            changed(segmentation=[[1, 2, 3]]),
            "a polygon must have x and y of at least 3 points, but has 3 numbers",
        ),
        (changed(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "at least 3 points, but has 7 numbers"),
        (
            changed(segmentation={"size": [24, 20], "counts": [5, 5]}),
            "must fill the 20 x 24 pixels .* fill 10",
        ),
        (
            changed(segmentation={"size": [24, 20], "counts": "5o"}),
            "annotation 1: the packed run lengths are cut",
        ),
        (
            changed(segmentation={"size": [20, 24], "counts": [480]}),
            "are for 24 x 20 pixels, but the image has 20 x 24",
        ),
    ],
)
def test_a_wrong_outline_is_left_out_and_its_image_stays(images, tmp_path, said, reason):
    report, case_set = bring(images, tmp_path, said)
    assert len(case_set) == 4
    assert case_set.outline(0, "sac") is None
    assert case_set.outline(0, "yolk") is not None
    with pytest.raises(DataError, match=reason):
        raise DataError(reasons(report))


def test_an_image_of_another_size_a_missing_and_a_damaged_one(images, tmp_path):
    put(images / "sac" / "a.png", np.zeros((30, 30), np.uint8))
    (images / "sac" / "b.png").unlink()
    (images / "uterus" / "c.png").write_bytes(b"no image")
    report, case_set = bring(images, tmp_path)
    assert case_set.ids == ["sac/a", "uterus/d"]
    said = reasons(report)
    assert "was outlined in an image of 20 x 24 pixels, but the image has 30 x 30" in said
    assert "b.png is missing" in said
    assert "c.png must be a PNG" in said


def test_an_annotation_that_says_nothing_is_listed(images, tmp_path):
    report, _ = bring(images, tmp_path, changed(segmentation=None, bbox=None))
    assert "annotation 1 has neither an outline nor a box" in reasons(report)


def with_image(**fields) -> dict:
    said = content()
    said["images"][0] |= fields
    return said


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (changed(category_id=9), "annotation 1: category_id must be one of 1, 7, but got '9'"),
        (changed(image_id=99), "annotation 1: image_id must be one of 10, 11, 12, 13, but got '99'"),
        (changed(segmentation=[[float("nan")] * 6]), "the field 'annotations.0.segmentation.* is wrong"),
        (with_image(file_name="../a.png"), "image 10: must be a path relative to"),
        (with_image(file_name="/a.png"), "image 10: must be a path relative to"),
        (
            with_image(file_name="sac/b.png"),
            "every image may stand there once, but rows 1 and 2 are both 'sac/b.png'",
        ),
        (with_image(id=11), "every id of an image may stand there once, but rows 1 and 2 are both '11'"),
        (
            with_image(width=0),
            r"the field 'images\.0\.width' is wrong: Input should be greater than or equal to 1",
        ),
        (
            content() | {"categories": [{"id": 1, "name": n} for n in "ab"]},
            "every id of a category may stand there once",
        ),
        (
            content() | {"categories": [{"id": 1, "name": "a/b"}, {"id": 7, "name": "c"}]},
            "must be text without",
        ),
        ({"images": []}, "the field 'categories' is wrong: Field required"),
    ],
)
def test_a_wrong_file_is_refused(images, tmp_path, said, message):
    with pytest.raises(DataError, match=message):
        bring(images, tmp_path, said)
    assert not (tmp_path / "out").exists()


def test_no_json_no_file_and_a_huge_one(images, tmp_path, monkeypatch):
    path = text(tmp_path / "given.json", "{")
    with pytest.raises(DataError, match=r"given\.json: Invalid JSON"):
        run("coco", images, tmp_path / "out", annotations=path)
    with pytest.raises(DataError, match=r"none\.json is missing or is not a file"):
        run("coco", images, tmp_path / "out", annotations=tmp_path / "none.json")
    with pytest.raises(DataError, match=r"needs a file: data import coco IMAGES ANNOTATIONS\.json OUT"):
        run("coco", images, tmp_path / "out")
    monkeypatch.setattr("sonoprior.cases.importers.coco._MOST_BYTES", 100)
    with pytest.raises(DataError, match=r"given\.json must not be larger than 100 bytes"):
        bring(images, tmp_path)


def test_a_deeply_nested_file_is_refused(images, tmp_path):
    path = text(tmp_path / "given.json", '{"images": ' + "[" * 100_000)
    with pytest.raises(DataError, match="recursion limit exceeded"):
        run("coco", images, tmp_path / "out", annotations=path)
