"""Films for a web page that play, pause and loop by a few lines of CSS: no network, no library.

All frames lie beside each other, and a CSS animation moves them behind a window of one frame. Playing, pausing, looping
and standing still for readers who prefer reduced motion therefore need no script; the script only adds a slider, where
a page lets scripts run. Nothing has an id, so any number of players, equal ones too, share a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# Hues between those that suit white and those that suit black pages: at least 3 : 1 against either.
_STYLE = """<style>
.lom-poses{display:flex;flex-wrap:wrap;gap:1em}
.lom-pose{display:inline-block;margin:0;width:100%;font:13px/1.4 system-ui,sans-serif;color:inherit}
.lom-pose figcaption{margin:0 0 4px}
.lom-pose svg{display:block;width:100%;overflow:hidden}
.lom-pose path{fill:none;stroke:#8a8a8a;stroke-width:8;stroke-linecap:round;stroke-linejoin:round}
.lom-pose .l{stroke:#2f8fd8;color:#2f8fd8}.lom-pose .r{stroke:#e5701a;color:#e5701a}
.lom-pose .q path{stroke-dasharray:9 12;opacity:.8}.lom-pose .q .d{stroke-dasharray:none}
.lom-pose .d{stroke-width:13}.lom-pose .h{stroke-width:38}.lom-pose .p{stroke:#d6247c}.lom-pose .n{stroke:#1b9e77}
.lom-pose .w path:not(.d){opacity:.55}
.lom-pose text{font-size:24px;fill:currentColor}
.lom-film{animation:lom-film 1s steps(1) infinite}
@keyframes lom-film{to{transform:translateX(var(--lom-far))}}
.lom-bar{display:flex;gap:8px;align-items:center;margin-top:2px}
.lom-bar input[type=range]{flex:1;min-width:0;accent-color:#2f8fd8}
.lom-bar label{position:relative;cursor:pointer}
.lom-bar label input{position:absolute;opacity:0;inset:0;margin:0;width:100%;height:100%;cursor:pointer}
.lom-bar span{display:inline-block;min-width:3.6em;padding:1px 8px;text-align:center;
border:1px solid #8a8a8a;border-radius:5px}
.lom-bar :focus-visible+span{outline:2px solid #2f8fd8;outline-offset:2px}
.lom-bar span::after{content:"Pause"}.lom-bar :checked+span::after{content:"Play"}
.lom-pose:has(:checked) .lom-film{animation-play-state:paused!important}
@media(prefers-reduced-motion:reduce){.lom-film{animation-play-state:paused!important}
.lom-pose:has(:checked) .lom-film{animation-play-state:running!important}
.lom-bar span::after{content:"Play"}.lom-bar :checked+span::after{content:"Pause"}}
</style>"""

_SCRIPT = """<script>
document.querySelectorAll(".lom-pose:not([data-on])").forEach(f=>{
const g=f.querySelector(".lom-film"),r=f.querySelector("[type=range]"),c=f.querySelector("[type=checkbox]");
f.dataset.on="";if(!r||!g.getAnimations)return;
const n=+r.max+1,d=1e3*parseFloat(g.style.animationDuration),still=matchMedia("(prefers-reduced-motion:reduce)"),
a=()=>g.getAnimations()[0];r.hidden=false;
r.oninput=()=>{c.checked=!still.matches;const m=a();if(m)m.currentTime=(+r.value+.5)*d/n};
const h=setInterval(()=>{if(!f.isConnected)return clearInterval(h);
const m=a();if(m&&c.checked===still.matches)r.value=Math.floor(m.currentTime%d/d*n)},d/n)});
</script>"""


@dataclass(frozen=True)
class Animation:
    """A player as HTML text; Jupyter shows it, and ``str()`` gives the text."""

    html: str
    num_frames: int

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        """Return the HTML."""
        return self.html

    def __repr__(self) -> str:
        """Summarise; the text itself is long."""
        return f"Animation({self.num_frames} frames, {len(self.html) / 1000:.0f} kB of HTML)"


def animation(players: Sequence[str], num_frames: int) -> Animation:
    """Put players, made by `player`, side by side."""
    inside = players[0] if len(players) == 1 else '<div class="lom-poses">\n' + "\n".join(players) + "\n</div>"
    return Animation(f"{_STYLE}\n{inside}\n{_SCRIPT}", num_frames)


def player(
    film: str,
    window: tuple[int, int],
    count: int,
    seconds: float,
    *,
    title: str,
    label: str,
    behind: str = "",
    widest: int | None = None,
) -> str:
    """HTML of one player.

    Parameters
    ----------
    film
        SVG of all frames, each `window` units (width, height) large, from left to right.
    count
        Frames.
    seconds
        How long they take together.
    title
        HTML above the window.
    label
        What is to be seen, for readers who do not see it: plain text.
    behind
        SVG that does not move.
    widest
        Pixels that the window takes at most; half its units when None.
    """
    width, height = window
    motion = f"--lom-far:{-width * count}px;animation-duration:{seconds:.3f}s;animation-timing-function:steps({count})"
    name = escape(f"{label}, {count} frames, {seconds:.2f} seconds", quote=True)
    bar = (
        '<div class="lom-bar"><label><input type="checkbox" aria-label="pause or play"><span></span></label>'
        f'<input type="range" min="0" max="{count - 1}" value="0" aria-label="frame" hidden></div>'
        if count > 1
        else ""
    )
    return (
        f'<figure class="lom-pose" style="max-width:{widest or width // 2}px">\n'
        f"<figcaption>{title}</figcaption>\n"
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{name}">{behind}\n'
        f'<g class="lom-film" style="{motion}">\n{film}\n</g></svg>\n{bar}</figure>'
    )
