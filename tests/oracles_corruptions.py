"""Slow, plain versions of corruptions and of damage; nothing here imports lib."""

import math


def joint_dropout(frames, lost, center):
    """Frames (nested lists: time, person, joint, channel) with lost joints at the person's centre."""
    return [
        [
            [list(person[center]) if lost[t][m][v] and v != center else list(person[v]) for v in range(len(person))]
            for m, person in enumerate(persons)
        ]
        for t, persons in enumerate(frames)
    ]


def frame_dropout(frames, lost):
    """Every lost frame but the first repeats the last one that was shown."""
    shown = []
    for t, frame in enumerate(frames):
        shown.append(shown[-1] if t > 0 and lost[t] else frame)
    return shown


def hanging_from(edges, center, torso, root):
    """Parts that fall off when all torso joints are cut out, lack the centre, and had touched `root` alone."""
    left = {v for edge in edges for v in edge} - set(torso)
    found = set()
    while left:
        part, waiting, touched = set(), [left.pop()], set()
        while waiting:
            joint = waiting.pop()
            part.add(joint)
            for a, b in edges:
                for here, there in ((a, b), (b, a)):
                    if here == joint and there in torso:
                        touched.add(there)
                    elif here == joint and there in left:
                        left.remove(there)
                        waiting.append(there)
        if touched == {root} and center not in part:
            found |= part
    return found


def turned(point, degrees):
    """A point (x, y, z) after a turn about y, by the sines and cosines of the angle."""
    x, y, z = point
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [c * x + s * z, y, -s * x + c * z]


def chance_mass(labels):
    """Share of pairs of different clips that differ in class, pair by pair."""
    pairs = [(a, b) for i, a in enumerate(labels) for j, b in enumerate(labels) if i != j]
    return sum(a != b for a, b in pairs) / len(pairs)
