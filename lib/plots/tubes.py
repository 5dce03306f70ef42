"""Videos with what a network saw in them: a strip of frames, and a film."""

import base64
import io
from collections.abc import Mapping
from html import escape

import matplotlib as mpl
import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from PIL import Image

from lib.plots.film import Animation, animation, player
from lib.plots.style import new_axes, styled

HEAT = "magma"
_COLOURS = 64  # of a film's palette: it lies in a page as text


@styled
def tube_strip(
    frames: Num[np.ndarray, "_ _ _ _"],
    heat: Num[np.ndarray, "_ _ _"],
    *,
    num_shown: int = 6,
    fps: float | int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw frames of a video side by side under the map of what matters in them.

    Parameters
    ----------
    frames
        (T, H, W, 3), from 0 to 1.
    heat
        (T, H, W), not negative; shown as a share of its largest value, where 0 leaves the frame as it is.
    num_shown
        Frames drawn, evenly over the video.
    fps
        Frames per second, for times below the frames; their numbers when None.
    """
    shown = overlay(frames, heat)
    picked = np.unique(np.linspace(0, len(shown) - 1, min(num_shown, len(shown))).round().astype(int))
    _, height, width, _ = shown.shape
    ax = new_axes(ax, (1.25 * len(picked), 1.25 * height / width + 0.7))
    ax.imshow(np.concatenate(list(shown[picked]), axis=1), interpolation="nearest")
    times = [f"{index / fps:.2f}" for index in picked] if fps else [str(index) for index in picked]
    ax.set_xticks(width * (np.arange(len(picked)) + 0.5), times)
    ax.set(xlabel="time (s)" if fps else "frame", yticks=[])
    ax.grid(visible=False)
    bar = ax.figure.colorbar(mpl.cm.ScalarMappable(cmap=HEAT), ax=ax, pad=0.01, shrink=0.9)
    bar.set_label("share of the largest")
    return ax


def tube_animation(
    frames: Num[np.ndarray, "_ _ _ _"],
    heats: Mapping[str, Num[np.ndarray, "_ _ _"]],
    fps: float | int,
    *,
    width: int = 200,
) -> Animation:
    """Play a video once for each map, side by side; `heats` names them, and `width` is a window's, in pixels."""
    if not heats or not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"{len(heats)} maps, fps={fps}; needed at least one map and a positive fps")
    players = []
    for title, heat in heats.items():
        shown = overlay(frames, heat)
        count, tall, wide, _ = shown.shape
        strip = Image.fromarray((255 * np.concatenate(list(shown), axis=1)).round().astype(np.uint8))
        packed = io.BytesIO()
        strip.quantize(_COLOURS).save(packed, "png", optimize=True)
        text = base64.b64encode(packed.getvalue()).decode("ascii")
        image = f'<image width="{count * wide}" height="{tall}" style="image-rendering:pixelated" '
        players.append(
            player(
                f'{image}href="data:image/png;base64,{text}"/>',
                (wide, tall),
                count,
                count / fps,
                title=escape(title),
                label=f"{title}: video with its map",
                widest=width,
            )
        )
    return animation(players, len(frames))


def overlay(frames: Num[np.ndarray, "_ _ _ _"], heat: Num[np.ndarray, "_ _ _"]) -> Num[np.ndarray, "_ _ _ 3"]:
    """Mix frames with the colours of a map, the more the larger its values.

    Raises
    ------
    ValueError
        Shapes that differ, values that are not finite, or negative heat.
    """
    frames, heat = np.asarray(frames, float), np.asarray(heat, float)
    if frames.ndim != 4 or frames.shape[3] != 3 or heat.shape != frames.shape[:3]:
        raise ValueError(f"frames {frames.shape}, heat {heat.shape}; needed (T, H, W, 3) and (T, H, W)")
    if not np.isfinite(heat).all() or heat.min(initial=0.0) < 0:
        raise ValueError(f"heat: {heat.min():.3g} to {heat.max():.3g}; needed finite values of at least 0")
    share = heat / (heat.max(initial=0.0) or 1.0)
    colours = mpl.colormaps[HEAT](share)[..., :3]
    return frames * (1 - share[..., None]) + colours * share[..., None]
