import pytest
import torch

from lib.models import layers
from lib.models.convolution import convolve


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize(("kernel", "stride", "padding"), [((1, 1), (1, 1), (0, 0)), ((3, 1), (2, 1), (1, 0))])
def test_both_derivatives_are_exact(kernel, stride, padding):
    arguments = draw(2, 3, 5, 4), draw(4, 3, *kernel, seed=1), draw(4, seed=2)

    def convolved(x, weight, bias):
        return convolve(x, weight, bias, stride, padding)

    expected = torch.nn.functional.conv2d(*arguments, stride, padding)
    torch.testing.assert_close(convolved(*arguments), expected)
    assert torch.autograd.gradcheck(convolved, arguments)
    assert torch.autograd.gradgradcheck(convolved, arguments)


def test_slopes_of_features_leave_weights_out():
    x, weight, bias = draw(1, 2, 3, 1), draw(2, 2, 1, 1, seed=1), draw(2, seed=2)
    score = convolve(x, weight, bias).square().sum()
    expected = torch.autograd.grad(score, x, retain_graph=True)[0]
    with layers.features_explained():
        torch.testing.assert_close(torch.autograd.grad(score, x, retain_graph=True)[0], expected)
        found = torch.autograd.grad(score, (x, weight, bias), allow_unused=True)
    assert found[1] is None
    assert found[2] is None


def test_autocast_convolves_in_its_own_precision():
    x, weight = draw(1, 2, 3, 1, dtype=torch.float32), draw(2, 2, 1, 1, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = convolve(x, weight)
    assert found.dtype == torch.bfloat16
    found.float().sum().backward()
    assert x.grad.dtype == weight.grad.dtype == torch.float32
