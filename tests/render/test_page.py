from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoprior.core.errors import FolderError
from sonoprior.render.blocks import (
    Bar,
    Cell,
    Code,
    Fact,
    Facts,
    Figure,
    Fold,
    Gallery,
    Note,
    Paragraph,
    Table,
    Tile,
)
from sonoprior.render.page import FOOTER, Page
from sonoprior.render.pictures import data_uri, thumbnail

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(b64decode(uri.partition("base64,")[2]))))


def everything() -> Page:
    tile = Tile(GREY, "case 3", badge="test", tone="bad")
    return Page("All blocks", about="One of each.").section(
        "Blocks",
        Paragraph("a paragraph"),
        Note("a note", "warning"),
        Code("sonoprior data audit out/busi"),
        Facts([Fact("624", "cases", "good")]),
        Figure(GREY, "a figure", width="320px"),
        Table(["name", "value"], [["a", 0.5], ["b", Cell("0.7", "good")]], "a table"),
        Table(["image"], [[Figure(GREY, "in a cell")]]),
        Gallery([tile], "a gallery"),
        Fold("more", [Paragraph("inside")]),
    )


def test_every_kind_of_block_is_on_the_page() -> None:
    html = everything().html()
    for text in (
        "a paragraph",
        "a note",
        "data audit",
        "624",
        "a figure",
        "0.7",
        "in a cell",
        "case 3",
        "inside",
    ):
        assert text in html


def test_nothing_is_loaded_from_outside() -> None:
    html = everything().html()
    assert "http" not in html
    assert "<script" not in html
    assert all(part.startswith("data:") for part in html.split('src="')[1:])


def test_every_page_says_that_it_is_no_diagnosis() -> None:
    assert f"<footer>{FOOTER}" in Page("Empty").html()


def test_the_banner_stands_only_on_pages_about_simulated_data() -> None:
    assert "Simulated data" in Page("a", simulated=True).html()
    assert "Simulated data" not in Page("a").html()


@pytest.mark.parametrize("place", ["title", "heading", "text", "cell", "caption", "about"])
def test_text_is_escaped(place: str) -> None:
    words = dict.fromkeys(["title", "heading", "text", "cell", "caption", "about"], "x") | {
        place: "<script>alert('\"')</script>"
    }
    html = (
        Page(words["title"], about=words["about"])
        .section(
            words["heading"],
            Paragraph(words["text"]),
            Table(["a"], [[words["cell"]]]),
            Gallery([Tile(GREY, words["caption"])]),
        )
        .html()
    )
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_anchors_are_unique_and_listed_as_contents() -> None:
    html = Page("p").section("Same").section("Same").section("§§").html()
    for anchor in ("same", "same-2", "section"):
        assert f'id="{anchor}"' in html
        assert f'href="#{anchor}"' in html


def test_columns_of_numbers_are_aligned_right() -> None:
    table = Table(["case", "n", "score"], [["a1", 3, "0.81 ± 0.02"], ["12", "–", Cell("−0.5")]])
    html = Page("p").section("s", table).html()
    assert '<th scope="col">case</th>' in html
    assert '<th scope="col" class="number">n</th>' in html
    assert '<th scope="col" class="number">score</th>' in html
    assert '<td class="number strong">−0.5</td>' in html


def test_a_bar_is_as_long_as_its_share() -> None:
    html = Page("p").section("s", Table(["class", "share"], [["a", Bar(0.25, "25 %")]])).html()
    assert '<span style="width: 25.0%"></span></span>25 %</td>' in html


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    page = everything()
    page.write(tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == page.html()
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(FolderError, match=r"cannot write .*folder\.html"):
        page.write(tmp_path / "folder.html")


def test_an_array_arrives_unchanged() -> None:
    colour = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)
    np.testing.assert_array_equal(decoded(data_uri(GREY)), GREY)
    np.testing.assert_array_equal(decoded(data_uri(colour)), colour)


def test_files_and_bytes_are_taken_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert data_uri(tmp_path / "a.png") == data_uri((tmp_path / "a.png").read_bytes())
    assert data_uri(b'<svg xmlns="x"/>').startswith("data:image/svg+xml;base64,")


def test_a_thumbnail_keeps_the_aspect_and_never_enlarges() -> None:
    wide = np.zeros((100, 400, 3), np.uint8)
    assert Image.open(BytesIO(thumbnail(wide, longest=80))).size == (80, 20)
    assert Image.open(BytesIO(thumbnail(GREY, longest=80))).size == (8, 8)
    assert Image.open(BytesIO(thumbnail(np.zeros((1, 1000), np.uint8), longest=80))).size == (80, 1)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(
        ValueError, match="a picture must be PNG, JPEG, WebP or SVG, but its bytes begin with"
    ):
        data_uri(b"hello")
    with pytest.raises(ValueError, match=r"must be uint8 \(H, W\) or \(H, W, 3\), but got float64 \(8, 8\)"):
        data_uri(GREY / 255)
