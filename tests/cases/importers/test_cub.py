from collections import Counter
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from import_trees import put, reasons, run, square, text
from sonoprior.cases.cells import parse_landmarks
from sonoprior.core.errors import DataError

# Number, class and part of each image; the real set has images of a class one after the other.
IMAGES = {
    "1": ("001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg", "1", "0"),
    "2": ("001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg", "1", "1"),
    "3": ("002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg", "2", "1"),
    "4": ("003.Sooty_Albatross/Sooty_Albatross_0048_1130.jpg", "3", "0"),
    "5": ("004.Groove_billed_Ani/Groove_Billed_Ani_0055_1565.jpg", "4", "1"),
}
CLASSES = (
    "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n3 003.Sooty_Albatross\n4 004.Groove_billed_Ani\n"
)
PARTS = "1 back\n2 left eye\n3 right eye\n4 tail\n"
TAXONOMY = (
    "species,genus,family\n001.Black_footed_Albatross,Phoebastria,Diomedeidae\n"
    "Laysan Albatross,Phoebastria,Diomedeidae\nSooty_Albatross,Phoebetria,Diomedeidae\n"
    "Groove billed Ani,Crotophaga,Cuculidae\n"
)


def lines(values) -> str:
    return "".join(f"{number} {value}\n" for number, value in values.items())


@pytest.fixture
def birds(tmp_path):
    """The real layout, small; without parts and segmentations."""
    root = tmp_path / "in" / "CUB_200_2011"
    text(root / "images.txt", lines({number: name for number, (name, _, _) in IMAGES.items()}))
    text(root / "image_class_labels.txt", lines({number: label for number, (_, label, _) in IMAGES.items()}))
    text(root / "train_test_split.txt", lines({number: part for number, (_, _, part) in IMAGES.items()}))
    text(root / "bounding_boxes.txt", lines(dict.fromkeys(IMAGES, "6.0 2.5 10.0 20.0")))
    text(root / "classes.txt", CLASSES)
    text(root / "README", "about")
    for name, _, _ in IMAGES.values():
        put(root / "images" / name, np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8))
    return root


@pytest.fixture
def parts(birds):
    """One image with all parts but one, one with none; nothing said of the others."""
    text(birds / "parts" / "parts.txt", PARTS)
    seen = ["1 3.0 4.5 1", "2 0.0 0.0 0", "3 19.0 1.0 1", "4 5.0 23.0 1"]
    hidden = [f"{part} 0.0 0.0 0" for part in range(1, 5)]
    text(birds / "parts" / "part_locs.txt", "".join(f"1 {s}\n" for s in seen) + lines({"2": hidden[0]}))
    return birds


def names_of(case_set, level):
    return [case_set.classes(level)[label] for label in case_set.labels(level)]


@pytest.mark.parametrize("above", [False, True])
def test_species_genus_family_box_and_part(birds, tmp_path, above):
    report, case_set = run("cub", birds.parent if above else birds, tmp_path / "out")
    assert report.left_out == []
    assert case_set.ids[0] == "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18"
    assert case_set.default_level == "species"
    assert case_set.classes("species") == [
        "Black footed Albatross",
        "Laysan Albatross",
        "Sooty Albatross",
        "Groove billed Ani",
    ]
    assert names_of(case_set, "species")[1:4] == case_set.classes("species")[:3]
    assert names_of(case_set, "genus") == ["Phoebastria"] * 3 + ["Phoebetria", "Crotophaga"]
    assert names_of(case_set, "family") == ["Diomedeidae"] * 4 + ["Cuculidae"]
    assert case_set.column("split").tolist() == ["test", "train", "train", "test", "train"]
    assert case_set.column("box.bird").tolist() == ["6 2.5 16 22.5"] * 5
    assert len(set(case_set.groups())) == 5
    assert "CNS-TR-2011-001; genus and family: eBird/Clements" in case_set.info.source


def test_images_stay_in_colour_and_are_read_as_luminance(birds, tmp_path):
    _, case_set = run("cub", birds, tmp_path / "out")
    source = birds / "images" / IMAGES["3"][0]
    assert case_set.image_path(2).read_bytes() == source.read_bytes()
    assert np.array_equal(case_set.read_image(2), np.asarray(Image.open(source).convert("L")))


def test_parts_are_landmarks_where_they_are_seen(parts, tmp_path):
    _, case_set = run("cub", parts, tmp_path / "out")
    assert case_set.info.landmarks == ["back", "left eye", "right eye", "tail"]
    assert case_set.info.mirror == [("left eye", "right eye")]
    points = parse_landmarks(case_set.column("points")[0], 4, "points")
    assert np.array_equal(points, [[3, 4.5], [np.nan] * 2, [19, 1], [5, 23]], equal_nan=True)
    assert case_set.column("points")[1:].tolist() == [None] * 4


@pytest.mark.parametrize("beside", [False, True])
def test_an_outline_is_what_half_of_the_annotators_drew(birds, tmp_path, beside):
    folder = (birds.parent if beside else birds) / "segmentations"
    levels = np.repeat(np.array([0, 51, 102, 153, 204, 255], np.uint8), 4)[:, None].repeat(20, axis=1)
    put(folder / IMAGES["1"][0].replace(".jpg", ".png"), levels)
    put(folder / IMAGES["3"][0].replace(".jpg", ".png"), square(0, 0, 4) // 2)
    put(folder / IMAGES["4"][0].replace(".jpg", ".png"), square(0, 0, 4, (10, 10)))
    report, case_set = run("cub", birds.parent, tmp_path / "out")
    drawn = case_set.outline(0, "bird")
    assert drawn[12:].all()
    assert not drawn[:12].any()
    assert not case_set.outline(2, "bird").any()  # one of two: looked for, and less than half drew it
    assert case_set.outline(1, "bird") is None
    assert case_set.outline(3, "bird") is None
    assert "must have the size of its image, 20 x 24 pixels" in reasons(report)


def test_a_missing_image_and_a_box_outside_are_listed(birds, tmp_path):
    (birds / "images" / IMAGES["2"][0]).unlink()
    text(birds / "bounding_boxes.txt", lines(dict.fromkeys(IMAGES, "6 2 10 20") | {"5": "100 100 5 5"}))
    report, case_set = run("cub", birds, tmp_path / "out")
    assert len(case_set) == 4
    assert "Black_Footed_Albatross_0009_34.jpg is missing" in reasons(report)
    assert "a box must cover pixels of the image" in reasons(report)
    assert case_set.column("box.bird")[-1] is None


@pytest.mark.parametrize(
    "name", ["classes.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt"]
)
def test_a_missing_list_is_named(birds, tmp_path, name):
    (birds / name).unlink()
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        run("cub", birds, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images.txt", "1\n", "line 1: must be a number and what belongs to it, but got '1'"),
        ("images.txt", "one a.jpg\n", "line 1: must be a number and what belongs to it, but got 'one a.jpg'"),
        ("images.txt", "1 a.jpg\n\n1 b.jpg\n", "line 3: every number may stand there once, but 1 stands"),
        ("images.txt", lines({n: f"../{n}.jpg" for n in IMAGES}), r"image 1: must be a path relative to"),
        ("images.txt", lines({n: f"/etc/{n}.jpg" for n in IMAGES}), r"image 1: must be a path relative to"),
        ("image_class_labels.txt", "1 1\n2 1\n4 3\n", "has none for 3, 5"),
        ("image_class_labels.txt", lines(dict.fromkeys([*IMAGES, "9"], "1")), "names 9, which it does not"),
        (
            "image_class_labels.txt",
            lines(dict.fromkeys(IMAGES, "7")),
            "the class must be one of 1, 2, 3, 4, but",
        ),
        ("train_test_split.txt", lines(dict.fromkeys(IMAGES, "2")), "to train with must be one of 1, 0, but"),
        ("bounding_boxes.txt", lines(dict.fromkeys(IMAGES, "1 2 3")), "must be 'x y width height' in finite"),
        (
            "bounding_boxes.txt",
            lines(dict.fromkeys(IMAGES, "1 2 3 nan")),
            "must be 'x y width height' in finite",
        ),
        ("classes.txt", CLASSES + "5 001.Laysan_Albatross\n", "'Laysan Albatross' stands there twice"),
    ],
)
def test_a_damaged_list_is_refused(birds, tmp_path, name, content, message):
    text(birds / name, content)
    with pytest.raises(DataError, match=message):
        run("cub", birds, tmp_path / "out")


@pytest.mark.parametrize(
    ("locs", "message"),
    [
        ("1 9 3 4 1\n", "line 1: the number of the part must be one of 1, 2, 3, 4, but got '9'"),
        ("8 1 3 4 1\n", "line 1: the image must be one of 1, 2, 3, 4, 5, but got '8'"),
        ("1 1 3 4\n", "line 1: must be 'x y visible' in finite numbers, but got '3 4'"),
        ("1 1 3 4 1\n1 1 5 6 1\n", "line 2: every part of an image may stand there once, but 1 is again"),
    ],
)
def test_damaged_parts_are_refused(parts, tmp_path, locs, message):
    text(parts / "parts" / "part_locs.txt", locs)
    with pytest.raises(DataError, match=message):
        run("cub", parts, tmp_path / "out")


def test_another_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"must hold images\.txt and the folder images, or CUB_200_2011"):
        run("cub", tmp_path, tmp_path / "out")


# Genus and family


def test_an_own_taxonomy_is_taken_whatever_its_names_look_like(birds, tmp_path):
    own = text(tmp_path / "mine.csv", TAXONOMY.replace("Phoebetria", "Diomedea"))
    _, case_set = run("cub", birds, tmp_path / "out", taxonomy=own)
    assert case_set.classes("genus") == ["Phoebastria", "Diomedea", "Crotophaga"]
    assert case_set.info.source.endswith("genus and family: mine.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("Laysan Albatross,", "Laysan Albatros,"),
            r"has no row for Laysan Albatross\. Did you mean 'Laysan Albatros'\? Add 'Laysan Albatross,GENUS",
        ),
        (
            ("Sooty_Albatross,Phoebetria", "Sooty_Albatross,"),
            "row 3, Sooty Albatross: .* must have its genus",
        ),
        (("Crotophaga,Cuculidae", "Crotophaga,"), "row 4, Groove billed Ani: .* must have its family"),
        (
            ("Laysan Albatross,Phoebastria,Diom", "Laysan Albatross,Phoebastria,Proc"),
            "Phoebastria is in Diomed",
        ),
        (("Sooty_Albatross", "002.Laysan_Albatross"), "rows 2 and 3 are both 'Laysan Albatross'"),
        (("genus,family", "genus,clan"), "must have the column 'family'"),
    ],
)
def test_a_taxonomy_that_is_no_tree_of_the_species_is_refused(birds, tmp_path, change, message):
    own = text(tmp_path / "mine.csv", TAXONOMY.replace(*change))
    with pytest.raises(DataError, match=message):
        run("cub", birds, tmp_path / "out", taxonomy=own)


def test_a_species_that_the_bundled_taxonomy_lacks_is_offered_a_row(birds, tmp_path):
    text(birds / "classes.txt", CLASSES.replace("Laysan", "Lysan"))
    with pytest.raises(DataError, match=r"no row for Lysan Albatross\. Did you mean 'Laysan Albatross'\?"):
        run("cub", birds, tmp_path / "out")


def test_the_bundled_taxonomy_is_a_tree_of_200_species():
    with (files("sonoprior.cases.importers") / "cub_taxonomy.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    assert table["species"].is_unique
    assert len(table) == 200
    assert (table.groupby("genus")["family"].nunique() == 1).all()
    assert table["genus"].str.fullmatch("[A-Z][a-z]+").all()
    assert table["family"].str.fullmatch("[A-Z][a-z]+idae").all()
    # Counted in the scientific names of the classes: 25 warblers and 5 other Parulidae, 7 vireos, ...
    families = Counter(table["family"])
    assert families["Vireonidae"] == table["species"].str.endswith("Vireo").sum() == 7
    assert families["Troglodytidae"] == table["species"].str.endswith("Wren").sum() == 7
    assert families["Parulidae"] == table["species"].str.endswith("Warbler").sum() + 5
    # Section 3.5.1.1 of the thesis counts 69 genera and 28 families in the first 100, by Avibase.
    assert table[:100]["genus"].nunique() == 71
    assert table[:100]["family"].nunique() == 29
    assert table.loc[[0, 16, 99, 109, 140, 199], "species"].tolist() == [
        "Black footed Albatross",
        "Cardinal",
        "Brown Pelican",
        "Geococcyx",
        "Artic Tern",
        "Common Yellowthroat",
    ]
