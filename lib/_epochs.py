"""The batches of an epoch: clips in a random order, each changed at random."""

from collections.abc import Iterator

import numpy as np

from lib import transforms
from lib._train_config import TrainConfig
from lib.clips import Batch, Clip, ClipSet, collate


def epoch_batches(train: ClipSet, config: TrainConfig, epoch: int) -> Iterator[Batch]:
    """Give every clip once, changed; the same for the same (config.seed, epoch)."""
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(len(train))
    chunk = 8 * config.batch_size  # clips of like length share a batch: less padding, still a new mix every epoch
    parts = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    order = np.concatenate([part[np.argsort(train.lengths[part], kind="stable")] for part in parts])
    starts = rng.permutation(np.arange(0, len(order), config.batch_size))
    for start in starts:
        clips = [augmented(train[i], config, rng) for i in order[start : start + config.batch_size]]
        yield collate(clips).to(config.device)


def augmented(clip: Clip, config: TrainConfig, rng: np.random.Generator) -> Clip:
    """Change a clip at random as the configuration says: crop, side, view, size, noise."""
    if config.crop < 1:
        clip = transforms.resample(transforms.random_crop(clip, rng, config.crop), clip.length)
    if config.mirror and rng.random() < 0.5:
        clip = transforms.mirror(clip)
    if config.turn or config.tilt:
        clip = transforms.random_view(clip, rng, config.turn, config.tilt)
    if config.stretch:
        clip = transforms.random_scale(clip, rng, config.stretch)
    return transforms.random_noise(clip, rng, config.noise) if config.noise else clip
