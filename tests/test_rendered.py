"""Stick figures, against an oracle that visits every pixel."""

import numpy as np
import oracles_rendered
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rendered_cases import ARM, clip

from lib import skeletons
from lib.models.figures import StickFigures
from lib.plots.view import bone_sides
from lib.skeletons import Skeleton


def by_oracle(x, length, present, skeleton, figures):
    frames = x[:, :length].permute(1, 3, 2, 0).numpy()  # (C, T, V, M) -> (T, M, V, C)
    sizes = {name: getattr(figures, name) for name in ("num_frames", "size", "thickness")}
    places = oracles_rendered.places(frames, present.numpy(), **sizes)
    return places, oracles_rendered.video(frames, present.numpy(), skeleton, **sizes)


@pytest.mark.parametrize(
    ("C", "T", "frames", "size", "thickness"),
    [(3, 5, 3, 24, 2.0), (2, 4, 7, 17, 1.0), (3, 1, 2, 9, 6.0), (3, 3, 1, 40, 0.3), (3, 2, 2, 12, 4.5)],
)
def test_every_pixel_is_the_oracles(rng, C, T, frames, size, thickness):
    x, lengths = clip(rng, 2, C, T, 4, 2), torch.tensor([T, max(1, T - 1)])
    present = torch.tensor([[True, True], [False, True]])
    figures = StickFigures(ARM, in_channels=C, num_frames=frames, size=size, thickness=thickness)
    video, places = figures(x, lengths, present), figures.places(x, lengths, present)
    assert video.shape == (2, 3, frames, size, size)
    for n in range(2):
        spots, drawn = by_oracle(x[n], lengths[n], present[n], ARM, figures)
        np.testing.assert_allclose(places[n], spots, atol=1e-10)
        np.testing.assert_allclose(video[n], drawn, atol=1e-7)  # square roots near 0 lose half the digits
    assert video.max() > 0.25


def test_float32_is_as_good_as_pixels_need(rng):
    x = clip(rng, 1, 3, 4, 25, 1)
    figures = StickFigures(skeletons.get("ntu25"), num_frames=2, size=64)
    torch.testing.assert_close(figures(x.float()).double(), figures(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", sorted(skeletons.LAYOUTS))
def test_sides_are_those_of_the_figures_on_pages(name):
    skeleton = skeletons.get(name)
    channels = {"left": 0, "right": 1, "center": 2}
    assert StickFigures(skeleton).sides.tolist() == [channels[side] for side in bone_sides(skeleton)]


def test_a_bone_lies_where_one_computes_it_by_hand():
    figures = StickFigures(Skeleton("bone", ("a", "b"), ((0, 1),), 0), num_frames=1, size=9, thickness=1.0)
    x = torch.zeros(1, 3, 1, 2, 1)
    x[0, 0, 0, 1] = 2.0  # to the sensor's left, which is the picture's left
    x[0, 1, 0, 1] = 0.0
    assert figures.places(x).flatten(0, 3).tolist() == [[7.0, 4.0], [1.0, 4.0]]
    expected = torch.zeros(9, 9)
    expected[4, 1:8] = 1.0
    assert torch.equal(figures(x)[0, :, 0], torch.stack([torch.zeros(9, 9), torch.zeros(9, 9), expected]))


def test_up_is_up_and_two_channels_are_drawn_as_they_are():
    x = torch.tensor([[0.0, 0.0], [1.0, 3.0]]).reshape(1, 2, 1, 2, 1).transpose(1, 3).reshape(1, 2, 1, 2, 1)
    figures = StickFigures(Skeleton("bone", ("a", "b"), ((0, 1),), 0), in_channels=2, num_frames=1, size=20)
    (start, end) = figures.places(x)[0, 0, 0]
    assert end[0] > start[0]
    assert end[1] < start[1]


@given(
    seed=st.integers(0, 2**32 - 1),
    T=st.integers(1, 6),
    M=st.integers(1, 3),
    padding=st.integers(0, 4),
    more=st.integers(0, 2),
    frames=st.integers(1, 5),
)
@settings(max_examples=25)
def test_padding_absent_persons_and_other_clips_change_nothing(seed, T, M, padding, more, frames):
    rng = np.random.default_rng(seed)
    figures = StickFigures(ARM, num_frames=frames, size=16)
    alone = clip(rng, 1, 3, T, 4, M, dtype=torch.float32)
    batch = 1e3 * clip(rng, 2, 3, T + padding, 4, M + more, dtype=torch.float32)  # whatever stands there
    batch[0, :, :T, :, :M] = alone[0]
    batch[0, :, T:] = torch.nan
    lengths, present = torch.tensor([T, T + padding]), torch.ones(2, M + more, dtype=torch.bool)
    present[0, M:] = False
    assert torch.equal(figures(batch, lengths, present)[0], figures(alone)[0])
    places = figures.places(batch, lengths, present)
    assert torch.equal(places[0, :, :M], figures.places(alone)[0])
    assert places[0, :, M:].isnan().all()


@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.0, 1e-38, 1e-20, 1e-3, 1.0, 1e6, 1e30]),
    C=st.sampled_from([2, 3]),
)
@settings(max_examples=25)
def test_the_whole_movement_fits_at_one_scale(seed, scale, C):
    x = scale * clip(np.random.default_rng(seed), 1, C, 3, 4, 1, dtype=torch.float32)
    figures = StickFigures(ARM, in_channels=C, num_frames=3, size=21, thickness=3.0)
    places, video = figures.places(x), figures(x)
    assert places.min() > 2 - 1e-4  # a border of half a bone and half a pixel
    assert places.max() < 18 + 1e-4
    assert torch.isfinite(video).all()
    assert 0 <= video.min() < video.max() <= 1
    if scale > 1e-30:
        spread = places.amax(dim=(0, 1, 2, 3)) - places.amin(dim=(0, 1, 2, 3))
        own = x.amax(dim=(0, 2, 3, 4)) - x.amin(dim=(0, 2, 3, 4))
        torch.testing.assert_close(spread / spread.max(), own[:2] / own[:2].max(), atol=1e-4, rtol=0)
        torch.testing.assert_close(spread.max(), torch.tensor(16.0), atol=1e-3, rtol=0)


def test_moving_and_scaling_a_clip_changes_no_picture(rng):
    x = clip(rng, 1, 3, 3, 4, 1)
    figures = StickFigures(ARM, num_frames=4, size=32)
    moved = 3 * x + torch.tensor([1.0, -2.0, 5.0], dtype=x.dtype).reshape(3, 1, 1, 1)
    torch.testing.assert_close(figures(moved), figures(x), atol=1e-6, rtol=0)


def test_speeds_are_pixels_per_frame(rng):
    figures = StickFigures(ARM, num_frames=4, size=32)
    places = torch.zeros(1, 4, 2, 4, 2)
    places[0, :, 0, 1, 0] = torch.tensor([0.0, 3.0, 3.0, 7.0])  # joint 1 of the first person, to the right
    places[0, :, 1] = torch.nan
    ends = torch.tensor([3.0, 1.5, 2.0, 4.0])
    speeds = figures.speeds(places)
    assert torch.equal(speeds[0, :, 0], torch.stack([ends / 2, 0 * ends, 0 * ends, ends / 2], dim=1))
    assert torch.equal(speeds[0, :, 1], torch.zeros(4, 4))
    assert torch.equal(StickFigures(ARM, num_frames=1).speeds(places[:, :1]), torch.zeros(1, 1, 2, 4))


def test_a_mask_is_every_pixel_within_reach_of_its_bones(rng):
    x, present = clip(rng, 1, 3, 3, 4, 2), torch.tensor([[True, False]])
    figures = StickFigures(ARM, num_frames=2, size=20)
    places = figures.places(x, present=present)
    assert torch.equal(figures.masks(places), (figures(x, present=present) > 0).any(dim=1))
    chosen = torch.tensor([False, True, False, False])
    mask = figures.masks(places, chosen, reach=1.5)
    for f in range(2):
        distance = oracles_rendered.nearest(places[0, f, 0].numpy(), [ARM.edges[1]], 20)
        np.testing.assert_array_equal(mask[0, f], distance < 1 + 0.5 + 1.5)
    assert not figures.masks(places, torch.zeros(4, dtype=torch.bool)).any()


def test_inputs_and_their_slopes_are_left_alone(rng):
    x = clip(rng, 1, 3, 3, 4, 1).requires_grad_()
    before = x.detach().clone()
    assert not StickFigures(ARM)(x).requires_grad
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(1, 2, 3, 4, 1)}, r"x has shape \(1, 2, 3, 4, 1\), needed \(N, C=3, T >= 1, V=4, M >= 1\)"),
        ({"x": torch.zeros(1, 3, 3, 5, 1)}, "needed .* V=4"),
        ({"x": torch.zeros(1, 3, 0, 4, 1)}, "T >= 1"),
        (
            {"x": torch.full((1, 3, 3, 4, 1), torch.nan)},
            r"clips \[0\] of the batch hold coordinates that are not finite",
        ),
        ({"x": torch.tensor([3e38, -3e38, 0, 0]).expand(1, 3, 3, 4)[..., None]}, "not finite, or too far apart"),
        ({"lengths": torch.tensor([4])}, r"lengths=\[4\] of clips of 3 frames; needed 1..3"),
        ({"lengths": torch.tensor([0])}, "needed 1..3"),
        ({"lengths": torch.tensor([1, 1])}, r"lengths \(2,\), present \(1, 1\); needed \(1,\) and \(1, 1\)"),
        ({"present": torch.tensor([[False]])}, r"clips \[0\] of the batch have no present person"),
    ],
)
def test_a_clip_that_cannot_be_drawn_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        StickFigures(ARM)(**{"x": torch.zeros(1, 3, 3, 4, 1)} | change)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 4}, "in_channels=4; .* needed 2 or 3"),
        ({"num_frames": 0}, "num_frames=0, needed at least 1"),
        ({"size": 4, "thickness": 2.0}, "size=4, thickness=2.0; needed a thickness above 0 and at most size - 3"),
        ({"thickness": 0.0}, "thickness=0.0"),
        ({"skeleton": Skeleton("dot", ("a",), (), 0)}, "skeleton 'dot' has no bones"),
    ],
)
def test_figures_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        StickFigures(**{"skeleton": ARM} | options)
