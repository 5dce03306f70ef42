"""Shares and streams from the text of a page's parameter."""

import math

from lib.models.layers import STREAMS


def parse_shares(text: str) -> list[float]:
    """Shares of the training clips from text like ``"0.1 0.25 1"``, each once, above 0 and at most 1."""
    try:
        shares = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        shares = []
    if not shares or len(set(shares)) < len(shares) or not all(0 < share <= 1 for share in shares):
        raise ValueError(f"shares={text!r}; needed numbers above 0 and at most 1, each once, as in '0.1 0.25 1'")
    return shares


def parse_streams(text: str) -> dict[str, float]:
    """Streams and their weights from text like ``"joint"`` or ``"2*joint + bone + joint_motion"``."""
    weights = {}
    for part in text.split("+"):
        weight, _, stream = part.replace(" ", "").rpartition("*")
        if stream not in STREAMS or stream in weights:
            raise ValueError(f"streams={text!r}: {stream!r} is unknown or comes twice; choose from {list(STREAMS)}")
        try:
            weights[stream] = float(weight or 1)
        except ValueError:
            raise ValueError(f"streams={text!r}: weight {weight!r} is no number") from None
        if not 0 < weights[stream] < math.inf:
            raise ValueError(f"streams={text!r}: weight {weight!r} of {stream}; needed above 0 and finite")
    return weights
