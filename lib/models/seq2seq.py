"""Predictors of motion (Su & Shlizerman 2020): a GRU reads some frames of a pose sequence and tells the next ones."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from lib.clips import Batch
from lib.models import layers
from lib.models.recurrent import SequenceNetwork, StateLayer, Turn, last_true, mean_over
from lib.skeletons import Skeleton


class Prediction(NamedTuple):
    """Of P persons: source and target frames as they were, the frames told, and the states that told them.

    source (P, S, F), target and told (P, T', F), states (P, T', D), mask (P, 1, T', 1) of true target frames or None.
    """

    source: torch.Tensor
    target: torch.Tensor
    told: torch.Tensor
    states: torch.Tensor
    mask: torch.Tensor | None

    @property
    def errors(self) -> torch.Tensor:
        """(P, T') squared errors, mean over coordinates."""
        return (self.told - self.target).square().mean(dim=2)


class Seq2Seq(SequenceNetwork):
    """One GRU cell reads `source_frames` frames and, fed with its own output, tells the next `target_frames`.

    Parameters
    ----------
    num_classes
        Outputs of the probe, which `training.fit` does not train.
    skeleton
        Gives V.
    in_channels
        C of the clips.
    width
        Multiplies the published 1024 units (rounded to multiples of 8).
    source_frames, target_frames
        Frames read and told; 25 and 25, or 50 and 25, as published.
    dropout
        Of the poses that are read (not of those fed back); none as published.
    stream
        As in `STGCN`.

    Notes
    -----
    The cell is the same in encoder and decoder, the first frame that the decoder sees is the last that was read, and
    its output is a linear map of the state, without a residual path, all as released. The released loss is the squared
    error over all target frames; here padded ones do not count. Training needs clips of more than `source_frames` true
    frames and at most both together (`windows.cut`); the embedding of a clip, its last state, needs no certain length.
    """

    def __init__(
        self,
        num_classes: int,
        skeleton: Skeleton,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        source_frames: int = 25,
        target_frames: int = 25,
        dropout: float = 0.0,
        stream: str = "joint",
    ):
        super().__init__(
            num_classes,
            skeleton,
            in_channels=in_channels,
            width=width,
            dropout=dropout,
            stream=stream,
        )
        if source_frames < 1 or target_frames < 1:
            raise ValueError(
                f"source_frames={source_frames}, target_frames={target_frames}; needed at least one of each"
            )
        self.source_frames, self.target_frames = source_frames, target_frames
        self.dropout = layers.Dropout(dropout)
        self._stack([StateLayer(self.num_features, self.units)], (1,))
        self.output = nn.Linear(self.units, self.num_features)
        nn.init.uniform_(self.output.weight, -0.04, 0.04)
        nn.init.zeros_(self.output.bias)
        self.classifier = nn.Linear(self.units, num_classes)

    def extra_repr(self) -> str:
        """Name what the weights do not tell; checkpoints compare it."""
        return f"{super().extra_repr()}, frames={self.source_frames}+{self.target_frames}"

    def players(self) -> dict[str, list[nn.Parameter]]:
        """One: everything but the probe."""
        return {"predictor": self._all_but(self.classifier)}

    def turns(self, batch: Batch) -> Iterator[Turn]:
        """Predict."""
        prediction = self.predict(batch)
        loss = mean_over(prediction.errors, prediction.mask)
        yield Turn("predictor", loss, {"loss": loss})

    def predict(self, batch: Batch) -> Prediction:
        """Read the first frames of every present person and tell the others."""
        people = self._people(batch.x, batch.lengths, batch.present)
        frames = people.x[..., 0].transpose(1, 2)  # (P, T, F)
        read, ahead = self.source_frames, frames.shape[1] - self.source_frames
        if not 0 < ahead <= self.target_frames or bool((people.lengths <= read).any()):
            raise ValueError(
                f"clips of {int(people.lengths.min())} to {frames.shape[1]} frames, needed more than source_frames="
                f"{read} and at most {read + self.target_frames}; cut them (windows.cut) or resample them"
            )
        source, target = frames.split([read, ahead], dim=1)
        gru = self.layers[0].gru
        state = gru(self.dropout(source))[1]  # (1, P, D)
        frame, told, states = source[:, -1:], [], []
        for _ in range(ahead):
            _, state = gru(frame, state)
            frame = self.output(state[0])[:, None]
            told.append(frame)
            states.append(state[0])
        return Prediction(
            source,
            target,
            torch.cat(told, dim=1),
            torch.stack(states, dim=1),
            layers.frame_mask(people.lengths - read, ahead),
        )

    def _pooled(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return last_true(x, mask)


class Discriminator(nn.Module):
    """A GRU that reads frames (P, T, F) and says how real they look: (P,) logits."""

    def __init__(self, num_features: int, units: int):
        super().__init__()
        self.reader = StateLayer(num_features, units)
        self.judge = nn.Linear(units, 1)

    def forward(self, frames: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Logits from the last true frame's state."""
        frames = frames.transpose(1, 2)[..., None]
        return self.judge(last_true(self.reader(frames, mask), mask))[:, 0]


class AdversarialSeq2Seq(Seq2Seq):
    """The predictor beside two discriminators: fidelity sees the frames told, continuity those read before as well.

    Parameters
    ----------
    fidelity, continuity
        What being told apart costs the predictor, beside the squared error's 1.

    Notes
    -----
    The released code adds 0.6 (squared error + fidelity) + continuity and lets one optimiser take the discriminators'
    loss down over *all* weights, so that the predictor helps them to tell it apart. Here they take turns, each with its
    own optimiser: the predictor goes down the error and up their mistakes (the non-saturating loss of Goodfellow et
    al. 2014), then they learn from the same frames. Weights are the released ones divided by 0.6.
    """

    def __init__(
        self,
        num_classes: int,
        skeleton: Skeleton,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        source_frames: int = 50,
        target_frames: int = 25,
        fidelity: float = 1.0,
        continuity: float = 1 / 0.6,
        dropout: float = 0.0,
        stream: str = "joint",
    ):
        super().__init__(
            num_classes,
            skeleton,
            in_channels=in_channels,
            width=width,
            source_frames=source_frames,
            target_frames=target_frames,
            dropout=dropout,
            stream=stream,
        )
        if not (fidelity >= 0 and continuity >= 0):
            raise ValueError(f"fidelity={fidelity}, continuity={continuity}; needed weights of at least 0")
        self.weights = {"fidelity": fidelity, "continuity": continuity}
        self.discriminators = nn.ModuleDict(
            {name: Discriminator(self.num_features, self.units) for name in self.weights}
        )

    def extra_repr(self) -> str:
        """Name what the weights do not tell; checkpoints compare it."""
        return f"{super().extra_repr()}, " + ", ".join(f"{name}={value:g}" for name, value in self.weights.items())

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Two: the predictor, and its judges together."""
        return {
            "predictor": self._all_but(self.classifier, self.discriminators),
            "discriminators": list(self.discriminators.parameters()),
        }

    def turns(self, batch: Batch) -> Iterator[Turn]:
        """Predict so that the judges take it for real; then judge."""
        prediction = self.predict(batch)
        error = mean_over(prediction.errors, prediction.mask)
        believed = {name: _call(logits, real=True) for name, logits in self._judged(prediction, prediction.told)}
        loss = error + sum(self.weights[name] * term for name, term in believed.items())
        yield Turn("predictor", loss, {"loss": error, **believed})
        told = prediction.told.detach()
        loss = sum(_call(logits, real=False) for _, logits in self._judged(prediction, told))
        loss = loss + sum(_call(logits, real=True) for _, logits in self._judged(prediction, prediction.target))
        yield Turn("discriminators", loss, {"discrimination": loss / (2 * len(self.weights))})

    def _judged(self, prediction: Prediction, frames: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        mask = prediction.mask
        yield "fidelity", self.discriminators["fidelity"](frames, mask)
        if mask is not None:
            before = mask.new_ones(len(mask), 1, self.source_frames, 1)
            mask = torch.cat([before, mask], dim=2)
        whole = torch.cat([prediction.source, frames], dim=1)
        yield "continuity", self.discriminators["continuity"](whole, mask)


def _call(logits: torch.Tensor, *, real: bool) -> torch.Tensor:
    """Cross entropy of judges who should have said that frames are real, or are not."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
