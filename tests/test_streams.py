import pytest

from lib import recipes


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("joint", {"joint": 1.0}),
        ("joint+bone", {"joint": 1.0, "bone": 1.0}),
        ("2*joint + 0.5 * bone_motion", {"joint": 2.0, "bone_motion": 0.5}),
    ],
)
def test_streams_are_read(text, weights):
    assert recipes.parse_streams(text) == weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("velocity", "'velocity' is unknown or comes twice"),
        ("joint+joint", "'joint' is unknown or comes twice"),
        ("joint+", "'' is unknown"),
        ("two*joint", "weight 'two' is no number"),
    ],
)
def test_streams_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        recipes.parse_streams(text)
