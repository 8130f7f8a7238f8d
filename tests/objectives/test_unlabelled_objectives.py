"""The objectives on unlabelled cases: what they hand to their losses, what they say and refuse."""

import pytest
import torch
from torch.nn import functional

from objective_inputs import MEMBERS, STREAM, batches, context, drawn, heads, objective
from sonoprior.attribution.gradients import head_weights
from sonoprior.core.errors import RecipeError
from sonoprior.models.heads import Heads
from sonoprior.objectives.clustering_settings import DeepClusteringSettings
from sonoprior.objectives.contrastive_settings import NTXentSettings, SupervisedContrastiveSettings
from sonoprior.objectives.deep_clustering import DeepClustering
from sonoprior.objectives.fixmatch_two_heads import HeadLogits, TwoHeadCrossEntropy
from sonoprior.objectives.image_numbers import ImageNumbers
from sonoprior.objectives.multi_label_cross_entropy import multi_label_cross_entropy
from sonoprior.objectives.nt_xent import NTXent
from sonoprior.objectives.projection import Projection
from sonoprior.objectives.supervised_contrastive import SupervisedContrastive
from sonoprior.training.experiment import Experiment


def same(one, other):
    torch.testing.assert_close(one.total, other.total)
    assert int(one.count) == int(other.count)


def test_the_projection_is_its_formula():
    head, e = Projection(8, 3), torch.randn(5, 8)
    w2 = head.layers[1].weight
    wanted = [
        [sum(max(x, 0) * w for x, w in zip(row, column, strict=True)) for column in w2.tolist()]
        for row in e.tolist()
    ]
    torch.testing.assert_close(head(e), torch.tensor(wanted))
    assert Projection(8, None)(e) is e
    assert not list(Projection(8, None).parameters())


@pytest.mark.parametrize("width", [None, 6])
def test_contrastive_objectives_compare_projections_of_the_leaf(width):
    given, found = context(), batches()["unlabelled"]
    outputs = drawn(given)
    first, second = (outputs[view].outputs[:, 4:12] for view in ("first", "second"))
    one = objective("nt_xent", given, projection=width)
    same(one(outputs, found), NTXent(NTXentSettings())(one.projection(first), one.projection(second)))
    one = objective("supervised_contrastive", given, projection=width)
    found["first"].fields["label.view"] = torch.tensor([0, 0, 1, -1, -1, 3, 1, -1])
    loss = SupervisedContrastive(SupervisedContrastiveSettings())
    labels = found["first"].fields["label.view"]
    same(one(outputs, found), loss(one.projection(first), one.projection(second), labels))


def test_clusters_are_read_where_their_logits_stand():
    given = context(several=True)
    outputs = drawn(given)
    wanted = DeepClustering(DeepClusteringSettings())(
        outputs["first"].outputs[:, -5:], outputs["second"].outputs[:, -5:]
    )
    same(objective("deep_clustering", given)(outputs, batches()["unlabelled"]), wanted)


def test_labelled_heads_learn_the_labels_of_the_combination():
    given = context(several=True)
    output, batch = drawn(given)["only"], batches(several=True)["labelled"]["only"]
    numbers = batch.fields["label.view"] = torch.tensor([0, 1, 2, 3, 4, -1, 2, 2])
    labels = torch.stack([torch.full((3,), -1) if n < 0 else MEMBERS[n].long() for n in numbers.tolist()])
    same(
        objective("multi_label_cross_entropy", given)(output, batch),
        multi_label_cross_entropy(output.outputs[:, :3], labels),
    )
    # The last combination has no logit, and is learnt by the head of the labels alone.
    both = HeadLogits(output.outputs[:, 19:23], output.outputs[:, :3])
    found = objective("two_head_cross_entropy", given)(output, batch)
    same(found, TwoHeadCrossEntropy(MEMBERS[:4].long())(both, labels))
    assert found.monitors["single_label"][1] == 6
    assert found.monitors["multi_label"][1] == 7


# Pseudo-labels


def told(name, given, truth, **settings):
    """The term, and the monitors by hand: which images are used, and which of them are right."""
    outputs, found = drawn(given), batches(several=given.heads.several)["unlabelled"]
    found["weak"].fields["label.truth"] = truth
    return objective(name, given, **settings)(outputs, found), outputs


def test_one_label_is_judged_by_the_truth_that_is_known():
    truth = torch.tensor([0, 1, 2, 3, -1, 1, -1, 0])
    term, outputs = told("fixmatch", context(), truth, threshold=0.9)
    p, guessed = outputs["weak"].outputs[:, :4].softmax(1).max(1)
    used = p >= 0.9
    assert 0 < used.sum() < 8
    known = used & (truth >= 0)
    assert term.monitors["pseudo_label_rate"] == (used.sum(), 8)
    assert term.monitors["pseudo_label_accuracy"] == ((guessed == truth)[known].sum(), known.sum())
    losses = functional.cross_entropy(outputs["strong"].outputs[:, :4], guessed, reduction="none")
    torch.testing.assert_close(term.total, losses[used].sum())


@pytest.mark.parametrize("name", ["fixmatch_one_head", "fixmatch_two_heads"])
def test_several_labels_are_judged_by_the_truth_that_is_known(name):
    truth = torch.tensor([0, 1, 2, 3, -1, 1, -1, 4])
    term, outputs = told(name, context(several=True), truth, threshold=0.9)
    weak = outputs["weak"].outputs
    if name == "fixmatch_one_head":
        p = weak[:, :3].sigmoid()
        used, guessed = p.amax(1) >= 0.9, p >= 0.5
    else:
        p, combination = weak[:, 19:23].softmax(1).max(1)
        used, guessed = p >= 0.9, MEMBERS[combination]
    known = [i for i in range(8) if used[i] and truth[i] >= 0]
    right = [bool((guessed[i] == MEMBERS[truth[i]]).all()) for i in known]
    assert len(known) > 0
    assert term.monitors["pseudo_label_rate"] == (used.sum(), 8)
    assert term.monitors["pseudo_label_accuracy"] == (sum(right), len(right))


def test_nobody_need_know_the_truth():
    given = context()
    found = batches()["unlabelled"]
    del found["weak"].fields["label.truth"]
    assert set(objective("fixmatch", given)(drawn(given), found).monitors) == {"pseudo_label_rate"}


def test_an_image_has_the_number_of_its_place_in_the_stream():
    number = ImageNumbers(STREAM)
    assert number(STREAM).tolist() == [sorted(STREAM.tolist()).index(at) for at in STREAM.tolist()]
    assert len(number) == len(STREAM)


@pytest.mark.parametrize("name", ["fixmatch", "fixmatch_two_heads"])
def test_flexible_thresholds_remember_images_wherever_they_stand(name):
    given = context(several=name != "fixmatch")
    one, outputs = objective(name, given, flexible={}, threshold=0.9), drawn(given)
    one(outputs, batches()["unlabelled"])
    columns = slice(0, 4) if name == "fixmatch" else slice(19, 23)
    p, guessed = outputs["weak"].outputs[:, columns].softmax(1).max(1)
    reached = torch.where(p >= 0.9, guessed, -1).tolist()
    assert one.loss.labeller.flexible.reached.tolist() == [*reached, -1, -1]  # two images more
    assert "loss.labeller.flexible.reached" in one.state_dict()


def test_predictions_are_aligned_to_the_labelled_cases_of_each_combination():
    one = objective("fixmatch_two_heads", context(several=True), alignment={})
    assert one.loss.labeller.alignment.wanted.tolist() == pytest.approx([0.1, 0.4, 0.3, 0.2])
    one = objective("fixmatch", alignment={})
    assert one.loss.labeller.alignment.wanted.tolist() == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_the_weak_view_teaches_and_is_not_taught():
    given = context()
    experiment = Experiment(given.network, {"one": (1.0, objective("fixmatch", given))}, given.heads)
    views = {view: of for view, of in batches()["unlabelled"].items() if view in ("weak", "strong")}
    seen = {}
    forward = experiment.network.forward
    experiment.network.forward = lambda images: seen.setdefault(len(seen), forward(images))
    experiment({"unlabelled": views})
    assert [of.requires_grad for of in seen.values()] == [False, True]


# What a recipe may put together


@pytest.mark.parametrize("target", ["sum", "label", "predicted"])
def test_guidance_trains_beside_both_heads_of_several_labels(target):
    given = context(several=True)
    names = {
        "guidance": ("prior_guided_attribution", {"target": target, "allocation": "mean"}),
        "labels": ("multi_label_cross_entropy", {}),
        "combinations": ("two_head_cross_entropy", {}),
        "pseudo": ("fixmatch_two_heads", {"threshold": 0.2, "learner": "both"}),
        "similarity": ("metric", {}),
    }
    experiment = Experiment(
        given.network,
        {key: (1.0, objective(name, given, **settings)) for key, (name, settings) in names.items()},
        given.heads,
    )
    before = [each.detach().clone() for each in given.network.parameters()]
    outcome = experiment(batches(several=True))
    outcome.loss.backward()
    torch.optim.SGD(experiment.parameters(), lr=0.1).step()
    experiment.after_step()
    assert outcome.loss.isfinite()
    assert all(term.count > 0 for term in outcome.terms.values())
    assert any((one != other).any() for one, other in zip(before, given.network.parameters(), strict=True))


def test_what_is_attributed_where_an_image_may_show_several():
    of = heads(several=True, combinations=1, clusters=0, levels=("view",), dimension=2)
    outputs = torch.tensor([[2.0, -1, 0.5, 9, 9, 9], [-1, -2, -3, 9, 9, 9]])
    padded = [0.0, 0, 0]

    def weights(target, labels=None):
        return head_weights(outputs, target, of, labels).tolist()

    assert weights("sum") == [[1, 1, 1, *padded]] * 2
    assert weights("predicted") == [[1, 0, 1, *padded], [0, 0, 0, *padded]]
    assert weights("label", torch.tensor([[0, 1, 1], [-1, -1, -1]])) == [
        [0, 1, 1, *padded],
        [0, 0, 0, *padded],
    ]
    with pytest.raises(ValueError, match=r"which labels are shown, \(2, 3\), but got \(2,\)"):
        weights("label", torch.tensor([0, 1]))
    clusters = Heads(0, clusters=2)
    assert head_weights(torch.zeros(1, 2), "sum", clusters).tolist() == [[1, 1]]


# What is refused


@pytest.mark.parametrize(
    ("name", "several", "changes", "message"),
    [
        ("cross_entropy", True, {}, "data.several is true.*use multi_label_cross_entropy"),
        ("soft_labels", True, {}, "soft_labels learns one label a case.*use multi_label_cross_entropy"),
        ("hierarchical_cross_entropy", True, {}, "use multi_label_cross_entropy"),
        ("fixmatch", True, {}, "use fixmatch_one_head or fixmatch_two_heads"),
        ("fixmatch_one_head", False, {}, "each case is taken to show one; set `data.several: true`"),
        ("fixmatch_two_heads", False, {}, "set `data.several: true`"),
        ("multi_label_cross_entropy", False, {}, "set `data.several: true`"),
        ("two_head_cross_entropy", True, {"combinations": None}, "add `model.combinations: {least: 1}`"),
        ("fixmatch_two_heads", True, {"combinations": None}, "needs logits of the label combinations"),
        ("deep_clustering", False, {"heads": heads(clusters=0)}, r"set `model.clusters: \{count: comb"),
        (
            "deep_clustering",
            False,
            {"heads": heads(clusters=11)},
            "at most the 10 images.*'unlabelled'.*got 11",
        ),
        ("nt_xent", False, {"heads": heads(levels=(), dimension=0)}, "nt_xent needs an embedding"),
        ("supervised_contrastive", False, {"heads": heads(levels=(), dimension=0)}, "needs an embedding"),
    ],
)
def test_what_the_network_or_the_labels_do_not_have_is_refused(name, several, changes, message):
    with pytest.raises(RecipeError, match=message):
        objective(name, context(several, **changes))


def test_positives_are_not_attributed_where_nothing_is_embedded():
    clusters = heads(classes=0, levels=(), dimension=0, combinations=0)
    with pytest.raises(RecipeError, match="'positives' needs an embedding"):
        objective("prior_guided_attribution", context(heads=clusters), target="positives")
    with pytest.raises(RecipeError, match="the network names no class, must be one of sum, but got 'label'"):
        objective("prior_guided_attribution", context(heads=clusters), target="label")
