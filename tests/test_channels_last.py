"""What both networks compute with channels last, each piece against the plain PyTorch that it stands for."""

import pytest
import torch

from lib.models import channels_last, layers


def test_normalisation_in_training_is_pytorchs_but_accurate():
    x = torch.randn(40, 30, 25, 4, generator=torch.Generator().manual_seed(0)).relu() + 0.3
    ours, exact = layers.MaskedBatchNorm(4), torch.nn.BatchNorm2d(4).double()
    found, expected = channels_last.normalise(ours, x, None), exact(x.double().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-6)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(ours, name), getattr(exact, name).to(getattr(ours, name).dtype))


@pytest.mark.parametrize("lengths", [None, (3, 1)])
def test_slopes_of_normalisation_are_exact_twice(lengths):
    mask = None if lengths is None else (torch.arange(3) < torch.tensor(lengths)[:, None]).double()[:, :, None, None]
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
        for shape in ((2, 3, 2, 3), (3,), (3,))
    ]

    def normalised(x, weight, bias):
        return channels_last._TrainingNorm.apply(x, mask, weight, bias, 1e-5)[0]

    assert torch.autograd.gradcheck(normalised, inputs)
    assert torch.autograd.gradgradcheck(normalised, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_held_statistics_give_the_slopes_of_evaluation(dtype):
    norm = layers.MaskedBatchNorm(4)
    x = torch.randn(5, 6, 3, 4, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    head = torch.randn(4, generator=torch.Generator().manual_seed(1))

    def slope(y):
        return torch.autograd.grad((y.float().tanh() * head).sum(), x, create_graph=True)[0]

    trained = channels_last.normalise(norm, x, None)
    moving = slope(trained)
    with layers.features_explained():
        held = slope(trained)
    with torch.no_grad():
        norm.running_mean.copy_(x.float().mean(dim=(0, 1, 2)))
        norm.running_var.copy_(x.float().var(dim=(0, 1, 2), unbiased=False))
    expected = slope(channels_last.normalise(norm.eval(), x, None))
    rounding = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(held, expected, rtol=rounding, atol=rounding)
    means = [found.float().mean(dim=(0, 1, 2)).abs().max() for found in (moving, held)]
    assert means[0] < 1e-2 < means[1]  # left to themselves, slopes of all clips add up to nothing
    assert held.square().sum().requires_grad  # they can be differentiated again


@pytest.mark.parametrize(("P", "T"), [(1, 3), (4, 9)])  # fewer and more frames than oneDNN needs
def test_wide_channels_are_mixed_as_by_a_linear_layer(P, T):
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(shape, generator=generator) for shape in ((P, T, 20, 96), (72, 96), (72,)))
    x = x.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)  # any strides will do
    arguments = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    found, expected = channels_last.pointwise(*arguments), torch.nn.functional.linear(*arguments)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    slope = torch.randn(expected.shape, generator=generator)
    for a, b in zip(*(torch.autograd.grad(y, arguments, slope) for y in (found, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)  # sums of up to 720 products
