"""Networks and clips that tests of several models share."""

import torch


def disturbed(model, seed=0, scale=0.1):
    """Give every weight and running statistic a value that a fresh network does not have, so that all of them count."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point() and name != "A" and not name.endswith(".A"):
                value.add_(scale * torch.randn(value.shape, generator=generator))
    return model.eval()


def clip(T, M, seed=0, V=20):
    return torch.randn((1, 3, T, V, M), generator=torch.Generator().manual_seed(seed))
