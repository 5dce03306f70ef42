"""What both networks compute with channels last, each piece against the plain PyTorch that it stands for."""

import pytest
import torch

from lib.models import channels_last, layers


def test_normalisation_in_training_is_pytorchs_but_accurate():
    x = torch.randn(40, 30, 25, 4, generator=torch.Generator().manual_seed(0)).relu() + 0.3
    ours, exact = channels_last.MaskedBatchNorm(4), torch.nn.BatchNorm2d(4).double()
    found, expected = ours(x), exact(x.double().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-6)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(ours, name), getattr(exact, name).to(getattr(ours, name).dtype))


def test_masked_norm_trains_on_true_frames_only():
    x = torch.randn(3, 10, 5, 4, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([10, 4, 7])
    norm, plain = channels_last.MaskedBatchNorm(4), torch.nn.BatchNorm2d(4)
    true = torch.cat([x[n, :length] for n, length in enumerate(lengths)])  # (frames, V, C)
    expected = plain(true.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    y = norm(x, layers.frame_mask(lengths, 10))
    torch.testing.assert_close(torch.cat([y[n, :length] for n, length in enumerate(lengths)]), expected)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(norm, name), getattr(plain, name))


def test_one_frame_of_one_joint_can_be_normalised():
    norm = channels_last.MaskedBatchNorm(3)
    torch.testing.assert_close(norm(torch.ones(1, 1, 1, 3)), torch.zeros(1, 1, 1, 3))
    assert bool(norm.running_var.isfinite().all())


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
    norm = channels_last.MaskedBatchNorm(4)
    x = torch.randn(5, 6, 3, 4, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    head = torch.randn(4, generator=torch.Generator().manual_seed(1))

    def slope(y):
        return torch.autograd.grad((y.float().tanh() * head).sum(), x, create_graph=True)[0]

    trained = norm(x)
    moving = slope(trained)
    with layers.features_explained():
        held = slope(trained)
    with torch.no_grad():
        norm.running_mean.copy_(x.float().mean(dim=(0, 1, 2)))
        norm.running_var.copy_(x.float().var(dim=(0, 1, 2), unbiased=False))
    expected = slope(norm.eval()(x))
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
