"""The whole of it in somebody's own loop: batches, a network, a hierarchy, guidance, and an embedding."""

import numpy as np
import torch
from torch import nn

from sonoprior.cases.loading.class_batches import class_batches
from sonoprior.models.heads import Heads
from sonoprior.objectives.base import averaged
from sonoprior.objectives.embedding_settings import (
    LanguageGuidanceSettings,
    OntologyLanguageGuidanceSettings,
    SemanticAbstractionSettings,
)
from sonoprior.objectives.metric_loss_settings import metric_loss_settings
from sonoprior.objectives.ontology_language_guidance import OntologyLanguageGuidance
from sonoprior.objectives.semantic_abstraction import SemanticAbstraction

METAS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])


def clouds(seed):
    """Twelve cases of each of eight classes, whose means are no nearer within a meta-class."""
    means = 3 * torch.randn(8, 10, generator=torch.Generator().manual_seed(9))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(8).repeat_interleave(12)
    return means[labels] + torch.randn(96, 10, generator=generator), labels


def neighbours(embeddings):
    return (embeddings @ embeddings.T).fill_diagonal_(-2).argmax(1)


def trained(alphas, weights):
    torch.manual_seed(0)
    images, view = clouds(0)
    labels = {"view": view, "meta": METAS[view]}
    heads = Heads(classes=0, levels=("view", "meta"), dimension=8, inference=("view",))
    abstraction = SemanticAbstraction(
        SemanticAbstractionSettings(alphas=alphas, loss=metric_loss_settings("triplet")),
        classes={"view": 8, "meta": 3},
        dimension=8,
    )
    cousins = (METAS[:, None] == METAS).float() * 0.8
    similarities = {"view": cousins.fill_diagonal_(1), "meta": torch.eye(3)}
    guidance = OntologyLanguageGuidance(
        OntologyLanguageGuidanceSettings(
            weights=weights, guidance=LanguageGuidanceSettings(temperature=0.2, same_class="keep")
        ),
        similarities,
    )
    network = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, heads.width))
    optimiser = torch.optim.Adam([*network.parameters(), *abstraction.parameters()], 0.01)
    for epoch in range(25):
        for batch in class_batches(view.numpy().astype(np.int64), 32, 4, seed=0, epoch=epoch):
            drawn = torch.from_numpy(batch)
            embeddings = heads.embeddings(network(images[drawn]))
            classes = {level: each[drawn] for level, each in labels.items()}
            loss = averaged(abstraction(embeddings, classes)) + averaged(guidance(embeddings, classes))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        return heads.compared(network(clouds(1)[0]))


def between_cousins(embeddings):
    """The mean cosine of cases of two classes, within a meta-class and across."""
    view = clouds(1)[1]
    cosines, cousins = embeddings @ embeddings.T, METAS[view][:, None] == METAS[view]
    other = view[:, None] != view
    return cosines[cousins & other].mean(), cosines[~cousins].mean()


def test_neighbours_are_right_and_guidance_brings_cousins_together():
    plain, guided = trained((1, 0), (0, 0)), trained((1, 0.5), (1, 0.5))
    view = clouds(1)[1]
    for embeddings in (plain, guided):
        assert (view[neighbours(embeddings)] == view).float().mean() > 0.9
    gaps = [within - across for within, across in map(between_cousins, (plain, guided))]
    assert gaps[1] > gaps[0] + 0.2
