"""Contact sheets: every tile in its place, outlines in their colours, text that fits."""

import numpy as np
import pytest

from sonoprior.render.overlays import colour_of
from sonoprior.render.sheet import Tile, contact_sheet


def grey(value, height=40, width=40):
    return np.full((height, width), value, np.uint8)


def test_tiles_stand_row_by_row():
    sheet = contact_sheet([Tile(grey(value)) for value in (50, 100, 150)], columns=2, side=40)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    centres = [sheet[26, 26, 0], sheet[26, 72, 0], sheet[72, 26, 0]]
    assert centres == [50, 100, 150]
    assert not sheet[72, 72].any()


def test_an_oblong_picture_keeps_its_aspect_in_its_square():
    sheet = contact_sheet([Tile(grey(200, height=20, width=40))], side=40)
    assert (sheet[6 + 12 : 6 + 28, 6 : 6 + 40] == 200).all()
    assert not sheet[6:14, 6:46].any()


def test_an_outline_has_the_colour_of_its_name():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    sheet = contact_sheet([Tile(grey(90), (), [None, mask])], names=["sac", "ovary"], side=80)
    wanted = [int(colour_of(1)[i : i + 2], 16) for i in (1, 3, 5)]
    assert (sheet[6:86, 6:86] == wanted).all(axis=2).sum() >= 4 * 38


def test_names_are_explained_below():
    bare = contact_sheet([Tile(grey(0))], side=300)
    named = contact_sheet([Tile(grey(0))], names=["sac"], side=300, footer="simulated data")
    assert named.shape[0] > bare.shape[0]
    assert named[310:].any()
    assert not bare[310:].any()


def test_long_text_is_cut_at_the_tile():
    sheet = contact_sheet([Tile(grey(0), ("w" * 200,)), Tile(grey(0), ("",))], side=60)
    assert sheet[66:, :66].any()
    assert not sheet[66:, 67:72].any()


def test_text_makes_room_for_itself():
    lines = contact_sheet([Tile(grey(0), ("a", "b", "c"))], side=40).shape[0]
    assert lines == contact_sheet([Tile(grey(0))], side=40).shape[0] + 3 * 15


@pytest.mark.parametrize(("tiles", "columns"), [([], 3), ([Tile(grey(0))], 0)])
def test_a_sheet_of_nothing_is_refused(tiles, columns):
    with pytest.raises(ValueError, match="a sheet must have a tile and a column, but got"):
        contact_sheet(tiles, columns=columns)
