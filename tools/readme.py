"""Writes the results table of the README from ``data/results/``, and its figure from a stored page.

python -m tools.readme          writes both
python -m tools.readme --check  says whether they are up to date
"""

import argparse
import base64
import sys
from collections.abc import Iterator

import nbformat
import pandas as pd

from lib import execution, paths, plots, recipes, runs, scores, trust

README = paths.ROOT / "README.md"
FIGURE = paths.ROOT / "reference" / "layers.png"
PAGE, LABEL = "05_layer_geometry", "fig-smoothness-nw-ucla"
BEGIN, END = "<!-- results: written by `python -m tools.readme` -->", "<!-- end of results -->"
DATASETS = {
    "nw_ucla": "Northwestern-UCLA, view 3",
    "utd_mhad": "UTD-MHAD, even subjects",
    "msr_action3d": "MSR Action3D",
}


def accuracies(studies: dict[str, pd.DataFrame], published: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Rows of the recipes' networks and of fused MS-G3D with more passes, each dataset and combination of streams."""
    training = recipes.unchanged(studies["training"], fused=True).fillna({"streams": "joint"})
    focus = studies["focus"]
    fused = focus["streams"].astype(str).str.contains("+", regex=False) & focus["protocol"].isna()
    rows = pd.concat([training.assign(step="stgcn"), focus[fused]])
    rows["streams"] = rows["streams"].str.replace(" ", "")
    setting = ["dataset", "step", "streams", "width", "num_frames", "epochs"]
    for (dataset, step, streams, width, frames, epochs), own in rows.groupby(setting, sort=False):
        if own["seed"].nunique() < 2:
            continue
        text = f"{own['test'].mean():.1%}, ten passes {own['test_10_passes'].mean():.1%}"
        if own["test_clean"].notna().any():
            text += f"; without copies {own['test_clean'].mean():.1%}"
        theirs = published[(published["dataset"] == dataset) & (published["share"] == 1)]
        other = "; ".join(f"{row.score:.1%} ({row.source})" for row in theirs.itertuples()) or "–"
        size = f"width {width:g}, {frames:g} frames, {epochs:g} epochs"
        what = f"{DATASETS[dataset]}: {plots.spoken([step])[0]}, {streams}, {size}, {own['seed'].nunique()} seeds"
        yield what, text, other


def gains(studies: dict[str, pd.DataFrame], published: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Rows of STF over MS-G3D, for each dataset with at least two seeds of both."""
    focus = recipes.unchanged(studies["focus"], recipes.FOCUS_RECIPES)
    focus = focus[focus["step"].isin(["msg3d", "stf"])]
    whole = published[(published["work"] == "STF") & (published["share"] == 1)].set_index("network")["score"]
    theirs = f"{100 * (whole['stf'] - whole['msg3d']):+.1f} (NTU RGB+D 60)"
    for dataset, part in focus.groupby("dataset"):
        if part.groupby("step")["seed"].nunique().reindex(["msg3d", "stf"], fill_value=0).min() < 2:
            continue
        gain = trust.paired_gains(part.assign(value=100 * scores.honest(part)), "msg3d").loc["stf"]
        text = f"{gain['mean']:+.1f} points [{gain['low']:+.1f}, {gain['high']:+.1f}], {gain['seeds']:.0f} seeds"
        yield f"STF over MS-G3D, {DATASETS[dataset].partition(',')[0]}, small networks", text, theirs


def ablations(studies: dict[str, pd.DataFrame]) -> Iterator[tuple[str, str, str]]:
    """Rows of class feature pyramids, three steps back: the lead of their kernels, and of heavy ones, over random."""
    rows = recipes.unchanged(studies["pyramid_ablation"], recipes.VIDEO_RECIPES)
    rows = rows[(rows["share"] == 0.1) & (rows["level"] == 3)].rename(columns={"mean": "value"})
    for (dataset, network), part in rows.groupby(["dataset", "network"]):
        lead = trust.over_seeds(part, ["method"])
        if lead["seeds"].min() < 2:
            continue
        found = [
            f"{rule} {lead.loc[rule, 'mean']:+.2f} [{lead.loc[rule, 'low']:+.2f}, {lead.loc[rule, 'high']:+.2f}]"
            for rule in ("published", "signed", "magnitude")
        ]
        name = f"{DATASETS[dataset].partition(',')[0]}, {network.removeprefix('video_')}"
        what = "Logit that a class loses with a tenth of the kernels three steps back, less that with random ones"
        yield f"{what}, {name}, {lead['seeds'].iloc[0]} seeds", "; ".join(found), "–"


def speeds(studies: dict[str, pd.DataFrame]) -> Iterator[tuple[str, str, str]]:
    """Rows of speed: ours against the fastest peer that does the same work, of each case in the same run."""
    dtw = studies["dtw"][lambda rows: rows["library"].eq("ours") & rows["speedup"].notna()]
    fastest, least = dtw["speedup"], dtw.groupby("N")["D"].min()
    what = " or ".join(f"{number} clips of at least {size} numbers a frame" for number, size in least.items())
    yield f"Windowed DTW, {what}", f"{fastest.min():.0f} to {fastest.max():.0f} times as fast", "1 (fastest peer)"
    gradcam = studies["gradcam"].set_index("method")["times_all_layers"]
    peer = gradcam[gradcam.index.str.contains("captum")].min()
    yield "GradCAM of all ten layers", "1", f"{peer:.1f} times as long (captum)"


def table() -> str:
    """Markdown of all rows."""
    studies, published = runs.studies(), pd.read_csv(paths.PUBLISHED)
    rows = [*accuracies(studies, published), *gains(studies, published), *ablations(studies), *speeds(studies)]
    lines = ["| what | here | elsewhere |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def text() -> str:
    """README with the table of today."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{README.name}: needs a line {BEGIN!r} and one {END!r}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def figure() -> bytes:
    """Picture that the page has stored."""
    notebook = nbformat.read(paths.NOTEBOOKS / f"{PAGE}.ipynb", as_version=4)
    for cell in notebook.cells:
        if f"label: {LABEL}" in cell.source:
            picture = next(o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
            return base64.b64decode(picture)
    raise ValueError(f"{PAGE}: no cell with the label {LABEL}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    wanted = {README: text().encode(), FIGURE: figure()}
    stale = [path for path, content in wanted.items() if not path.is_file() or path.read_bytes() != content]
    for path in stale:
        print(f"{path.relative_to(paths.ROOT)}: {'out of date' if options.check else 'written'}")
        if not options.check:
            execution.write_whole(path, wanted[path])
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
