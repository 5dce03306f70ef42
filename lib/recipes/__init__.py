"""How each dataset is prepared and trained on: what both the training page and the pages that need a network use."""

from lib.recipes._chosen import FOCUS_RECIPES, RECIPES, TRANSFER_RECIPES, VIDEO_RECIPES, get
from lib.recipes._recipe import Recipe
from lib.recipes._rows import curves, described, over_epochs, unchanged
from lib.recipes._steps import FOCUS_STEPS, SMOOTH, STEPS, focus_step, parse_steps
from lib.recipes._texts import parse_shares, parse_streams
from lib.recipes._without_labels import EMBEDDING_RECIPES, RECORDING_RECIPES

__all__ = [
    "EMBEDDING_RECIPES",
    "FOCUS_RECIPES",
    "FOCUS_STEPS",
    "RECIPES",
    "RECORDING_RECIPES",
    "SMOOTH",
    "STEPS",
    "TRANSFER_RECIPES",
    "VIDEO_RECIPES",
    "Recipe",
    "curves",
    "described",
    "focus_step",
    "get",
    "over_epochs",
    "parse_shares",
    "parse_steps",
    "parse_streams",
    "unchanged",
]
