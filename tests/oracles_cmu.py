"""Slow, plain ways from the files of CMU motion capture to joint positions, frame by frame and bone by bone."""

import numpy as np
from scipy.spatial.transform import Rotation


def rotation(expmap):
    """Matrix for columns of one exponential map."""
    return Rotation.from_rotvec(expmap).as_matrix()


def positions(root, rotations, offsets, parents):
    """One frame: joint v lies at its parent plus its bone, turned by the rotations from the root down to v."""
    result = []
    for v in range(len(parents)):
        way = [v]
        while way[-1] != 0:
            way.append(parents[way[-1]])
        place = np.array(root, dtype=np.float64)
        turned = rotations[0]
        for joint in way[::-1][1:]:
            turned = turned @ rotations[joint]
            place = place + turned @ offsets[joint]
        result.append(place)
    return np.array(result)


def along_bones_of_bvh(expmaps, ends):
    """Rotations for columns of the bones among one frame's nodes; files act on rows, hence the negative maps."""
    return [rotation(-expmap) for expmap, end in zip(expmaps, ends, strict=True) if not end]


def about_own_axes(expmaps, degrees):
    """Rotations in the world of bones whose maps are about their own axes, given as degrees about x, y, z."""
    result = []
    for expmap, (x, y, z) in zip(expmaps, degrees, strict=True):
        axes = Rotation.from_euler("xyz", [x, y, z], degrees=True).as_matrix()
        result.append(axes @ rotation(-expmap) @ axes.T)
    return result


def as_written(degrees):
    """Exponential map of the root as the action files hold it: angles about z, y, x composed about z, x, y."""
    z, y, x = degrees
    return -Rotation.from_euler("ZXY", [z, x, y], degrees=True).as_rotvec()


def as_meant(degrees):
    """Matrix for columns of the same angles, about z, y, x."""
    return Rotation.from_euler("ZYX", degrees, degrees=True).as_matrix()
