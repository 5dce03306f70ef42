"""Any clip with what a layer, or another method, calls important."""

from collections.abc import Callable
from html import escape

import ipywidgets as widgets
import numpy as np
import torch
from torch import nn

from lib import attribution, plots
from lib.clips import ClipSet
from lib.gradcam import gradcam, upsample_time
from lib.models.layers import evaluation_mode
from lib.widgets._canvas import Canvas, body, empty
from lib.widgets._controls import WIDE, ClipChooser, frame_rate, need_clips, watch


def explore_gradcam(model: nn.Module, clips: ClipSet) -> widgets.VBox:
    """Choose a clip, a layer or another method, and a class; see the joints at every frame.

    `clips` are prepared as the network expects them. A method is computed when it is first asked for.
    """
    need_clips(clips)
    chooser = ClipChooser(clips)
    others: dict[str, Callable] = {
        "integrated gradients": lambda batch, target: attribution.integrated_gradients(model, batch, target),
        "occlusion": lambda batch, target: attribution.occlusion(model, batch, target),
        "motion energy": lambda batch, target: attribution.motion_energy(batch),
    }
    names = [(f"GradCAM, {layer}", layer) for layer in model.layer_names] + [(name, name) for name in others]
    method = widgets.Dropdown(options=names, value=model.layer_names[-1], description="method", layout=WIDE)
    classes = [("predicted", -1), *((name, index) for index, name in enumerate(clips.class_names))]
    target = widgets.Dropdown(options=classes, value=-1, description="class", layout=WIDE)
    said, canvas = widgets.HTML(), Canvas((8.6, 4.2))
    known: dict[tuple, np.ndarray] = {}

    def scores(place):
        if ("scores", place) not in known:
            batch = clips.batch([place])
            with torch.inference_mode(), evaluation_mode(model):
                known["scores", place] = model(batch.x, batch.lengths, batch.present).float().softmax(dim=1)[0].numpy()
        return known["scores", place]

    def importance(place, index, name):
        if (place, index, name) not in known:
            batch, wanted = clips.batch([place]), torch.tensor([index])
            if name in others:
                known[place, index, name] = others[name](batch, wanted)[0]
            else:
                for layer, part in gradcam(model, batch, target=wanted).items():
                    full = upsample_time(part, model.layer_strides[layer], batch.lengths.numpy())
                    known[place, index, layer] = full[0]
        return known[place, index, name]  # (M, T, V)

    def prepare(place, index, name):
        clip = clips[place]
        found = importance(place, index, name)[: clip.x.shape[1], : clip.length]
        largest = float(np.abs(found).max()) or 1.0
        left, right = canvas.figure.subplots(1, 2, width_ratios=[1, 1.5])
        empty(left, clip)
        title = f"{dict(map(reversed, names))[name]}, for {clips.class_names[index]}"
        plots.joints_over_time(
            {title: found[_chief(found)]}, clip.skeleton.joints, fps=frame_rate(clip), largest=largest, axes=right
        )

    def draw(_=None):
        clip, place, frame = chooser.clip, chooser.place.value, chooser.frame.value
        share = scores(place)
        best = int(share.argmax())
        index = best if target.value < 0 else target.value
        said.value = (
            f"network: <b>{escape(clips.class_names[best])}</b> ({share[best]:.0%}), "
            f"true: <b>{escape(clips.class_names[clip.label])}</b> ({share[clip.label]:.0%})"
        )
        canvas.prepare(prepare, place, index, method.value)
        left, right = canvas.figure.axes[:2]  # the third is the scale of colours
        found = importance(place, index, method.value)[: clip.x.shape[1], : clip.length]
        largest = float(np.abs(found).max()) or 1.0
        # The scale of the map beside it: with that of one frame, colours would change their meaning while it plays.
        scale = {"largest": largest, "signed": bool((found[_chief(found)] < 0).any()), "colorbar": False}
        now = right.axvline((frame + 0.5) / (frame_rate(clip) or 1), color="black", lw=1.2, ls=(0, (3, 2)))
        canvas.show([*body(left, clip, frame, importance=found[:, frame], **scale), now])

    watch(draw, chooser.frame, chooser.place, method, target)
    draw()
    return widgets.VBox([*chooser.controls, method, target, said, canvas.image])


def _chief(importance: np.ndarray) -> int:
    """Person (of M, T, V) on whom most of the importance lies."""
    return int(np.abs(importance).sum(axis=(1, 2)).argmax())
