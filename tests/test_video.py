"""Video files that the tests write themselves, whole and damaged, and downloaded ones."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import video


def pictures(T=12, H=32, W=32):
    """Frame t is dark, but for a bright red, green or blue block that walks to the right, 2 pixels a frame."""
    frames = np.full((T, H, W, 3), 16, dtype=np.uint8)
    for t in range(T):
        frames[t, H // 4 : 3 * H // 4, 2 * t : 2 * t + 8, t % 3] = 230
    return frames


def lossless(path, frames, **options):
    """Store frames exactly."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    return lossless(tmp_path_factory.mktemp("video") / "exact.mkv", pictures())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return video.write(tmp_path_factory.mktemp("video") / "written.mp4", pictures(), fps=25)


def as_clip(frames):
    return torch.from_numpy(frames.transpose(3, 0, 1, 2).copy())  # (T, H, W, 3) -> (3, T, H, W)


@pytest.mark.parametrize(
    ("num_frames", "start", "stride"), [(12, 0, 1), (1, 0, 1), (1, 11, 9), (4, 2, 3), (2, 0, 11), (3, 9, 1)]
)
def test_frames_are_those_asked_for(exact, num_frames, start, stride):
    clip = video.read(exact, num_frames=num_frames, size=32, start=start, stride=stride, plain=True)
    places = start + stride * np.arange(num_frames)
    assert clip.dtype == torch.uint8
    assert torch.equal(clip, as_clip(pictures()[places]))


def test_colours_are_normalised_as_published(exact):
    clip = video.read(exact, num_frames=2, size=32)
    plain = video.read(exact, num_frames=2, size=32, plain=True)
    for channel, (mean, deviation) in enumerate([(124, 0.229), (117, 0.224), (104, 0.225)]):
        torch.testing.assert_close(clip[channel], (plain[channel].float() - mean) / 255 / deviation)


@pytest.mark.parametrize(
    ("found", "asked", "rows", "columns"),
    [  # in shares of the file's height and width
        ((32, 64), 32, (0, 1), (0.25, 0.75)),
        ((64, 32), 16, (0.25, 0.75), (0, 1)),
        ((32, 64), (16, 48), (1 / 6, 5 / 6), (0, 1)),
        ((32, 32), 64, (0, 1), (0, 1)),
        ((32, 64), (4, 4), (0, 1), (0.25, 0.75)),
    ],
)
def test_the_shorter_side_is_resized_and_the_middle_kept(tmp_path, found, asked, rows, columns):
    y, x = np.meshgrid(*((np.arange(n) + 0.5) / n for n in found), indexing="ij")
    frame = np.stack([255 * y, 255 * x, np.zeros(found)], axis=-1).round().astype(np.uint8)
    path = lossless(tmp_path / "ramp.mkv", frame[None])
    clip = video.read(path, num_frames=1, size=asked, plain=True)[:, 0].numpy() / 255
    height, width = (asked, asked) if isinstance(asked, int) else asked
    expected_y = rows[0] + (np.arange(height) + 0.5) / height * (rows[1] - rows[0])
    expected_x = columns[0] + (np.arange(width) + 0.5) / width * (columns[1] - columns[0])
    assert clip.shape == (3, height, width)
    inner = slice(1, -1)  # a border has nothing to interpolate with
    np.testing.assert_allclose(clip[0].mean(axis=1)[inner], expected_y[inner], atol=0.025)
    np.testing.assert_allclose(clip[1].mean(axis=0)[inner], expected_x[inner], atol=0.025)


def test_what_is_written_can_be_read(written):
    clip = video.read(written, num_frames=12, size=32, plain=True)
    difference = (clip.float() - as_clip(pictures()).float()).abs().mean()
    assert difference < 12  # lossy, and one colour for 2x2 pixels
    with av.open(str(written)) as container:
        stream = container.streams.video[0]
        assert (stream.frames, float(stream.average_rate), stream.pix_fmt) == (12, 25.0, "yuv420p")


def test_a_written_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"before")

    def fail(*_):
        raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(video.os, "replace", fail)
        with pytest.raises(RuntimeError, match="stopped"):
            video.write(path, pictures(), fps=25)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]
    video.write(path, pictures(), fps=25)
    assert video.read(path, num_frames=12, size=32).shape == (3, 12, 32, 32)
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        (np.zeros((2, 4, 4, 3)), 25, r"frames are float64 \(2, 4, 4, 3\), needed uint8 \(T >= 1, H, W, 3\)"),
        (np.zeros((0, 4, 4, 3), np.uint8), 25, "T >= 1"),
        (np.zeros((2, 3, 4, 4), np.uint8), 25, "needed uint8"),
        (np.zeros((2, 5, 4, 3), np.uint8), 25, "frames of 5 x 4 pixels; needed even numbers"),
        (np.zeros((2, 4, 4, 3), np.uint8), 0, "fps=0, needed 0.01 to 1000"),
        (np.zeros((2, 4, 4, 3), np.uint8), float("nan"), "fps=nan"),
    ],
)
def test_pictures_that_cannot_be_written_are_refused(tmp_path, frames, fps, message):
    with pytest.raises(ValueError, match=message):
        video.write(tmp_path / "clip.mp4", frames, fps=fps)
    assert not list(tmp_path.iterdir())


# --- hostile files ----------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.mp4: no such file"):
        video.read(tmp_path / "nothing.mp4")
    with pytest.raises(ValueError, match="not a regular file"):
        video.read(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"hello\n" * 99, b"\0" * 5000, b"RIFF\xff\xff\xff\xffAVI LIST", b"\x89PNG\r\n\x1a\n"]
)
def test_a_file_that_is_no_video_is_named(tmp_path, content):
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"text\.mp4: (not a video in one of|streams of \[\], needed video)"):
        video.read(path)


def test_a_playlist_opens_no_other_file(tmp_path, written):
    for name, text in [
        ("list.mp4", f"ffconcat version 1.0\nfile {written.name}\n"),
        ("list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{written.name}\n#EXT-X-ENDLIST\n"),
    ]:
        path = written.with_name(name)
        path.write_text(text)
        with pytest.raises(ValueError, match=r"list\.\w+: not a video in one of"):
            video.read(path)


def test_sound_alone_is_refused(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(ValueError, match=r"sound\.mkv: streams of \['audio'\], needed video"):
        video.read(path)


def test_too_few_frames_are_counted(exact):
    with pytest.raises(ValueError, match=r"exact\.mkv: 12 frames, needed 14 for num_frames=4, start=1, stride=4"):
        video.read(exact, num_frames=4, start=1, stride=4)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path, written, share):
    path, content = tmp_path / "cut.mp4", written.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"cut\.mp4: .*(whole frames, |frames, |of \[\], )needed"):
        video.read(path, num_frames=12)


@given(at=st.integers(0, 2**20), junk=st.binary(min_size=1, max_size=40))
@settings(max_examples=60)
def test_damage_gives_a_clip_or_an_error_that_names_the_file(written, at, junk):
    content = bytearray(written.read_bytes())
    at %= len(content)
    content[at : at + len(junk)] = junk
    path = written.with_name("junk.mp4")
    path.write_bytes(content)
    try:
        assert video.read(path, num_frames=12, size=32).shape == (3, 12, 32, 32)
    except ValueError as error:
        assert "junk.mp4: " in str(error)  # noqa: PT017 (most damage is an error, not all)


def test_absurd_sizes_are_refused(monkeypatch, exact):
    for options in [{"size": 0}, {"size": (4, -1)}, {"size": 2**14}, {"num_frames": 0}, {"stride": 0}, {"start": -1}]:
        (name,) = options
        with pytest.raises(ValueError, match=rf"{name}=.*; needed at least 1"):
            video.read(exact, **options)
    monkeypatch.setattr(video, "MOST_PIXELS", 32 * 32 - 1)
    with pytest.raises(ValueError, match=r"exact\.mkv: frames of 32 x 32 pixels; needed at most 1023 in all"):
        video.read(exact, size=2)


def test_a_narrow_file_is_not_blown_up(monkeypatch, tmp_path):
    path = lossless(tmp_path / "narrow.mkv", np.zeros((1, 2, 64, 3), np.uint8))
    monkeypatch.setattr(video, "MOST_PIXELS", 32 * 32)
    with pytest.raises(ValueError, match=r"narrow\.mkv: frames of 1024 x 32 pixels"):
        video.read(path, num_frames=1, size=32)


def test_files_are_closed_after_success_and_failure(exact, tmp_path):
    def still_open():
        return [
            link for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and exact.name in str(link.readlink())
        ]

    video.read(exact, num_frames=1)
    with pytest.raises(ValueError, match="needed 99"):
        video.read(exact, num_frames=99)
    assert not still_open()


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["arm_wrestling", "clean_and_jerk", "skateboarding", "ta_chi"])
def test_downloaded_clips_are_read(videos, name):
    path = videos / f"{name}.mp4"
    clip = video.read(path, stride=8, start=10)
    assert clip.shape == (3, 16, 112, 112)
    assert 0.3 < clip.std() < 2
    later = video.read(path, num_frames=1, start=10 + 8 * 15)
    assert torch.equal(clip[:, 15:], later)
