import numpy as np
import pytest
import torch

from sonoprior.training.schedule import PolynomialDecay


@pytest.mark.parametrize("power", [0.0, 0.9, 2.0])
def test_as_torch_schedules_it(power):
    steps = 12
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=0.3)
    theirs = torch.optim.lr_scheduler.PolynomialLR(optimiser, total_iters=steps, power=power)
    ours = PolynomialDecay(0.3, steps, power)
    for step in range(steps):
        assert np.isclose(ours.rate(step), optimiser.param_groups[0]["lr"])
        optimiser.step()
        theirs.step()
