"""Predict & Cluster (Su, Liu, Shlizerman; CVPR 2020): an autoencoder whose decoder is kept weak."""

from collections.abc import Iterator

import torch
from torch import nn

from lib.clips import Batch
from lib.models import layers
from lib.models.recurrent import SequenceNetwork, StateLayer, Turn, last_true, mean_over
from lib.skeletons import Skeleton

DECODERS = ("fixed_state", "zero_input")
SCALINGS = ("none", "range")


class PredictCluster(SequenceNetwork):
    """Bidirectional GRU layers read a clip, one GRU tells it again from their last states alone.

    Parameters
    ----------
    num_classes
        Outputs of the probe, which `training.fit` does not train.
    skeleton
        Gives V.
    in_channels
        C of the clips.
    width
        Multiplies the published 1024 units per direction (rounded to multiples of 8); the embedding has twice as many.
    num_layers
        Of the encoder; 3 as published.
    dropout
        Between the encoder's layers; none as published.
    decoder
        ``"fixed_state"``: at every frame the decoder's state is the code again, and what it adds to the frame before
        goes by that frame alone. ``"zero_input"``: it never sees a frame, and its state runs on from the code; the
        paper calls this "fixed weights", though its weights are trained (the authors, in the code's issue 10).
    scaling
        ``"range"``: each clip's x, y and z are brought into [-1, 1], as published. ``"none"``: poses as they come.
    stream
        As in `STGCN`.

    Notes
    -----
    Loss: absolute error, summed over coordinates, mean over the true frames of each person (the published one is over
    all frames of a batch). Departures: the fixed-state decoder starts from a pose of zeros, because the paper's start
    is not known; the autoencoder that the paper puts on top of the embedding is left out.
    """

    def __init__(
        self,
        num_classes: int,
        skeleton: Skeleton,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        num_layers: int = 3,
        dropout: float = 0.0,
        decoder: str = "zero_input",
        scaling: str = "range",
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
        if scaling not in SCALINGS:
            raise ValueError(f"scaling={scaling!r}; choose one of {list(SCALINGS)}")
        if num_layers < 1:
            raise ValueError(f"num_layers={num_layers}, needed at least 1")
        if decoder not in DECODERS:
            raise ValueError(f"decoder={decoder!r}; choose one of {list(DECODERS)}")
        self.scaling = scaling
        size = 2 * self.units
        sizes = [self.num_features] + num_layers * [size]
        blocks = [_Dropped(c, size, dropout if i else 0.0) for i, c in enumerate(sizes[:-1])]
        self._stack(blocks, (1,) * num_layers)
        self.kind = decoder
        self.decoder = nn.GRU(self.num_features, size, batch_first=True)
        self.output = nn.Linear(size, self.num_features)
        self.classifier = nn.Linear(size, num_classes)

    def extra_repr(self) -> str:
        """Name what the weights do not tell; checkpoints compare it."""
        return f"{super().extra_repr()}, scaling={self.scaling!r}, decoder={self.kind!r}"

    def _normalised(self, x: torch.Tensor, slot_of: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """``"range"`` brings each person's channels into [-1, 1] over true frames and joints."""
        if self.scaling == "range":
            hidden = x if mask is None else x.masked_fill(mask == 0, torch.inf)
            low = hidden.amin(dim=(2, 3), keepdim=True)
            hidden = x if mask is None else x.masked_fill(mask == 0, -torch.inf)
            high = hidden.amax(dim=(2, 3), keepdim=True)
            x = 2 * (x - low) / (high - low).clamp(min=1e-6) - 1
        return super()._normalised(x, slot_of, mask)

    def players(self) -> dict[str, list[nn.Parameter]]:
        """One: everything but the probe."""
        return {"autoencoder": self._all_but(self.classifier)}

    def turns(self, batch: Batch) -> Iterator[Turn]:
        """Reconstruct."""
        loss = mean_over(*self._errors(batch))
        yield Turn("autoencoder", loss, {"loss": loss})

    def _errors(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(P, T) absolute errors, summed over coordinates, and the mask of true frames."""
        people = self._people(batch.x, batch.lengths, batch.present)
        code = self._pooled(*self._features(people))
        wanted = people.x[..., 0].transpose(1, 2)  # (P, T, F)
        mask = layers.frame_mask(people.lengths, wanted.shape[1])
        return (self._decoded(code, wanted.shape[1]) - wanted).abs().sum(dim=2), mask

    def _pooled(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Last state of either direction of the last layer: at the last true frame, and at the first."""
        return torch.cat([last_true(x[:, : self.units], mask), x[:, self.units :, 0, 0]], dim=1)

    def _decoded(self, code: torch.Tensor, num_frames: int) -> torch.Tensor:
        """(P, T, F) told from codes (P, D)."""
        if self.kind == "zero_input":
            states, _ = self.decoder(code.new_zeros(len(code), num_frames, self.num_features), code[None])
            return self.output(states)
        frame, told = code.new_zeros(len(code), 1, self.num_features), []
        for _ in range(num_frames):
            frame = frame + self.output(self.decoder(frame, code[None])[0])
            told.append(frame)
        return torch.cat(told, dim=1)


class _Dropped(StateLayer):
    """A bidirectional layer behind dropout."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float):
        super().__init__(in_channels, out_channels, bidirectional=True)
        self.dropout = layers.Dropout(dropout)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, mask_out: torch.Tensor | None = None
    ) -> torch.Tensor:
        return super().forward(self.dropout(x), mask, mask_out)
