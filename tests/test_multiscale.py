"""The pieces of MS-G3D, each against the plain PyTorch that it stands for."""

import pytest
import torch

from lib.models import multiscale


@pytest.mark.parametrize(("T", "stride"), [(1, 1), (3, 1), (7, 2), (10, 2), (10, 1)])
def test_taps_are_frames_before_at_and_after(T, stride):
    x = torch.randn(2, T, 3, 8, dtype=torch.float64, requires_grad=True)
    taps = multiscale._Taps.apply(x, stride)
    for t in range(taps.shape[1]):
        for d, dilation in enumerate(multiscale.DILATIONS):
            for tap, frame in enumerate((t * stride - dilation, t * stride, t * stride + dilation)):
                expected = x[:, frame, :, 2 * d : 2 * d + 2] if 0 <= frame < T else torch.zeros(2, 3, 2).double()
                torch.testing.assert_close(taps[:, t, :, d, tap], expected)
    assert torch.autograd.gradcheck(lambda x: multiscale._Taps.apply(x, stride), (x,))
    assert torch.autograd.gradgradcheck(lambda x: multiscale._Taps.apply(x, stride), (x,))
