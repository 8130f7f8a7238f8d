import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoprior.cases import CaseSet
from sonoprior.cases.importers import IMPORTERS, ImportOptions, import_cases
from sonoprior.cases.importers.files import reading_order
from sonoprior.core.errors import DataError, FolderError

RNG = np.random.default_rng(0)
DRAWN = np.zeros((24, 20), np.uint8)
DRAWN[5:9, 6:12] = 255
SECOND = np.roll(DRAWN, 10, axis=0)
BLACK = np.zeros((24, 20), np.uint8)


def put(path: Path, pixels: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (24, 20), dtype=np.uint8) if pixels is None else pixels).save(path)
    return path


def run(name: str, source: Path, out: Path, *, strict: bool = False, **options):
    report = import_cases(IMPORTERS.load(name)(source, ImportOptions(**options)), out, strict=strict)
    return report, CaseSet.open(out)


def reasons(report) -> str:
    return "\n".join(fault.reason for fault in report.left_out)


# BUSI


@pytest.fixture
def busi(tmp_path):
    """Six images in the real layout: two outlines, one, none; black; and none."""
    root = tmp_path / "source" / "Dataset_BUSI_with_GT"
    put(root / "benign" / "benign (10).png")
    put(root / "benign" / "benign (9).png")
    put(root / "benign" / "benign (9)_mask.png", DRAWN)
    put(root / "benign" / "benign (9)_mask_1.png", SECOND)
    put(root / "malignant" / "malignant (1).png")
    put(root / "malignant" / "malignant (1)_mask.png", DRAWN)
    put(root / "normal" / "normal (1).png")
    put(root / "normal" / "normal (1)_mask.png", BLACK)
    put(root / "normal" / "normal (2).png")
    return root


@pytest.mark.parametrize("above", [False, True])
def test_busi_keeps_the_three_states_of_an_outline_apart(busi, tmp_path, above):
    report, case_set = run("busi", busi.parent if above else busi, tmp_path / "out")
    assert case_set.ids == ["benign (9)", "benign (10)", "malignant (1)", "normal (1)", "normal (2)"]
    assert case_set.labels().tolist() == [0, 0, 1, 2, 2]
    outlines = [case_set.outline(i, "lesion") for i in range(5)]
    assert np.array_equal(outlines[0], (DRAWN | SECOND) > 0)
    assert outlines[1] is None
    assert np.array_equal(outlines[2], DRAWN > 0)
    assert outlines[3] is not None
    assert not outlines[3].any()
    assert outlines[4] is None
    assert report.outlines == {"drawn": 2, "empty": 1, "absent": 2}
    assert report.classes == {"class": {"benign": 2, "malignant": 1, "normal": 2}}
    assert report.left_out == []


def test_busi_says_where_it_comes_from(busi, tmp_path):
    _, case_set = run("busi", busi, tmp_path / "out")
    assert case_set.classes() == ["benign", "malignant", "normal"]
    assert "10.1016/j.dib.2019.104863" in case_set.info.source
    assert "CC BY 4.0" in case_set.info.licence


def test_busi_images_are_copied_bit_by_bit(busi, tmp_path):
    _, case_set = run("busi", busi, tmp_path / "out")
    assert case_set.image_path(1).read_bytes() == (busi / "benign" / "benign (10).png").read_bytes()


def test_an_outline_without_its_image_is_listed(busi, tmp_path):
    put(busi / "normal" / "normal (7)_mask.png", BLACK)
    report, case_set = run("busi", busi, tmp_path / "out")
    assert len(case_set) == 5
    assert "normal (7)_mask.png outlines an image that is not there." in reasons(report)


def test_another_layout_is_no_busi(tmp_path):
    with pytest.raises(
        DataError, match=r"must hold the folders benign, malignant and normal, .* but has none"
    ):
        run("busi", tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="must be a folder, but there is no such folder"):
        run("busi", tmp_path / "no", tmp_path / "out")


def test_an_option_without_use_is_refused(busi, tmp_path):
    with pytest.raises(DataError, match="the importer 'busi' has no use for --map; leave it out"):
        run("busi", busi, tmp_path / "out", columns={"image": "x"})
    with pytest.raises(DataError, match="the importer 'folder' has no use for --images"):
        run("folder", busi, tmp_path / "out", images=busi)


@pytest.mark.real_data
def test_the_real_busi_has_624_cases(tmp_path):
    root = Path(__file__).parents[2]
    data = Path(os.environ.get("SONOPRIOR_REAL_DATA", root.parent / "shared" / "data")) / "BUSI"
    if not data.is_dir():
        pytest.skip(f"{data} is not there; SONOPRIOR_REAL_DATA names the folder of real data")
    report, case_set = run("busi", data, tmp_path / "out")
    assert report.cases == len(case_set) == 624
    assert report.classes == {"class": {"benign": 350, "malignant": 168, "normal": 106}}
    assert report.outlines == {"drawn": 75, "empty": 38, "absent": 511}


# A folder a class


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / "views"
    put(root / "uterus" / "a.png")
    put(root / "uterus" / "b.jpg")
    put(root / "uterus" / "b.png")
    put(root / "ovary" / "deep" / "a.png")
    put(root / "masks" / "uterus" / "a.png", DRAWN)
    put(root / "masks" / "ovary" / "deep" / "a.bmp", BLACK)
    (root / "uterus" / "notes.txt").write_text("not an image")
    put(root / ".thumbnails" / "a.png")
    return root


def test_folders_are_classes_and_masks_mirror_them(folders, tmp_path):
    report, case_set = run("folder", folders, tmp_path / "out")
    assert case_set.ids == ["ovary/deep/a", "uterus/a", "uterus/b.jpg", "uterus/b.png"]
    assert case_set.classes() == ["ovary", "uterus"]
    assert case_set.labels().tolist() == [0, 1, 1, 1]
    assert not case_set.outline(0, "object").any()
    assert np.array_equal(case_set.outline(1, "object"), DRAWN > 0)
    assert report.outlines == {"drawn": 1, "empty": 1, "absent": 2}
    assert case_set.info.name == "views"


def test_masks_may_lie_elsewhere(folders, tmp_path):
    put(tmp_path / "drawn" / "uterus" / "b.png", DRAWN)
    report, _ = run("folder", folders, tmp_path / "out", masks=tmp_path / "drawn")
    assert report.outlines["drawn"] == 2  # b.jpg and b.png share it
    assert list(report.classes["class"]) == ["ovary", "uterus"]


def test_folders_without_masks_have_no_zone(tmp_path):
    put(tmp_path / "in" / "x" / "1.png")
    _, case_set = run("folder", tmp_path / "in", tmp_path / "out")
    assert case_set.info.zones == []


def test_a_mask_without_its_image_is_listed(folders, tmp_path):
    put(folders / "masks" / "uterus" / "z.png", DRAWN)
    report, _ = run("folder", folders, tmp_path / "out")
    assert "z.png outlines an image that is not there." in reasons(report)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "in" / "class").mkdir(parents=True)
    with pytest.raises(DataError, match="must hold a folder with images for each class, but has no image"):
        run("folder", tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_numbers_in_names_count_as_numbers():
    assert sorted(["10", "9", "a2", "a10", "b"], key=reading_order) == ["9", "10", "a2", "a10", "b"]


# What cannot be used


def spoil(path: Path, kind: str) -> None:
    content = put(path).read_bytes()
    if kind == "tiny":
        put(path, np.zeros((1, 1), np.uint8))
    else:
        path.write_bytes({"zero": b"", "text": b"hello", "cut": content[: len(content) // 2]}[kind])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("zero", "is empty (0 bytes)"),
        ("text", "but is none"),
        ("cut", "is damaged or cut short"),
        ("tiny", "must have at least 16 x 16 pixels, but has 1 x 1"),
    ],
)
def test_one_bad_image_is_listed_and_left_out_unless_strict(busi, tmp_path, kind, reason):
    spoil(busi / "benign" / "benign (10).png", kind)
    report, case_set = run("busi", busi, tmp_path / "out")
    assert len(case_set) == report.cases == 4
    assert "benign (10)" not in case_set.ids
    assert reason in reasons(report)
    assert "benign (10).png" in report.left_out[0].what
    with pytest.raises(DataError, match=r"benign \(10\)\.png"):
        run("busi", busi, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_a_bad_outline_is_left_out_and_its_image_stays(busi, tmp_path):
    put(busi / "malignant" / "malignant (1)_mask.png", DRAWN[1:])
    spoil(busi / "benign" / "benign (9)_mask_1.png", "cut")
    report, case_set = run("busi", busi, tmp_path / "out")
    assert len(case_set) == 5
    assert case_set.outline(0, "lesion") is None  # half of an outline would be a wrong one
    assert case_set.outline(2, "lesion") is None
    assert report.outlines == {"drawn": 0, "empty": 1, "absent": 4}
    assert [fault.what for fault in report.left_out] == ["benign (9), lesion", "malignant (1), lesion"]
    assert "must have the size of its image, 20 x 24 pixels (width x height), but has 20 x 23" in reasons(
        report
    )
    with pytest.raises(DataError, match=r"_mask_1\.png is damaged"):
        run("busi", busi, tmp_path / "strict", strict=True)


def test_an_orphaned_outline_stops_a_strict_import(busi, tmp_path):
    put(busi / "normal" / "normal (7)_mask.png", BLACK)
    with pytest.raises(DataError, match="outlines an image that is not there"):
        run("busi", busi, tmp_path / "out", strict=True)


def test_nothing_but_bad_images_is_refused_whole(tmp_path):
    spoil(tmp_path / "in" / "x" / "a.png", "text")
    spoil(tmp_path / "in" / "x" / "b.png", "zero")
    with pytest.raises(
        DataError, match=r"none of the images of in can be used; the first: .*a\.png must be a PNG"
    ):
        run("folder", tmp_path / "in", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_exists_is_not_overwritten(busi, tmp_path):
    run("busi", busi, tmp_path / "out")
    with pytest.raises(FolderError, match="exists already"):
        run("busi", busi, tmp_path / "out")


# A CSV


@pytest.fixture
def exams(tmp_path):
    """Four images, two outlines and a heat map, waiting for a CSV."""
    for name in ("a.png", "b.png", "sub/c.png", "d.png"):
        put(tmp_path / "in" / "pictures" / name)
    put(tmp_path / "in" / "drawn" / "a1.png", DRAWN)
    put(tmp_path / "in" / "drawn" / "a2.png", SECOND)
    put(tmp_path / "in" / "drawn" / "black.png", BLACK)
    return tmp_path / "in"


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "exams.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_any_columns_can_be_mapped(exams, tmp_path):
    text = (
        "filename,plane,side,pid,mask,left,top,right,bottom,cx,cy,marks,heat,part,Zürich\n"
        "pictures/a.png,sac,left,007,drawn/a1.png;drawn/a2.png,1,2,8,9,4,5,1 2;3 4,drawn/a1.png,train,x\n"
        "pictures/b.png,uterus,,008,drawn/black.png,,,,,,,;3 4,,test,\n"
        "pictures/sub/c.png,,right,,@empty,,,,,,,,,,\n"
        "pictures/d.png,sac,,,,,,,,,,,,,\n"
    )
    columns = {
        "image": "filename", "label.view": "plane", "label.side": "side", "patient": "pid",
        "outline.sac": "mask", "box.sac": "left,top,right,bottom", "point.yolk": "cx,cy",
        "points": "marks", "map.cam": "heat", "split": "part", "extra.city": "Zürich",
    }  # fmt: skip
    report, case_set = run("csv", table(exams, text), tmp_path / "out", columns=columns)
    assert case_set.ids == ["pictures/a", "pictures/b", "pictures/sub/c", "pictures/d"]
    assert case_set.info.levels == {"view": ["sac", "uterus"], "side": ["left", "right"]}
    assert case_set.info.zones == ["sac", "yolk"]
    assert case_set.info.landmarks == ["1", "2"]
    assert case_set.labels("view").tolist() == [0, 1, -1, 0]
    assert np.array_equal(case_set.outline(0, "sac"), (DRAWN | SECOND) > 0)
    assert [case_set.outline(i, "sac") is None for i in range(4)] == [False, False, False, True]
    assert not case_set.outline(1, "sac").any()
    assert case_set.column("box.sac").tolist() == ["1 2 8 9", None, None, None]
    assert case_set.column("point.yolk").tolist() == ["4 5", None, None, None]
    assert case_set.column("patient").tolist() == ["007", "008", None, None]
    assert case_set.column("split").tolist() == ["train", "test", None, None]
    assert case_set.column("extra.city")[0] == "x"
    assert case_set.path(0, "map.cam").is_file()
    assert report.outlines == {"drawn": 1, "empty": 2, "absent": 1}
    assert report.left_out == []


def test_columns_with_our_names_need_no_map(exams, tmp_path):
    path = table(exams, "case,image,label.view,other\none,a.png,sac,9\n")
    _, case_set = run("csv", path, tmp_path / "out", images=exams / "pictures")
    assert case_set.ids == ["one"]
    assert case_set.classes() == ["sac"]
    assert list(case_set.table.columns) == ["case", "image", "label.view"]


def test_columns_that_only_look_like_ours_are_left_alone(exams, tmp_path):
    path = table(exams, "image,label,box,image.url,split\npictures/a.png,1,2,3,Train\n")
    _, case_set = run("csv", path, tmp_path / "out", columns={"extra.split": "split"})
    assert list(case_set.table.columns) == ["case", "image", "extra.split"]
    assert case_set.column("extra.split").tolist() == ["Train"]


def test_images_and_masks_may_lie_elsewhere(exams, tmp_path):
    path = table(exams, "image,outline.sac\na.png,a1.png\n")
    _, case_set = run("csv", path, tmp_path / "out", images=exams / "pictures", masks=exams / "drawn")
    assert np.array_equal(case_set.outline(0, "sac"), DRAWN > 0)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("file\nx.png\n", {}, "say which column names the images, --map image=COLUMN; it has file"),
        ("file\nx.png\n", {"image": "flie"}, r"the column for 'image' must be one of file, .* mean 'file'"),
        ("image\nx.png\n", {"patent": "image"}, r"a case set has no column 'patent'; .* mean 'patient'"),
        ("image\nx.png\n", {"label.": "image"}, r"a case set has no column 'label\.'"),
        (
            "image\nx.png\n",
            {"label.a/b": "image", "image": "image"},
            r"levels: a name must be text without .* but got 'a/b'",
        ),
        ("image,zonemap\nx.png,y\n", {}, r"a zone map needs the zones of a dataset\.yaml"),
        ("image\n../x.png\n", {}, r"row 1, image: must be a path relative to .* but got '\.\./x\.png'"),
        ("image\n/x.png\n", {}, "row 1, image: must be a path relative to"),
        ("image,outline.a\nx.png,../y.png\n", {}, r"row 1, outline\.a: must be a path relative to"),
        ("image,map.a\nx.png,../y.png\n", {}, r"row 1, map\.a: must be a path relative to"),
        (
            "image\npictures/a.png\npictures/a.png\n",
            {},
            "an id of its own, but rows 1 and 2 are both 'pictures/a'",
        ),
        (
            "case,image\n1,pictures/a.png\n1,pictures/b.png\n",
            {},
            "rows 1 and 2 are both '1'; name the column of ids",
        ),
        (
            "image,split\npictures/a.png,Train\n",
            {},
            r"row 1, split: the part must be one of train, .* mean 'train'",
        ),
        (
            "image,x,y\npictures/a.png,1,\n",
            {"point.a": "x,y"},
            "row 1: the columns x, y must all be filled or all be",
        ),
        ("image\nnone.png\n", {}, r"none of the images .* can be used; the first: .*none\.png is missing"),
        ("image,a\n,1\n", {}, "none of the images .* the first: .*row 1 names no image"),
        ("image\n", {}, "none of the images of exams can be used; the first: there are none"),
        ("", {}, r"exams\.csv must have a header line, but is empty"),
    ],
)
def test_a_wrong_csv_is_refused(exams, tmp_path, text, columns, message):
    with pytest.raises(DataError, match=message):
        run("csv", table(exams, text), tmp_path / "out", columns=columns)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_csv_in_another_encoding_is_refused(exams, tmp_path):
    with pytest.raises(DataError, match=r"exams\.csv must be encoded in UTF-8, but line 2 is not"):
        run("csv", table(exams, "image,city\na.png,Zürich\n", "latin-1"), tmp_path / "out")
    with pytest.raises(DataError, match=r"none\.csv cannot be read: No such file"):
        run("csv", exams / "none.csv", tmp_path / "out")


@pytest.mark.parametrize(
    ("columns", "cell", "reason"),
    [
        ("box.a", "1 2 nan 9", "must be 'x0 y0 x1 y1' in finite numbers, but got '1 2 nan 9'"),
        (
            "box.a",
            "100 2 200 9",
            "a box must cover pixels of the image, 20 x 24 pixels, but got '100 2 200 9'",
        ),
        ("box.a", "9 2 1 9", "a box must have x0 < x1 and y0 < y1, but got '9 2 1 9'"),
        ("point.a", "nan nan", "must be 'x y' in finite numbers, but got 'nan nan'"),
        ("point.a", "20 3", "a point must lie in the image, 20 x 24 pixels, but got '20 3'"),
        ("points", "1 2;30 3", "a point must lie in the image, 20 x 24 pixels, but got '30 3'"),
        ("map.a", "pictures/small.png", "must have the size of its image"),
        ("outline.a", "pictures/none.png", "is missing or is not a file"),
    ],
)
def test_an_annotation_that_does_not_fit_is_left_out(exams, tmp_path, columns, cell, reason):
    put(exams / "pictures" / "small.png", DRAWN[1:])
    path = table(exams, f"image,{columns}\npictures/a.png,{cell}\npictures/b.png,\n")
    report, case_set = run("csv", path, tmp_path / "out")
    assert len(case_set) == 2
    assert case_set.column(columns).tolist() == [None, None]
    assert reason in reasons(report)
    with pytest.raises(DataError):
        run("csv", path, tmp_path / "strict", strict=True)


def test_landmarks_of_another_number_are_left_out(exams, tmp_path):
    path = table(exams, "image,points\npictures/a.png,1 2;3 4\npictures/b.png,1 2\n")
    report, case_set = run("csv", path, tmp_path / "out")
    assert case_set.column("points").tolist() == ["1 2;3 4", None]
    assert "must hold 2 landmarks between ';', but got 1" in reasons(report)


def test_an_unknown_importer_names_the_nearest():
    with pytest.raises(DataError, match=r"must be one of .*busi, .* but got 'bussi'\. Did you mean 'busi'"):
        IMPORTERS.load("bussi")
