"""The networks that one recipe stands for in a comparison: the ablation of STF, and ST-GCN trained alike."""

from dataclasses import replace

from lib.focus import TERMS
from lib.recipes._recipe import Recipe

FOCUS_STEPS = {
    "msg3d": (),
    "modules": (),
    "exploration": ("exploration",),
    "divergence": ("exploration", "divergence"),
    "adjacency": ("exploration", "divergence", "adjacency"),
    "stf": TERMS,
}
"""STF's ablation: MS-G3D, its modules without a term, then one more term at a time in the paper's order."""


SMOOTH = "stgcn_smooth"  # ST-GCN with label smoothness of the batch's graph beside its loss
STEPS = ("stgcn", SMOOTH, *FOCUS_STEPS)


def focus_step(recipe: Recipe, step: str) -> Recipe:
    """Recipe for one of `STEPS`: of the ablation, or ST-GCN trained alike, without or with label smoothness."""
    if step not in STEPS:
        raise ValueError(f"no step {step!r}; choose one of {list(STEPS)}")
    kept = FOCUS_STEPS.get(step, ())
    losses = replace(recipe.train.focus, **{name: 0.0 for name in TERMS if name not in kept})
    model = {"stgcn": "stgcn", SMOOTH: "stgcn", "msg3d": "msg3d"}.get(step, "stf")
    smoothness = recipe.train.smoothness if step == SMOOTH else 0.0
    return replace(recipe, model=model, train=replace(recipe.train, focus=losses, smoothness=smoothness))


def parse_steps(text: str) -> list[str]:
    """Networks of the ablation from text like ``"msg3d stf"``, each once, in that order."""
    names = text.replace(",", " ").split()
    if not names or len(set(names)) < len(names) or not set(names) <= set(STEPS):
        raise ValueError(f"steps={text!r}; needed names from {list(STEPS)}, each once")
    return names
