import numpy as np
import pytest
from PIL import Image

from import_trees import grey, reasons, run, text
from sonoprior.cases.cells import parse_boxes, parse_landmarks
from sonoprior.cases.images import read_grey
from sonoprior.core.errors import DataError

NAMES = ["train_00001", "train_00002", "test_0001"]
LIST = "train_00001.jpg 5\ntrain_00002.jpg 1\ntest_0001.jpg 7\n"
HEADER = "image," + ",".join(f"x{n},y{n}" for n in range(1, 69))


def jpeg(path, shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey(shape)).save(path, quality=95)


def face(left=30.0, top=20.0, side=40.0) -> np.ndarray:
    """68 points, the corners of their box among them; the inner ones lie a quarter inside."""
    points = np.random.default_rng(1).uniform(0.25, 0.75, (68, 2))
    points[0], points[1] = (0, 0), (1, 1)
    return points * side + [left, top]


def row(name, points) -> str:
    return f"{name}.jpg," + ",".join(f"{value:.3f}" for value in points.ravel())


@pytest.fixture
def basic(tmp_path):
    root = tmp_path / "in" / "basic"
    text(root / "EmoLabel" / "list_patition_label.txt", LIST)
    for name in NAMES:
        jpeg(root / "Image" / "aligned" / f"{name}_aligned.jpg", (100, 100))
        jpeg(root / "Image" / "original" / f"{name}.jpg", (120, 160))
        text(root / "Annotation" / "boundingbox" / f"{name}_boundingbox.txt", "30.5 20.0 80.0 70.25 \n")
    return root


@pytest.fixture
def landmarks(tmp_path):
    return text(
        tmp_path / "in" / "points.csv", "\n".join([HEADER, *(row(name, face()) for name in NAMES)]) + "\n"
    )


def test_aligned_as_given(basic, landmarks, tmp_path):
    report, case_set = run("rafdb", basic.parent, tmp_path / "out", landmarks=landmarks)
    assert report.left_out == []
    assert case_set.ids == NAMES
    assert case_set.classes() == ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    assert case_set.labels().tolist() == [4, 0, 6]
    assert case_set.column("split").tolist() == ["train", "train", "test"]
    source = basic / "Image" / "aligned" / "train_00001_aligned.jpg"
    assert case_set.image_path(0).read_bytes() == source.read_bytes()
    assert case_set.info.landmarks == [f"p{n}" for n in range(18, 69)]
    points = parse_landmarks(case_set.column("points")[0], 51, "points")
    assert np.allclose(points, face()[17:], atol=1e-3)
    assert case_set.column("box.face")[0] == "30 20 70 60"


def test_without_landmarks_there_are_labels_only(basic, tmp_path):
    _, case_set = run("rafdb", basic, tmp_path / "out")
    assert case_set.column("points").tolist() == [None] * 3
    assert case_set.column("box.face").tolist() == [None] * 3


def test_parts_and_partners_of_the_landmarks(basic, tmp_path):
    _, case_set = run("rafdb", basic, tmp_path / "out")
    parts = case_set.info.groupings["parts"]
    assert list(parts) == ["brows", "eyes", "nose", "mouth"]
    assert [len(names) for names in parts.values()] == [10, 12, 9, 20]
    assert sorted(name for names in parts.values() for name in names) == sorted(case_set.info.landmarks)
    mirrored = {name for pair in case_set.info.mirror for name in pair}
    # The bridge and the tip of the nose, and the middle of the lips, lie on the axis.
    middle = {"p28", "p29", "p30", "p31", "p34", "p52", "p58", "p63", "p67"}
    assert mirrored == set(case_set.info.landmarks) - middle
    part_of = {name: part for part, names in parts.items() for name in names}
    assert all(part_of[a] == part_of[b] for a, b in case_set.info.mirror)


def test_cropped_to_the_landmarks_with_a_margin(basic, landmarks, tmp_path):
    _, case_set = run(
        "rafdb", basic, tmp_path / "out", landmarks=landmarks, form="cropped-aligned", margin=0.25
    )
    whole = read_grey(basic / "Image" / "aligned" / "train_00001_aligned.jpg")
    assert np.array_equal(case_set.read_image(0), whole[10:71, 20:81])  # 40 pixels and 10 on each side
    points = parse_landmarks(case_set.column("points")[0], 51, "points")
    assert np.allclose(points, face()[17:] - [20, 10], atol=1e-3)
    assert case_set.column("box.face")[0] == "10 10 50 50"


def test_a_crop_ends_at_the_image(basic, tmp_path):
    points = text(tmp_path / "p.csv", "\n".join([HEADER, *(row(name, face(0, 70, 28)) for name in NAMES)]))
    _, case_set = run("rafdb", basic, tmp_path / "out", landmarks=points, form="cropped-aligned", margin=1)
    assert case_set.shape(0) == (58, 57)  # rows 42 to 99, columns 0 to 56
    assert case_set.column("box.face")[0] == "0 28 28 56"


def test_original_with_the_face_box(basic, landmarks, tmp_path):
    (basic / "Annotation" / "boundingbox" / "test_0001_boundingbox.txt").unlink()
    _, case_set = run("rafdb", basic, tmp_path / "out", landmarks=landmarks, form="original")
    assert case_set.shape(0) == (120, 160)
    assert case_set.column("box.face").tolist() == ["30.5 20 80 70.25", "30.5 20 80 70.25", None]


def test_in_the_wild_is_a_random_crop_that_holds_the_face(basic, landmarks, tmp_path):
    _, case_set = run("rafdb", basic, tmp_path / "a", landmarks=landmarks, form="in-the-wild")
    _, again = run("rafdb", basic, tmp_path / "b", landmarks=landmarks, form="in-the-wild")
    assert [case_set.shape(i) for i in range(3)] == [again.shape(i) for i in range(3)]
    assert len({case_set.shape(i) for i in range(3)}) == 3
    whole = read_grey(basic / "Image" / "original" / "train_00001.jpg")
    height, width = case_set.shape(0)
    x0, y0, x1, y1 = parse_boxes(case_set.column("box.face")[0], "box")[0]
    assert x0 >= 0
    assert y0 >= 0
    assert x1 <= width
    assert y1 <= height
    left, top = round(30.5 - x0), round(20 - y0)
    assert np.array_equal(case_set.read_image(0), whole[top : top + height, left : left + width])
    points = parse_landmarks(case_set.column("points")[0], 51, "points")
    assert np.allclose(points + np.array([left, top]), face()[17:], atol=1e-3)


def test_what_cannot_be_cropped_is_listed(basic, landmarks, tmp_path):
    lines = landmarks.read_text().splitlines()
    text(landmarks, "\n".join([*lines[:2], lines[3], row("train_99999", face())]))
    report, case_set = run("rafdb", basic, tmp_path / "out", landmarks=landmarks, form="cropped-aligned")
    assert case_set.ids == ["train_00001", "test_0001"]
    assert "train_00002_aligned.jpg cannot be cropped: it has no landmarks" in reasons(report)
    assert "has landmarks of 'train_99999.jpg', which RAF-DB does not list" in reasons(report)
    (basic / "Annotation" / "boundingbox" / "test_0001_boundingbox.txt").unlink()
    report, _ = run("rafdb", basic, tmp_path / "wild", form="in-the-wild")
    assert "test_0001.jpg cannot be cropped: it has no face box" in reasons(report)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 2 3", "must hold 'x0 y0 x1 y1' in numbers, but does not"),
        ("a b c d", "must hold 'x0 y0 x1 y1' in numbers, but does not"),
        ("nan 0 5 5", "must hold a box with x0 < x1 and y0 < y1, but has 'nan 0 5 5'"),
        ("9 0 5 5", "must hold a box with x0 < x1 and y0 < y1, but has '9 0 5 5'"),
    ],
)
def test_a_wrong_box_is_listed(basic, tmp_path, content, message):
    text(basic / "Annotation" / "boundingbox" / "test_0001_boundingbox.txt", content)
    report, case_set = run("rafdb", basic, tmp_path / "out", form="original")
    assert case_set.ids == NAMES[:2]
    assert message in reasons(report)


def test_a_missing_and_a_damaged_image_are_listed(basic, tmp_path):
    (basic / "Image" / "aligned" / "train_00001_aligned.jpg").unlink()
    (basic / "Image" / "aligned" / "test_0001_aligned.jpg").write_bytes(b"no image")
    report, case_set = run("rafdb", basic, tmp_path / "out")
    assert case_set.ids == ["train_00002"]
    assert "train_00001_aligned.jpg is missing" in reasons(report)
    assert "test_0001_aligned.jpg must be a PNG" in reasons(report)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "train_1.jpg 8",
            "line 1: the number of the expression must be one of 1, 2, 3, 4, 5, 6, 7, but got '8'",
        ),
        ("train_1.jpg", "line 1: must be 'NAME NUMBER', but got 'train_1.jpg'"),
        ("train_1.jpg 1\n\ntrain_1.jpg 2", "rows 1 and 2 are both 'train_1.jpg'"),
        ("train_../../x.jpg 1", "line 1: the name must be train_N.jpg or test_N.jpg, but got"),
        ("val_1.jpg 1", "line 1: the name must be train_N.jpg or test_N.jpg, but got 'val_1.jpg'"),
    ],
)
def test_a_wrong_list_is_refused(basic, tmp_path, lines, message):
    text(basic / "EmoLabel" / "list_patition_label.txt", lines)
    with pytest.raises(DataError, match=message):
        run("rafdb", basic, tmp_path / "out")


def spoilt(points, number, axis, cell) -> str:
    cells = row("train_00001", points).split(",")
    cells[2 * number - 1 + axis] = cell
    return ",".join(cells)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER.rsplit(",", 2)[0], r"must have 68 landmarks, in the columns x1, y1, .*, but has 67"),
        (HEADER + ",x69,y69", "must have 68 landmarks, .* but has 69"),
        (HEADER.replace("image", "file"), "must have the column 'image'"),
        (HEADER.replace("x5,", "X5,"), "must have the column 'x5'"),
        (f"{HEADER}\n{spoilt(face(), 3, 0, 'nan')}", "row 1, x3: must be a finite number, but got 'nan'"),
        (f"{HEADER}\n{spoilt(face(), 3, 1, 'inf')}", "row 1, y3: must be a finite number, but got 'inf'"),
        (f"{HEADER}\n{spoilt(face(), 3, 1, '')}", "row 1: x3 and y3 must both be filled or both be empty"),
        (f"{HEADER}\na.jpg" + "," * 136, "row 1 has no landmark; leave the row out"),
        ("\n".join([HEADER, *[row("train_00001", face())] * 2]), "rows 1 and 2 are both 'train_00001.jpg'"),
    ],
)
def test_wrong_landmarks_are_refused(basic, tmp_path, content, message):
    path = text(tmp_path / "points.csv", content + "\n")
    with pytest.raises(DataError, match=message):
        run("rafdb", basic, tmp_path / "out", landmarks=path)


def test_a_missing_landmark_stays_missing(basic, tmp_path):
    cells = row("train_00001", face()).split(",")
    cells[1 + 2 * 17 : 3 + 2 * 17] = ["", ""]  # p18
    path = text(tmp_path / "points.csv", f"{HEADER}\n{','.join(cells)}\n")
    _, case_set = run("rafdb", basic, tmp_path / "out", landmarks=path)
    points = parse_landmarks(case_set.column("points")[0], 51, "points")
    assert np.isnan(points[0]).all()
    assert not np.isnan(points[1:]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "wild"}, "--form must be one of aligned, cropped-aligned, original, in-the-wild"),
        ({"margin": 0.1}, "--margin is for images that are cropped, but the form is aligned"),
        ({"margin": -1.0, "form": "in-the-wild"}, "--margin must lie between 0 and 10, but got -1"),
        ({"margin": float("nan"), "form": "in-the-wild"}, "--margin must lie between 0 and 10, but got nan"),
        ({"every": 2}, "the importer 'rafdb' has no use for --every"),
    ],
)
def test_a_wrong_option_is_refused(basic, tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        run("rafdb", basic, tmp_path / "out", **options)


def test_another_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"must hold EmoLabel/list_patition_label\.txt, or the folder basic"):
        run("rafdb", tmp_path, tmp_path / "out")


@pytest.mark.parametrize(("grouping", "count"), [("one", 1), ("parts", 4), ("each", 51)])
def test_landmarks_are_priors_that_a_mirror_can_swap(basic, landmarks, tmp_path, grouping, count):
    from sonoprior.cases.loading.partners import prior_partners
    from sonoprior.cases.priors import PriorSpec, prior_groups, prior_maps

    _, case_set = run("rafdb", basic, tmp_path / "out", landmarks=landmarks)
    spec = PriorSpec(source="landmarks", grouping=grouping)
    maps, present = prior_maps(case_set, 0, spec)
    assert maps.shape == (count, 100, 100)
    assert present.all()
    partners = prior_partners(case_set.info, prior_groups(case_set, spec))
    assert sorted(partners) == list(range(count))
