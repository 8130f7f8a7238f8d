import numpy as np
import pytest

from sonoprior.render.overlays import OUTLINE_COLOURS, as_rgb, colour_of, heat_map, legend, outlined

GREY = np.full((40, 60), 90, dtype=np.uint8)


def rgb(colour):
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def test_without_heat_the_image_stays_as_it_is():
    assert (heat_map(GREY, np.zeros((4, 6))) == as_rgb(GREY)).all()
    assert (heat_map(GREY, -np.ones((4, 6))) == as_rgb(GREY)).all()


def test_the_hottest_place_changes_most_and_cold_places_do_not():
    heat = np.zeros((4, 6))
    heat[1, 4] = 1
    changed = np.abs(heat_map(GREY, heat).astype(int) - 90).sum(axis=2)
    row, column = np.unravel_index(changed.argmax(), changed.shape)
    assert (row // 10, column // 10) == (1, 4)
    assert changed[:, :20].max() == 0


def test_a_shared_scale_keeps_a_weak_map_weak():
    weak = np.full((4, 6), 0.1)
    own = np.abs(heat_map(GREY, weak).astype(int) - 90).sum()
    shared = np.abs(heat_map(GREY, weak, highest=1.0).astype(int) - 90).sum()
    assert shared < own


def test_more_heat_is_lighter_for_every_eye():
    steps = [
        heat_map(np.zeros((1, 1), np.uint8), np.array([[v]]), highest=1.0)[0, 0] for v in (0.1, 0.4, 0.7, 1.0)
    ]
    lightness = [0.21 * r + 0.72 * g + 0.07 * b for r, g, b in (step.astype(float) for step in steps)]
    assert lightness == sorted(lightness)


def test_outlines_are_drawn_on_their_edges_in_their_colours():
    one, two = np.zeros(GREY.shape, bool), np.zeros(GREY.shape, bool)
    one[10:20, 10:20] = True
    two[25:35, 40:50] = True
    drawn = outlined(GREY, [one, None, two], width=1)
    assert drawn[10, 15].tolist() == rgb(colour_of(0))
    assert drawn[25, 45].tolist() == rgb(colour_of(2))
    assert drawn[15, 15].tolist() == drawn[30, 45].tolist() == [90, 90, 90]
    assert (GREY == 90).all()


def test_a_ring_has_two_edges_and_an_empty_mask_none():
    ring = np.zeros(GREY.shape, bool)
    ring[5:35, 5:35] = True
    ring[15:25, 15:25] = False
    assert outlined(GREY, [ring], width=1)[14, 20].tolist() == rgb(colour_of(0))
    assert (outlined(GREY, [np.zeros(GREY.shape, bool)]) == 90).all()


def test_colours_can_be_told_apart_and_repeat():
    assert len(set(OUTLINE_COLOURS)) == 10
    assert colour_of(10) == colour_of(0)
    assert legend(["sac", "embryo"]) == {"sac": colour_of(0), "embryo": colour_of(1)}


@pytest.mark.parametrize(
    ("image", "heat", "text"),
    [
        (as_rgb(GREY), np.zeros((2, 2)), r"uint8 \(H, W\), but got uint8 \(40, 60, 3\)"),
        (GREY.astype(float), np.zeros((2, 2)), "but got float64"),
        (GREY, np.zeros(3), r"finite numbers \(h, w\), but got \(3,\)"),
        (GREY, np.full((2, 2), np.nan), "or a NaN in it"),
    ],
)
def test_what_is_no_image_or_heat_is_refused(image, heat, text):
    with pytest.raises(ValueError, match=text):
        heat_map(image, heat)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"size of the picture \(40, 60\), but got \(2, 2\)"):
        outlined(GREY, [np.ones((2, 2), bool)])
