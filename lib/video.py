"""Video files: into tensors as 3D networks expect them, and out of pictures that were drawn."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from jaxtyping import Float, UInt8

MEAN = (124 / 255, 117 / 255, 104 / 255)  # red, green, blue, of Stergiou et al. (2019); so is the deviation
DEVIATION = (0.229, 0.224, 0.225)

# Playlists and the like are left out: a file of these would make FFmpeg open other files, and addresses on the network.
CONTAINERS = ("mov", "matroska", "avi", "mpeg", "mpegts", "flv", "ogg", "asf")
MOST_PIXELS = 2**26  # of one frame, in the file, scaled or returned; eight times as many as 4K video has


def read(
    path: str | Path,
    *,
    num_frames: int = 16,
    size: int | tuple[int, int] = 112,
    start: int = 0,
    stride: int = 1,
    plain: bool = False,
) -> Float[torch.Tensor, "3 T H W"] | UInt8[torch.Tensor, "3 T H W"]:
    """Frames of a video file, resized and cropped.

    Parameters
    ----------
    path
        A file that FFmpeg knows, in one of `CONTAINERS` (mp4 belongs to mov).
    num_frames
        T.
    size
        Height and width in pixels, one number for both. Frames are scaled, height and width alike, until they just
        cover it, and the middle is kept; for a square that is the shorter side resized.
    start, stride
        First frame, from 0, and every how many frames one is taken. Frames before are decoded, too: a late start takes
        its time and is exact.
    plain
        Leave out the normalisation.

    Returns
    -------
    Red, green, blue, each less `MEAN` and divided by `DEVIATION`; when `plain`, bytes from 0 to 255.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A choice is out of range, or the file is no video, has no picture, is damaged, holds absurdly large frames or
        too few of them.

    Notes
    -----
    Neither a pixel's shape nor a rotation that a file may ask for at display are applied.
    """
    path = Path(path)
    height, width = (size, size) if isinstance(size, int) else size
    if min(num_frames, height, width, stride) < 1 or start < 0 or height * width > MOST_PIXELS:
        raise ValueError(
            f"num_frames={num_frames}, size={size}, start={start}, stride={stride}; needed at least 1, "
            f"a start of at least 0 and at most {MOST_PIXELS} pixels in a frame"
        )
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; needed a video")
    if not path.is_file():
        raise ValueError(f"{path}: not a regular file; needed a video")
    needed = start + (num_frames - 1) * stride + 1
    kept, found, reformatter = [], 0, VideoReformatter()
    try:
        # absolute: FFmpeg takes a name with a colon for an address
        options = {"format_whitelist": ",".join(CONTAINERS)}
        with av.open(str(path.absolute()), options=options, metadata_errors="replace") as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                kinds = sorted({stream.type for stream in container.streams})
                raise ValueError(f"{path}: streams of {kinds}, needed video that FFmpeg can decode")
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}  # by default damage is patched up with guesses
            _check_size(path, stream.width, stream.height)  # before a frame of this size is made
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise ValueError(f"{path}: frame {found} is damaged; needed {needed} whole ones")
                if found >= start and (found - start) % stride == 0:
                    kept.append(_covering(path, frame, height, width, reformatter))
                found += 1
                if found == needed:
                    break
    except av.FFmpegError as error:
        raise ValueError(
            f"{path}: not a video in one of {list(CONTAINERS)}, or damaged ({error.strerror}); "
            f"found {found} whole frames, needed {needed}"
        ) from error
    if found < needed:
        raise ValueError(
            f"{path}: {found} frames, needed {needed} for num_frames={num_frames}, start={start}, stride={stride}"
        )
    clip = torch.from_numpy(np.stack(kept)).permute(3, 0, 1, 2).contiguous()  # (T, H, W, 3) -> (3, T, H, W)
    if plain:
        return clip
    mean, deviation = (torch.tensor(values)[:, None, None, None] for values in (MEAN, DEVIATION))
    return (clip / 255 - mean) / deviation


def write(path: str | Path, frames: np.ndarray, *, fps: float) -> Path:
    """Write pictures as an mp4 (H.264) that browsers play; the file appears whole or not at all.

    Parameters
    ----------
    path
        Where to; a file that is there is replaced.
    frames
        (T, H, W, 3) uint8: red, green, blue. H and W are even, because H.264 keeps one colour for 2x2 pixels: what is
        read back is not exactly what was written.
    fps
        Frames per second, 0.01 to 1000.
    """
    path = Path(path)
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(f"frames are {frames.dtype} {frames.shape}, needed uint8 (T >= 1, H, W, 3)")
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f"frames of {frames.shape[1]} x {frames.shape[2]} pixels; needed even numbers")
    if not 0.01 <= fps <= 1000:
        raise ValueError(f"fps={fps}, needed 0.01 to 1000")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with av.open(str(beside.absolute()), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": "18"})
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())  # what the encoder still holds
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _covering(path: Path, frame: av.VideoFrame, height: int, width: int, reformatter: VideoReformatter) -> np.ndarray:
    """Scale a frame until it just covers height x width, and keep the middle: (H, W, 3) uint8."""
    _check_size(path, frame.width, frame.height)
    scale = max(height / frame.height, width / frame.width)
    tall, wide = max(height, round(scale * frame.height)), max(width, round(scale * frame.width))
    _check_size(path, wide, tall)
    scaled = reformatter.reformat(frame, wide, tall, "rgb24", interpolation="BILINEAR").to_ndarray()
    top, left = (tall - height) // 2, (wide - width) // 2
    return scaled[top : top + height, left : left + width]


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ValueError(f"{path}: frames of {width} x {height} pixels; needed at most {MOST_PIXELS} in all")
