import pickle

import numpy as np
import pytest

from import_trees import put, reasons, run, text
from sonoprior.cases.cells import parse_landmarks
from sonoprior.core.errors import DataError

POINTS = np.random.default_rng(2).uniform(1, 18, (68, 2)).round(2)
COLUMNS = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)
CELL = ";".join(f"{value:g}" for value in POINTS.ravel())


@pytest.fixture
def sets(tmp_path):
    """The layout with a folder a part; numbers stand as text, as they do in the public files."""
    for folder, number, expression in (("train_set", 7, "1"), ("train_set", 10, "7"), ("val_set", 3, "0")):
        root = tmp_path / "in" / folder
        put(root / "images" / f"{number}.jpg")
        (root / "annotations").mkdir(exist_ok=True)
        np.save(root / "annotations" / f"{number}_exp.npy", np.array(expression))
        np.save(root / "annotations" / f"{number}_lnd.npy", POINTS.ravel())
        np.save(root / "annotations" / f"{number}_val.npy", np.array("-0.5"))
    return tmp_path / "in"


def test_a_folder_a_part(sets, tmp_path, capsys):
    report, case_set = run("affectnet", sets, tmp_path / "out")
    assert report.left_out == []
    assert case_set.ids == ["train_set/7", "train_set/10", "val_set/3"]
    assert len(case_set.classes()) == 8
    assert [case_set.classes()[i] for i in case_set.labels()] == ["happiness", "contempt", "neutral"]
    assert case_set.column("split").tolist() == ["train", "train", "test"]
    points = parse_landmarks(case_set.column("points")[0], 51, "points")
    assert np.allclose(points, POINTS[17:])
    assert case_set.info.landmarks[0] == "p18"
    assert "Reading the annotations of train_set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "7_exp",
            np.array("9"),
            r"7_exp.npy: the number of the expression must be one of 0, 1, .* but got '9'",
        ),
        ("7_exp", np.array([1, 2]), "7_exp.npy must hold one whole number, but holds 2 numbers"),
        ("7_exp", np.array(np.nan), "7_exp.npy must hold one whole number"),
        ("7_exp", np.array("happy"), "7_exp.npy is damaged or holds no numbers"),
        ("7_lnd", np.zeros(134), "7_lnd.npy must hold 68 landmarks, 136 numbers, but holds 134"),
        ("7_lnd", np.full(136, np.nan), "7_lnd.npy must hold finite numbers, but some are NaN"),
        ("7_lnd", np.zeros(200_000), "7_lnd.npy must not be larger than 1,000,000 bytes"),
        ("7_lnd", pickle.dumps({"a": 1}), "7_lnd.npy is damaged or holds no numbers"),
        ("7_lnd", None, "7_lnd.npy is missing"),
        ("7_lnd", np.full(136, 99.0), "a point must lie in the image, 20 x 24 pixels"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_listed_and_its_image_stays(
    sets, tmp_path, name, content, reason
):
    path = sets / "train_set" / "annotations" / f"{name}.npy"
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    report, case_set = run("affectnet", sets, tmp_path / "out")
    assert len(case_set) == 3
    missing = "label.expression" if name.endswith("exp") else "points"
    assert case_set.column(missing)[0] is None
    assert case_set.column(missing)[1] is not None
    with pytest.raises(DataError, match=reason):
        raise DataError(reasons(report))


def test_nothing_is_unpickled(sets, tmp_path):
    np.save(
        sets / "train_set" / "annotations" / "7_exp.npy", np.array({"a": 1}, dtype=object), allow_pickle=True
    )
    with pytest.raises(DataError, match=r"7_exp\.npy must hold plain numbers, but holds Python objects"):
        run("affectnet", sets, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def tables(tmp_path):
    root = tmp_path / "in"
    for name in ("689/a.jpg", "13/b.jpg", "13/c.JPG"):
        put(root / "Manually_Annotated_Images" / name)
    lists = root / "Manually_Annotated_file_lists"
    text(
        lists / "training.csv",
        f"{COLUMNS}\n689/a.jpg,2,3,10,12,{CELL},1,0.7,-0.1\n13/b.jpg,2,3,10,12,{CELL},10,-2,-2\n",
    )
    text(lists / "validation.csv", f"{COLUMNS}\n13/c.JPG,1,1,5,5,{CELL},6,-0.4,0.5\n")
    return root


def test_a_table_a_part(tables, tmp_path):
    report, case_set = run("affectnet", tables, tmp_path / "out")
    assert report.left_out == []
    assert case_set.ids == ["689/a", "13/c"]  # b is labelled as no face
    assert [case_set.classes()[i] for i in case_set.labels()] == ["happiness", "anger"]
    assert case_set.column("split").tolist() == ["train", "test"]
    assert case_set.column("box.face")[0] == "2 3 12 15"
    assert np.allclose(parse_landmarks(case_set.column("points")[0], 51, "points"), POINTS[17:])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            f"13/b.jpg,2,3,10,12,{CELL},11,0,0",
            "row 1: the number of the expression must be one of .* got '11'",
        ),
        (f"../b.jpg,2,3,10,12,{CELL},1,0,0", "row 1, subDirectory_filePath: must be a path relative to"),
        (
            "13/b.jpg,2,3,10,12,1;2;3,1,0,0",
            "facial_landmarks: must hold 68 landmarks, 136 numbers, but holds 3",
        ),
        (
            f"13/b.jpg,2,3,NULL,12,{CELL},1,0,0",
            "face_x to face_height: must be numbers, but got '2;3;NULL;12'",
        ),
        (f"13/b.jpg,2,nan,10,12,{CELL},1,0,0", "face_x to face_height: must be finite numbers"),
        (
            f"13/b.jpg,2,3,10,12,nan{CELL[CELL.index(';') :]},1,0,0",
            "facial_landmarks: must be finite numbers",
        ),
        (f"13/b.jpg,2,3,10,12,{CELL},1,0,0\n" * 2, "rows 1 and 2 are both '13/b.jpg'"),
    ],
)
def test_a_wrong_table_is_refused(tables, tmp_path, line, message):
    text(tables / "Manually_Annotated_file_lists" / "training.csv", f"{COLUMNS}\n{line}\n")
    with pytest.raises(DataError, match=message):
        run("affectnet", tables, tmp_path / "out")


def test_images_may_lie_one_folder_deeper(tables, tmp_path):
    (tables / "Manually_Annotated").mkdir()
    (tables / "Manually_Annotated_Images").rename(tables / "Manually_Annotated" / "Manually_Annotated_Images")
    _, case_set = run("affectnet", tables, tmp_path / "out")
    assert len(case_set) == 2
    (tables / "Manually_Annotated" / "Manually_Annotated_Images").rename(tables / "elsewhere")
    with pytest.raises(DataError, match="must hold the folder Manually_Annotated_Images, but has none"):
        run("affectnet", tables, tmp_path / "again")


def test_another_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match="must hold train_set and val_set, or Manually_Annotated_file_lists"):
        run("affectnet", tmp_path, tmp_path / "out")
