"""The six networks on video, small enough for tests."""

SMALL = {
    "i3d": {"width": 0.125},
    "mfnet": {"width": 0.25, "groups": 4},
    "resnet50": {"width": 0.125},
    "resnet101": {"width": 0.0625},
    "resnet152": {"width": 0.0625},
    "resnext101": {"width": 0.125, "groups": 8},
}
