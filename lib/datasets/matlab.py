"""One numeric array out of a MATLAB 5 file, read with every size checked.

``scipy.io.loadmat`` ends the whole process (segmentation fault, SciPy 1.17) on some damaged files, so files that
strangers hand on are read here. Layout: MathWorks, "MAT-File Format", level 5.
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

MAX_BYTES = 16_000_000  # of one inflated variable
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMERIC_CLASSES = range(6, 16)  # double, single, then integers; lower ones are cell, struct, object, char, sparse
_COMPLEX = 0x0800


def read(contents: bytes, name: str) -> np.ndarray:
    """Return the real numeric array called `name`.

    Raises
    ------
    ValueError
        Not a MATLAB 5 file, damaged, no such variable, or one that is not a real numeric array.
    """
    mark = contents[126:128]
    if len(contents) < _HEADER or mark not in (b"IM", b"MI"):
        raise ValueError("not a MATLAB 5 file")
    order = "<" if mark == b"IM" else ">"
    found = []
    for kind, body in _elements(contents[_HEADER:], order, padded=False):
        if kind == _COMPRESSED:
            inner = list(_elements(_inflate(body), order, padded=True))
            if len(inner) != 1:
                raise ValueError(f"a compressed element holds {len(inner)} variables, needed 1")
            kind, body = inner[0]
        if kind != _MATRIX:
            continue
        parts = list(_elements(body, order, padded=True))
        if len(parts) < 3:
            raise ValueError(f"a variable of {len(parts)} parts, needed flags, size and name")
        found.append(parts[2][1].decode("ascii", errors="replace"))
        if found[-1] == name:
            return _array(parts, order)
    raise ValueError(f"no variable {name}; found {found}")


def _elements(data: bytes, order: str, *, padded: bool) -> Iterator[tuple[int, bytes]]:
    """Yield (type, contents) of each tagged element; those inside a variable are padded to 8 bytes."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError(f"{len(data) - at} bytes left where a tag of 8 was due")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # small element: type and size share the first word, contents take the second
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            end, following = start + size, at + 8
            if size > 4:
                raise ValueError(f"a small element of {size} bytes, at most 4 fit")
        else:
            start, end = at + 8, at + 8 + size
            following = end + (-size % 8 if padded or kind != _COMPRESSED else 0)
        if end > len(data):
            raise ValueError(f"an element of {size} bytes where {len(data) - start} are left")
        yield kind, data[start:end]
        at = following


def _inflate(body: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(body, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"a compressed variable is damaged ({error})") from error
    if not stream.eof:
        raise ValueError(f"a compressed variable is cut off or larger than {MAX_BYTES} bytes")
    return data


def _array(parts: list[tuple[int, bytes]], order: str) -> np.ndarray:
    (_, flags), (_, size), _, *values = parts
    if len(flags) != 8 or len(size) < 8 or len(size) % 4:
        raise ValueError("array flags or sizes are damaged")
    flag = struct.unpack(f"{order}II", flags)[0]
    shape = struct.unpack(f"{order}{len(size) // 4}i", size)
    if flag & 0xFF not in _NUMERIC_CLASSES or flag & _COMPLEX or len(values) != 1 or values[0][0] not in _NUMBERS:
        raise ValueError("not a real numeric array")
    kind, body = values[0]
    dtype = np.dtype(order + _NUMBERS[kind])
    if min(shape) < 0 or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(body):
        raise ValueError(f"size {shape} needs another number of bytes than {len(body)}")
    return np.frombuffer(body, dtype).reshape(shape, order="F")
