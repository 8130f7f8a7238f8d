import numpy as np
import pytest
from pydantic import ValidationError

from sonoprior.cases.loading.draws import Showing, draw, uniforms
from sonoprior.cases.loading.spec import AugmentSpec

MASK = 2**64 - 1
OTHERS = [(4, 7, 4), (3, 8, 4), (3, 7, 5)]  # seed, epoch, position


def splitmix64(key, places):
    """The generator as published, one step after the other; the outputs at the wanted places."""
    wanted, state = {}, key
    for step in range(max(places) + 1):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        if step in places:
            wanted[step] = z ^ (z >> 31)
    return [wanted[place] for place in places]


def at(positions, repeats=None):
    positions = np.asarray(positions, np.int64)
    return positions, np.zeros_like(positions) if repeats is None else np.asarray(repeats, np.int64)


def test_uniforms_are_splitmix64_read_at_a_place():
    key, repeats = 2**63 - 12345, np.array([0, 1, 40])
    ours = uniforms(key, np.zeros(3, np.int64), repeats)
    for column in range(3):
        places = list(range(16 * int(repeats[column]), 16 * int(repeats[column]) + 13))
        assert ours[:, column].tolist() == [(word >> 11) * 2.0**-53 for word in splitmix64(key, places)]


def test_the_published_first_output():
    # splitmix64.c by Sebastiano Vigna, seed 1234567
    assert splitmix64(1234567, [0]) == [6457827717110365317]


def test_draws_are_even_and_independent():
    values = uniforms(99, *at(np.arange(20_000)))
    assert values.mean(1) == pytest.approx(0.5, abs=0.01)
    assert values.var(1) == pytest.approx(1 / 12, abs=0.003)
    correlations = np.corrcoef(np.concatenate([values, np.roll(values, 1, axis=1)]))
    assert np.abs(correlations - np.eye(26)).max() < 0.03


def test_a_draw_depends_on_seed_epoch_position_and_repeat_and_on_nothing_else():
    spec = AugmentSpec()
    together = draw(spec, Showing(3, 7, *at([4, 900_000, 4], [0, 0, 1])))
    alone = draw(spec, Showing(3, 7, *at([900_000])))
    assert together.angle[1] == alone.angle[0]
    others = [
        draw(spec, Showing(4, 7, *at([4]))),
        draw(spec, Showing(3, 8, *at([4]))),
        draw(spec, Showing(3, 7, *at([5]))),
    ]
    angles = [together.angle[0], together.angle[2], *(other.angle[0] for other in others)]
    assert len(set(angles)) == len(angles)


def test_every_amount_has_a_draw_of_its_own():
    draws = draw(AugmentSpec(mirror=0.5, flip_vertical=0.5), Showing(0, 0, *at(np.arange(5000))))
    amounts = np.array([np.asarray(value, float) for value in vars(draws).values()])
    assert np.abs(np.corrcoef(amounts) - np.eye(13)).max() < 0.06


def test_draws_fill_their_ranges_and_no_more():
    spec = AugmentSpec(mirror=0.25, rotate=30, zoom=0.5, translate=0.1, noise=0.2)
    draws = draw(spec, Showing(0, 0, *at(np.arange(5000))))
    assert draws.mirror.mean() == pytest.approx(0.25, abs=0.03)
    assert not draws.flip.any()
    for values, low, high in [
        (np.degrees(draws.angle), -30, 30),
        (draws.zoom, 1 / 1.5, 1.5),
        (draws.right, -0.1, 0.1),
        (draws.gain, -0.1, 0.1),
        (draws.contrast, 1 / 1.2, 1.2),
        (draws.noise, 0, 0.2),
    ]:
        assert values.min() == pytest.approx(low, abs=0.01 * (high - low))
        assert values.max() == pytest.approx(high, abs=0.01 * (high - low))


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("mirror", 1.5, "mirror\n.*less than or equal to 1"),
        ("flip_vertical", -0.1, "flip_vertical\n.*greater than or equal to 0"),
        ("rotate", 181, "rotate\n.*less than or equal to 180"),
        ("zoom", 0.6, "zoom\n.*less than or equal to 0.5"),
        ("translate", 0.7, "translate\n.*less than or equal to 0.5"),
        ("gain", float("nan"), "gain\n.*finite number"),
        ("noise", "much", "noise\n.*valid number"),
        ("rotation", 5, "rotation\n.*Extra inputs"),
    ],
)
def test_a_setting_out_of_bounds_is_refused(setting, value, message):
    with pytest.raises(ValidationError, match=message):
        AugmentSpec(**{setting: value})
