"""Clips of any length and person count in one array."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lib import _clip_checks, _clip_files, skeletons
from lib._clip_batches import Batch, Clip, collate
from lib.skeletons import Skeleton

__all__ = ["Batch", "Clip", "ClipSet", "LoadReport", "collate"]


@dataclass(frozen=True)
class LoadReport:
    """What a reader kept and what it left out, with the reason for each."""

    kept: int
    dropped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Describe the report in a few lines for people."""
        lines = [f"{self.kept} clips kept, {len(self.dropped)} dropped", *self.notes]
        return "\n".join(lines + [f"dropped {name}: {reason}" for name, reason in self.dropped])


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Ragged clips that share a skeleton; sub-sets are views on the same frames.

    Clip i owns the rows ``starts[i] : starts[i] + lengths[i] * num_persons[i]`` of `frames`, frame by frame and within
    a frame person by person, so that one `(rows, V, C)` array (in memory or mapped from disk) holds every clip.

    Attributes
    ----------
    frames
        (rows, V, C) float32.
    starts, lengths, num_persons
        (N,) int64: first row, frames T_i, person slots M_i of each clip.
    present
        (N, M) bool with M the largest slot count; False for an absent person.
    labels
        (N,) int64 indices into `class_names`.
    subjects, views
        (N,) int64 or None.
    names
        One name per clip, unique.
    fps
        Frames per second; NaN where clips were resampled to rates of their own.
    truth
        (rows, V) bool planted truth, or None.
    """

    frames: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    num_persons: np.ndarray
    present: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    skeleton: Skeleton
    fps: float
    subjects: np.ndarray | None = None
    views: np.ndarray | None = None
    truth: np.ndarray | None = None
    dataset: str = "custom"
    report: LoadReport | None = field(default=None, repr=False)

    @classmethod
    def from_arrays(
        cls,
        arrays: Sequence[ArrayLike] | np.ndarray,
        labels: ArrayLike,
        skeleton: Skeleton | str,
        *,
        names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        subjects: ArrayLike | None = None,
        views: ArrayLike | None = None,
        truth: Sequence[ArrayLike] | None = None,
        fps: float = 30.0,
        dataset: str = "custom",
        report: LoadReport | None = None,
    ) -> "ClipSet":
        """Clips from your own arrays.

        Parameters
        ----------
        arrays
            One (T, V, C) or (T, M, V, C) array per clip; T and M may differ, V and C may not. A person whose
            coordinates are all exactly zero counts as absent, as NTU exports mark it.
        labels
            One integer per clip, from 0.
        skeleton
            A layout's name or a Skeleton with V joints.
        class_names
            Names of the labels; numbered when not given.
        subjects, views
            One integer per clip.
        truth
            Per clip a bool array of the clip's shape without C.

        Raises
        ------
        ValueError
            Names the clip and the field, what was found and what was needed.
        """
        skeleton = skeletons.get(skeleton) if isinstance(skeleton, str) else skeleton
        if len(arrays) == 0:
            raise ValueError("arrays: no clips; give at least one")
        names = tuple(str(n) for n in names) if names is not None else tuple(f"clip_{i}" for i in range(len(arrays)))
        for label, column in {
            "names": names,
            "labels": labels,
            "subjects": subjects,
            "views": views,
            "truth": truth,
        }.items():
            if column is not None and len(column) != len(arrays):
                raise ValueError(f"{label}: {len(column)} entries for {len(arrays)} clips; needed one per clip")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"names: {twice!r} stands for more than one clip; make names unique")
        columns = {
            key: _clip_checks.integers(key, column, names)
            for key, column in (("labels", labels), ("subjects", subjects), ("views", views))
        }
        if class_names is None:
            class_names = [f"class_{c}" for c in range(int(columns["labels"].max()) + 1)]
        for name, label in zip(names, columns["labels"], strict=True):
            if not 0 <= label < len(class_names):
                raise ValueError(f"clip {name!r}: label {label}, needed 0..{len(class_names) - 1}")
        if not (np.isfinite(fps) and fps > 0):
            raise ValueError(f"fps={fps}, needed a positive number of frames per second")

        clips = [_clip_checks.coordinates(array, skeleton, name) for array, name in zip(arrays, names, strict=True)]
        num_channels = clips[0].shape[3]
        for name, x in zip(names, clips, strict=True):
            if x.shape[3] != num_channels:
                raise ValueError(f"clip {name!r}: C={x.shape[3]} channels, but clip {names[0]!r} has {num_channels}")
        lengths = np.array([x.shape[0] for x in clips])
        num_persons = np.array([x.shape[1] for x in clips])
        present = np.zeros((len(clips), num_persons.max()), dtype=bool)
        for i, x in enumerate(clips):
            present[i, : x.shape[1]] = x.any(axis=(0, 2, 3))
            if not present[i].any():
                raise ValueError(f"clip {names[i]!r}: all coordinates are zero; needed at least one present person")
        if truth is not None:
            truth = np.concatenate(
                [_rows(_clip_checks.planted_truth(t, x, name)) for t, x, name in zip(truth, clips, names, strict=True)],
                dtype=bool,
            )
        return cls(
            frames=np.concatenate([x.reshape(-1, *x.shape[2:]) for x in clips]),
            starts=np.concatenate([[0], np.cumsum(lengths * num_persons)[:-1]]),
            lengths=lengths,
            num_persons=num_persons,
            present=present,
            names=names,
            class_names=tuple(class_names),
            skeleton=skeleton,
            fps=float(fps),
            truth=truth,
            dataset=dataset,
            report=report,
            **columns,
        )

    def __len__(self) -> int:
        """Return the number of clips N."""
        return len(self.starts)

    def __getitem__(self, index: int | np.integer) -> Clip:
        """Clip by position; its x is a view on `frames`."""
        length, persons = int(self.lengths[index]), int(self.num_persons[index])
        rows = slice(int(self.starts[index]), int(self.starts[index]) + length * persons)
        return Clip(
            x=self.frames[rows].reshape(length, persons, *self.frames.shape[1:]),
            length=length,
            present=self.present[index, :persons],
            skeleton=self.skeleton,
            fps=self.fps,
            label=int(self.labels[index]),
            name=self.names[index],
            truth=None if self.truth is None else self.truth[rows].reshape(length, persons, -1),
        )

    def __iter__(self) -> Iterator[Clip]:
        """Clips in order."""
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        """Summarise what a person wants to know first."""
        return (
            f"ClipSet({self.dataset}: {len(self)} clips, {len(self.class_names)} classes, {self.skeleton.name}, "
            f"{self.lengths.min(initial=self.lengths.max(initial=0))}-{self.lengths.max(initial=0)} frames, "
            + ("rates differ)" if np.isnan(self.fps) else f"{self.fps:g} fps)")
        )

    @property
    def num_channels(self) -> int:
        """Channels C per joint."""
        return self.frames.shape[2]

    def subset(self, indices: ArrayLike | slice) -> "ClipSet":
        """Clips at `indices` (positions, a slice or a bool mask of length N), sharing the frames of this set."""
        if not isinstance(indices, slice):
            indices = np.asarray(indices) if np.size(indices) else np.empty(0, dtype=np.int64)
        indices = np.arange(len(self))[indices]
        picked = {
            name: None if getattr(self, name) is None else getattr(self, name)[indices]
            for name in ("starts", "lengths", "num_persons", "present", "labels", "subjects", "views")
        }
        return replace(self, names=tuple(self.names[i] for i in indices), **picked)

    def digest(self) -> str:
        """16 hexadecimal digits that stand for coordinates, presence, lengths, labels and class names."""
        digest = hashlib.sha256()
        for clip in self:
            digest.update(np.ascontiguousarray(clip.x).tobytes() + clip.present.tobytes())
        digest.update(repr((self.lengths.tolist(), self.labels.tolist(), self.class_names)).encode())
        return digest.hexdigest()[:16]

    def batch(self, indices: ArrayLike) -> Batch:
        """Clips at `indices` padded to one shape."""
        return collate(list(self.subset(indices)))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All clips in order, `batch_size` at a time."""
        for start in range(0, len(self), batch_size):
            yield self.batch(np.arange(start, min(start + batch_size, len(self))))

    def map(self, *transforms: Callable[[Clip], Clip]) -> "ClipSet":
        """Apply clip -> clip functions one after another; padding that they add is not stored."""
        clips = []
        for clip in self:
            for transform in transforms:
                clip = transform(clip)
            clips.append(clip)
        lengths = np.array([clip.length for clip in clips])
        rows = lengths * self.num_persons
        rates = {clip.fps for clip in clips}
        return replace(
            self,
            frames=np.concatenate([_rows(clip.x[: clip.length]) for clip in clips]).astype(np.float32, copy=False),
            starts=np.concatenate([[0], np.cumsum(rows)[:-1]]),
            lengths=lengths,
            skeleton=clips[0].skeleton,
            fps=rates.pop() if len(rates) == 1 else float("nan"),
            truth=None if self.truth is None else np.concatenate([_rows(clip.truth[: clip.length]) for clip in clips]),
        )

    def save(self, folder: str | Path) -> Path:
        """Write ``frames.npy`` (memory-mappable), ``index.npz`` and ``clips.json``; the folder appears whole or not."""
        return _clip_files.write(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, *, mmap: bool = True) -> "ClipSet":
        """Read what `save` wrote; frames stay on disk until used when `mmap` is True."""
        return cls(**_clip_files.read(Path(folder), mmap=mmap))


def _rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, *array.shape[2:])  # (T, M, ...) -> (TM, ...)
