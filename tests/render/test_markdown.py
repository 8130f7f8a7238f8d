import re

import numpy as np
import pytest

from sonoprior.core.errors import FolderError
from sonoprior.render import plots
from sonoprior.render.blocks import (
    Bar,
    Cell,
    Code,
    Download,
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
from sonoprior.render.markdown import escaped, markdown, write_markdown
from sonoprior.render.page import FOOTER, Page

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
SVG = plots.confusion([[1, 0], [0, 1]], ["a", "b"]).svg


def text_of(*blocks):
    return markdown(Page("p").section("s", *blocks), "p")[0]


def tables(text):
    """Every table as rows of cells; an escaped bar is no border."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def test_a_page_has_its_title_headings_and_footer():
    text, _ = markdown(Page("Two runs", about="On made cases.").section("Accuracy", Paragraph("High.")), "p")
    assert text.startswith("# Two runs\n\nOn made cases.\n\n## Accuracy\n\nHigh.\n\n")
    assert text.endswith(f"*{FOOTER} Made with sonoprior.*\n")


def test_the_banner_stands_only_on_pages_about_simulated_data():
    assert "> **Simulated data: no person was examined" in markdown(Page("p", simulated=True), "p")[0]
    assert "Simulated" not in markdown(Page("p"), "p")[0]


def test_every_row_has_as_many_cells_as_the_header_and_numbers_stand_right():
    table = Table(["name", "a|b"], [["x|y", 0.5], [Cell("good", "good"), Cell("", "bad")]], "of | all")
    rows = tables(text_of(table))
    assert rows == [["name", r"a\|b"], ["---", "---:"], [r"x\|y", "0.5"], ["**good**", ""]]
    assert r"*of \| all*" in text_of(table)


def test_what_looks_like_markup_is_text():
    assert escaped("a_b *c* _d_ `e` <f> [g](h) ~i~") == (r"a_b \*c\* \_d\_ \`e\` \<f\> \[g\](h) \~i\~")
    assert [escaped(text) for text in ("# a", "- b", "1. c", "+3.1 points")] == [
        r"\# a",
        r"\- b",
        r"\1. c",
        "+3.1 points",
    ]
    assert escaped("two\n  lines") == "two lines"


@pytest.mark.parametrize("tone", ["plain", "warning", "strong"])
def test_a_note_is_set_off(tone):
    assert "\n> " in text_of(Note("mind this", tone))


def test_code_keeps_its_lines_and_its_fences():
    assert "```\na\nb\n```" in text_of(Code("a\nb\n"))
    assert "````\n```\n````" in text_of(Code("```"))


def test_facts_are_a_table_of_one_row():
    assert tables(text_of(Facts([Fact("5", "folds"), Fact("64 px", "side")])))[::2] == [
        ["folds", "side"],
        ["5", "64 px"],
    ]


def test_a_fold_opens_and_closes():
    text = text_of(Fold("more", [Paragraph("inside"), Code("x")]))
    assert "<details><summary>more</summary>\n\ninside\n\n```\nx\n```\n\n</details>" in text


def test_a_bar_is_its_text_and_a_download_is_left_out():
    assert tables(text_of(Table(["a"], [[Bar(0.3, "30 %")]])))[-1] == ["30 %"]
    assert "numbers" not in text_of(Download("The numbers", "a.csv", "a,b"))


def test_pictures_become_files_of_their_own_name():
    page = Page("p").section(
        "How sure",
        Figure(SVG, "sure", file="sure (a)"),
        Figure(SVG, "again", file="sure (a)"),
        Figure(GREY, "grey"),
        Table(["x"], [[Figure(SVG, "in a cell")]]),
        Gallery([Tile(GREY, "case 3", badge="test")], "some", width=90),
    )
    text, files = markdown(page, "folder")
    assert list(files) == ["sure-a.svg", "sure-a-2.svg", "how-sure.png", "how-sure.svg", "how-sure-2.png"]
    assert files["sure-a.svg"] == SVG
    assert "![sure (a)](folder/sure-a.svg)" in text
    assert "| ![in a cell](folder/how-sure.svg) in a cell |" in text
    assert "| ![test: case 3](folder/how-sure-2.png) | test: case 3 |" in text


def test_files_lie_beside_the_page_and_old_pictures_go(tmp_path):
    page = Page("p").section("s", Figure(SVG, file="new"))
    (tmp_path / "page").mkdir()
    for name in ("old.svg", "kept.txt"):
        (tmp_path / "page" / name).write_text("x")
    written = write_markdown(page, tmp_path / "page.md")
    assert written == [tmp_path / "page.md", tmp_path / "page" / "new.svg"]
    assert sorted(path.name for path in (tmp_path / "page").iterdir()) == ["kept.txt", "new.svg"]
    assert "(page/new.svg)" in (tmp_path / "page.md").read_text()


def test_a_page_without_pictures_has_no_folder(tmp_path):
    write_markdown(Page("p").section("s", Paragraph("x")), tmp_path / "page.md")
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_a_page_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "page.md").mkdir()
    with pytest.raises(FolderError, match=r"cannot write .*page\.md"):
        write_markdown(Page("p"), tmp_path / "page.md")
