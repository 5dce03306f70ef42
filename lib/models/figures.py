"""Skeleton clips drawn as small videos.

The body's place is known in every frame, so that a map over pixels can be scored by how much of it lies on the body, or
on the part that moves.
"""

import torch
from torch import nn

from lib.skeletons import Skeleton

SIDES = ("left", "right", "center")  # the three channels
PIECE = 8.0  # pixels, longest piece of a bone that is painted at once
MOST_PIXELS = 2**18  # painted at once; a few arrays of this size fit into a processor's cache


class StickFigures(nn.Module):
    """Draw skeleton clips (N, C, T, V, M) as videos (N, 3, num_frames, size, size) with values from 0 to 1.

    The picture is an orthographic view along z, as `lib.plots.view` has it by default: of C = 3 channels in the
    Kinect's axes (x to the sensor's left) the picture's right is -x, C = 2 channels are drawn as they are; y is up.

    The frame is chosen for each clip: the smallest upright box around all joints of all present persons in all true
    frames comes to the middle of the picture, and one scale for x and y lets the box's longer side fill the picture up
    to a border of half a bone and a pixel, so that no bone is cut. Padding, absent persons and other clips have no part
    in it.

    Channels are the left limbs, the right limbs and the middle of the body, bones from one side to the other included.
    A pixel is as bright as a bone of its channel is near: 1 while its centre is within half a `thickness` less half a
    pixel, then falling to 0 over one pixel. The brightest bone counts.

    Parameters
    ----------
    skeleton
        Joints, bones and their sides.
    in_channels
        C of the clips, 3 or 2.
    num_frames
        Frames of a video: true frames of a clip are resampled linearly, first and last kept. One frame is the first.
    size
        Height and width in pixels.
    thickness
        Of a bone, in pixels.

    Notes
    -----
    Slopes end here: pixels carry none back to coordinates.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        *,
        in_channels: int = 3,
        num_frames: int = 16,
        size: int = 64,
        thickness: float = 2.0,
    ):
        super().__init__()
        if in_channels not in (2, 3):
            raise ValueError(f"in_channels={in_channels}; figures are drawn from x, y or x, y, z: needed 2 or 3")
        if num_frames < 1:
            raise ValueError(f"num_frames={num_frames}, needed at least 1")
        if not 0 < thickness <= size - 3:
            raise ValueError(f"size={size}, thickness={thickness}; needed a thickness above 0 and at most size - 3")
        if not skeleton.edges:
            raise ValueError(f"skeleton {skeleton.name!r} has no bones to draw")
        self.in_channels, self.num_joints = in_channels, len(skeleton)
        self.num_frames, self.size, self.thickness = num_frames, size, thickness
        self.register_buffer("bones", torch.tensor(skeleton.edges), persistent=False)  # (B, 2) joints
        self.register_buffer("sides", torch.tensor(_channels(skeleton)), persistent=False)  # (B,)

    def extra_repr(self) -> str:
        """Name what the weights do not tell; checkpoints compare it."""
        text = f"in_channels={self.in_channels}, num_frames={self.num_frames}, size={self.size}"
        drawn = zip(self.bones.tolist(), self.sides.tolist(), strict=True)
        return f"{text}, thickness={self.thickness}, bones=" + " ".join(f"{a}-{b}:{SIDES[s]}" for (a, b), s in drawn)

    @torch.no_grad()
    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Videos (N, 3, num_frames, size, size) of clips x (N, C, T, V, M), true lengths (N,), persons (N, M)."""
        places = self.places(x, lengths, present)
        n, f, m, b = self._drawn(places).nonzero().unbind(1)
        video = places.new_zeros(len(places), len(SIDES), self.num_frames, self.size, self.size)
        picture = (n * len(SIDES) + self.sides[b]) * self.num_frames + f
        _paint(video, picture, self._ends(places, n, f, m, b), self.thickness / 2)
        return video

    @torch.no_grad()
    def places(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Where joints are in the videos of `forward`: (N, num_frames, M, V, 2), column and row in pixels.

        Whole numbers are centres of pixels: (0, 0) is that of the upper left one. Absent persons are NaN.

        Raises
        ------
        ValueError
            A shape is another one, a clip has no present person, a length is not within the clip, or a coordinate that
            counts is not finite.
        """
        x, lengths, present = self._checked(x, lengths, present)
        N, C, T = x.shape[:3]
        flip = x.new_tensor([-1.0 if C == 3 else 1.0, -1.0])
        points = x[:, :2].permute(0, 2, 4, 3, 1) * flip  # (N, T, M, V, 2), to the right and down
        counts = (torch.arange(T, device=x.device) < lengths[:, None])[:, :, None] & present[:, None]  # (N, T, M)
        counts = counts[..., None, None]
        low = torch.where(counts, points, torch.inf).amin(dim=(1, 2, 3))  # (N, 2)
        span = torch.where(counts, points, -torch.inf).amax(dim=(1, 2, 3)) - low
        if not bool(span.isfinite().all()):
            clips = (~span.isfinite().all(dim=1)).nonzero().flatten().tolist()
            raise ValueError(f"clips {clips} of the batch hold coordinates that are not finite, or too far apart")
        room = self.size - 2 - self.thickness  # between the centres of the outermost pixels, less the border
        scale = room / span.amax(dim=1).clamp(min=1e-30)  # a clip that is one point has no extent: any scale will do

        at = torch.linspace(0, 1, self.num_frames, dtype=x.dtype, device=x.device) * (lengths[:, None] - 1)
        before = at.long().clamp(max=(lengths[:, None] - 2).clamp(min=0))
        after = torch.minimum(before + 1, lengths[:, None] - 1)
        weight = (at - before)[:, :, None, None, None]
        clip = torch.arange(N, device=x.device)[:, None]
        points = points - (low + span / 2)[:, None, None, None]
        points = points[clip, before] * (1 - weight) + points[clip, after] * weight  # (N, F, M, V, 2)
        places = points * scale[:, None, None, None, None] + (self.size - 1) / 2
        return torch.where(present[:, None, :, None, None], places, torch.nan)

    def speeds(self, places: torch.Tensor) -> torch.Tensor:
        """How fast bones move: (N, F, M, B) pixels per frame of the video, from `places` (N, F, M, V, 2).

        The mean of a bone's two ends; of an end, the mean of the steps from the frame before and to the frame after, at
        the video's ends the only one. 0 for absent persons and in a video of one frame.
        """
        if places.shape[1] == 1:
            joints = places.new_zeros(places.shape[:-1])
        else:
            steps = places.diff(dim=1).norm(dim=-1)  # (N, F - 1, M, V)
            joints = (torch.cat([steps[:, :1], steps], dim=1) + torch.cat([steps, steps[:, -1:]], dim=1)) / 2
        return joints[..., self.bones].mean(dim=-1).nan_to_num(0.0)

    def masks(self, places: torch.Tensor, chosen: torch.Tensor | None = None, *, reach: float = 0.0) -> torch.Tensor:
        """Pixels of chosen bones: (N, F, size, size) bool.

        Parameters
        ----------
        places
            (N, F, M, V, 2), as `places` gives them.
        chosen
            Bool that broadcasts to (N, F, M, B), all bones by default. The part that moves, for example, is
            ``speeds > 0.5 * speeds.amax(dim=(2, 3), keepdim=True)`` with ``speeds = figures.speeds(places)``, and
            bones at some joints are ``joints[..., figures.bones].any(dim=-1)`` with `joints` (N, F, M, V) bool.
        reach
            Pixels, by which the mask goes beyond the drawn bones; 0 for every pixel that is drawn in part.
        """
        N, F = places.shape[:2]
        drawn = self._drawn(places) if chosen is None else self._drawn(places) & chosen
        n, f, m, b = drawn.nonzero().unbind(1)
        video = places.new_zeros(N, F, self.size, self.size)
        _paint(video, n * F + f, self._ends(places, n, f, m, b), self.thickness / 2 + reach)
        return video > 0

    def _drawn(self, places: torch.Tensor) -> torch.Tensor:
        """Bones of present persons: (N, F, M, B) bool."""
        return places[..., self.bones, 0].isfinite().all(dim=-1)

    def _ends(
        self, places: torch.Tensor, n: torch.Tensor, f: torch.Tensor, m: torch.Tensor, b: torch.Tensor
    ) -> torch.Tensor:
        """(S, end, 2) places of the two ends of bones b (S,) of persons m in frames f of clips n."""
        return places[n[:, None], f[:, None], m[:, None], self.bones[b]]

    def _checked(
        self, x: torch.Tensor, lengths: torch.Tensor | None, present: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return x as float32 or float64, lengths and persons, all of them when not given."""
        if x.ndim != 5 or x.shape[1] != self.in_channels or x.shape[3] != self.num_joints or 0 in x.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, needed (N, C={self.in_channels}, T >= 1, V={self.num_joints}, M >= 1)"
            )
        N, _, T, _, M = x.shape
        lengths = torch.full((N,), T, device=x.device) if lengths is None else lengths
        present = x.new_ones(N, M, dtype=torch.bool) if present is None else present
        if lengths.shape != (N,) or present.shape != (N, M):
            raise ValueError(
                f"lengths {tuple(lengths.shape)}, present {tuple(present.shape)}; needed {(N,)} and {(N, M)}"
            )
        if not bool(((lengths >= 1) & (lengths <= T)).all()):
            raise ValueError(f"lengths={lengths.tolist()} of clips of {T} frames; needed 1..{T}")
        if not bool(present.any(dim=1).all()):
            empty = (~present.any(dim=1)).nonzero().flatten().tolist()
            raise ValueError(f"clips {empty} of the batch have no present person; leave them out")
        return x if x.dtype == torch.float64 else x.float(), lengths, present


def _channels(skeleton: Skeleton) -> list[int]:
    """Channel of each bone, of its joints' side as in `lib.plots.view.bone_sides`, which a network must not import."""
    side_of = {v: side for pair in skeleton.left_right for side, v in enumerate(pair)}
    found = [{side_of[v] for v in edge if v in side_of} for edge in skeleton.edges]
    return [sides.pop() if len(sides) == 1 else SIDES.index("center") for sides in found]


def _paint(video: torch.Tensor, picture: torch.Tensor, ends: torch.Tensor, radius: float) -> None:
    """Brighten, in place, the pixels near segments.

    Parameters
    ----------
    video
        (..., size, size), contiguous.
    picture
        (S,) which of the pictures, counted through, each segment is painted on.
    ends
        (S, 2, 2) column and row of the segments' two ends in pixels, inside the picture.
    radius
        Pixels from a segment to where a pixel is half as bright.

    Notes
    -----
    Segments are cut into pieces no longer than `PIECE`, and only the pixels of a small square around each piece are
    visited. Most pixels of a picture are far from every bone: for 64 pixels a twentieth of all pairs is left.
    """
    size, reach = video.shape[-1], radius + 0.5
    side = min(size, int(PIECE + 2 * reach) + 1)  # whole numbers that an interval of this length holds at most
    start, end = ends.unbind(1)
    span = end - start
    pieces = (span.norm(dim=1) / PIECE).ceil().long().clamp(min=1)
    of = torch.repeat_interleave(pieces)  # (P,) the segment that a piece is of
    turn = torch.arange(len(of), device=of.device) - (pieces.cumsum(0) - pieces)[of]
    span = (span / pieces[:, None])[of]
    middle = start[of] + (turn + 0.5)[:, None] * span
    half = span.norm(dim=1, keepdim=True) / 2
    # a piece that is one point has no direction: any will do
    along = torch.where(half > 1e-6, span / (2 * half), span.new_tensor([1.0, 0.0]))
    corner = (middle - span.abs() / 2 - reach).ceil().long().clamp(0, size - side)
    first = picture[of] * size**2 + corner[:, 1] * size + corner[:, 0]
    steps = torch.arange(side, device=of.device)
    square = (steps[:, None] * size + steps).flatten()
    flat = video.view(-1)
    for part in torch.arange(len(of), device=of.device).split(max(1, MOST_PIXELS // side**2)):
        x, y = (corner[part, :, None] + steps - middle[part, :, None]).unbind(1)  # (P, side) each
        u, v = along[part, :, None].unbind(1)  # (P, 1) each
        past = (x * u)[:, None] + (y * v)[:, :, None]  # (P, row, column), along the piece from its middle
        past = past.abs_().sub_(half[part, :, None]).clamp_(min=0)
        beside = (y * u)[:, :, None] - (x * v)[:, None]
        distance = past.square_().add_(beside.square_()).sqrt_()
        light = distance.neg_().add_(reach).clamp_(0, 1)
        flat.scatter_reduce_(0, (first[part, None] + square).flatten(), light.flatten(), "amax")
