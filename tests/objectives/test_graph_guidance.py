"""Graph-guided similarity: best-match averages against loops, and the guidance they lead to."""

import pytest
import torch

from objective_inputs import batch, context, drawn, objective
from sonoprior.core.errors import RecipeError
from sonoprior.knowledge.sets import set_similarity
from sonoprior.knowledge.similarity import TermSimilarity
from sonoprior.objectives.embedding_settings import LanguageGuidanceSettings
from sonoprior.objectives.graph_guidance import GraphGuidance, best_match_average, to_unit
from sonoprior.objectives.language_guidance import LanguageGuidance

generator = torch.Generator().manual_seed(0)
HALF = torch.rand(6, 6, generator=generator, dtype=torch.float64)
SIMILARITY = (HALF + HALF.T) / 2
SETS = torch.tensor(
    [[1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0] * 6]
).bool()


def embeddings(size=5):
    made = torch.randn(size, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return made.requires_grad_()


def test_best_match_average_is_its_loop():
    found = best_match_average(SETS, SIMILARITY)
    for i, j in torch.cartesian_prod(torch.arange(4), torch.arange(4)).tolist():
        here, there = SETS[i].nonzero().flatten().tolist(), SETS[j].nonzero().flatten().tolist()
        one = [max(SIMILARITY[s, t].item() for t in there) for s in here]
        other = [max(SIMILARITY[s, t].item() for s in here) for t in there]
        assert found[i, j].item() == pytest.approx(sum(one + other) / len(one + other))
    assert not found[4].any()
    assert not found[:, 4].any()
    assert not best_match_average(SETS[4:], SIMILARITY).any()


def test_images_are_led_to_what_their_agreement_with_terms_is_measured_by():
    codes = [f"t{number}" for number in range(6)]
    sets = [[code for code, there in zip(codes, row, strict=True) if there] for row in SETS[:4].tolist()]
    measured = set_similarity(sets, sets, TermSimilarity(tuple(codes), SIMILARITY.numpy()))
    assert best_match_average(SETS[:4], SIMILARITY).numpy() == pytest.approx(measured)


@pytest.mark.parametrize("same_class", ["clamp", "mask", "keep"])
def test_images_with_one_term_each_are_guided_as_classes_are(same_class):
    settings = LanguageGuidanceSettings(same_class=same_class)
    labels = torch.tensor([0, 3, 3, 5, -1])
    terms = torch.nn.functional.one_hot(labels.clamp(min=0), 6).bool() & (labels >= 0)[:, None]
    found = GraphGuidance(settings, SIMILARITY)(embeddings(), terms)
    wanted = LanguageGuidance(settings, SIMILARITY)(embeddings(), labels)
    torch.testing.assert_close(found.total, wanted.total)
    assert found.count == wanted.count


def test_the_gradient_is_that_of_finite_differences():
    guidance = GraphGuidance(LanguageGuidanceSettings(), SIMILARITY)
    assert torch.autograd.gradcheck(lambda x: guidance(x, SETS).total, (embeddings(),))


def test_no_terms_at_all_is_a_zero_on_the_graph():
    x = embeddings()
    term = GraphGuidance(LanguageGuidanceSettings(), SIMILARITY)(x, torch.zeros(5, 6, dtype=torch.bool))
    assert term.total == term.count == 0
    term.total.backward()
    assert not x.grad.any()


def test_a_mirrored_image_is_compared_by_the_terms_of_the_other_side():
    given = context()
    one, terms, output = objective("graph_guidance", given), given.knowledge.terms(), drawn(given)["weak"]
    record = batch()
    mirrored = record.fields["mirrored"]
    shown = terms.shown[record.fields["index"]]
    assert 0 < mirrored.sum() < len(mirrored)
    for case in mirrored.nonzero().flatten().tolist():
        shown[case] = shown[case][terms.partners]
    wanted = one.loss(output.embeddings["view"], shown)
    assert one(output, record).total == wanted.total
    record.fields["mirrored"] = ~mirrored
    assert one(output, record).total != wanted.total


def test_bad_input_is_refused():
    with pytest.raises(RecipeError, match=r"terms must be \(B, T\), here \(5, 6\), but got \(5, 4\)"):
        GraphGuidance(LanguageGuidanceSettings(), SIMILARITY)(embeddings(), SETS[:, :4])
    with pytest.raises(RecipeError, match="square matrix"):
        GraphGuidance(LanguageGuidanceSettings(), SIMILARITY[:4])
    with pytest.raises(RecipeError, match="2 everywhere guides nothing"):
        to_unit(torch.full((3, 3), 2.0))
