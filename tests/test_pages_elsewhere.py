"""Every page runs with other values than its defaults: another seed, other sizes, and downloaded clips."""

import json

import pytest
from book_cases import shell

from lib import pages

# As small as a page allows, and on which downloaded clips.
SMALL = {
    "01_skeleton_clips": ("nw_ucla", {"num_clips": 40}),
    "02_train_stgcn": ("msr_action3d", {"epochs": 1, "width": 0.125, "num_clips": 64, "streams": "joint + bone"}),
    "03_train_msg3d_stf": (
        "utd_mhad",
        {"epochs": 1, "width": 0.0625, "num_frames": 12, "num_clips": 40, "num_explained": 4, "steps": "stgcn modules"},
    ),
    "04_windowed_dtw": ("utd_mhad", {"num_clips": 30, "window_size": 3, "stride": 1, "radius": 6}),
    "05_layer_geometry": (
        "nw_ucla",
        {"epochs": 1, "num_clips": 60, "num_compared": 40, "num_neighbors": 6, "radius": 0.5, "clip_seed": 2},
    ),
    "06_gradcam": (
        "msr_action3d",
        {"epochs": 1, "width": 0.125, "num_clips": 60, "num_explained": 6, "num_steps": 3, "distractors": 0.5},
    ),
    "08_transfer": (
        "msr_action3d",
        {"epochs": 1, "width": 0.0625, "num_clips": 60, "depths": "0 10", "per_class": 2, "norms": "target"},
    ),
    "09_robustness": (
        "nw_ucla",
        {"epochs": 1, "width": 0.0625, "num_frames": 12, "num_clips": 40, "num_compared": 30, "kinds": "view_turn"},
    ),
    "10_class_feature_pyramids": (
        "nw_ucla",
        {"epochs": 1, "width": 0.125, "num_clips": 40, "num_explained": 1, "depth": 2, "network": "video_mfnet"},
    ),
    "11_sequence_embedding": (
        "utd_mhad",
        {"epochs": 1, "embedding_epochs": 1, "width": 0.0625, "num_recordings": 2, "num_segments": 2, "num_clips": 40},
    ),
    "07_scarce_data": (
        "utd_mhad",
        {"epochs": 1, "width": 0.0625, "num_frames": 12, "num_clips": 60, "shares": "0.3 0.6", "steps": "stgcn msg3d"},
    ),
}


def run(stem, tmp_path, **values):
    given = [part for name, value in values.items() for part in ("-p", name, value)]
    done = shell("run", stem, "-q", *given, LAYERS_BUILD=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.glob("runs/*/run.json")
    known = json.loads(record.read_text())["parameters"]
    assert {name: known[name] for name in values} == values
    assert list(record.parent.glob("fig-*.png"))


@pytest.mark.parametrize("stem", sorted(SMALL))
def test_a_page_takes_another_seed_and_other_sizes(stem, tmp_path):
    run(stem, tmp_path, seed=1, **SMALL[stem][1])


@pytest.mark.parametrize("stem", sorted(SMALL))
def test_a_page_takes_downloaded_clips(stem, tmp_path, downloads):
    dataset, values = SMALL[stem]
    run(stem, tmp_path, dataset=dataset, **values)


def test_every_page_is_run_so():
    assert sorted(SMALL) == [page.stem for page in pages.found()]
