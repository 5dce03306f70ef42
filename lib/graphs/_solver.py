"""The non-negative quadratic programs of NNK, solved exactly; plain arrays in, plain arrays out.

Each clip i with candidates S has its own small problem: minimise ½ θᵀ K_SS θ - θᵀ k_Si over θ >= 0, given as a local
system (:mod:`lib.graphs._systems`).

Everything that `solve_systems` calls stays in this file: Numba's cache on disk notices changes of the file of the
compiled function alone, and would go on using what it had inlined from another. `no_type_check` keeps the typing hook
of the tests from wrapping functions before Numba sees them.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from lib.graphs._kernels import RIDGE

OPTIMAL = 1e-11  # a candidate may enter while the objective falls faster than this, relative to its largest k_Si
SUPPORT = 1e-10  # weights below this fraction of the clip's largest are rounding, not neighbours
VECTOR = 8  # numbers that the loops of a factorisation take at once
_FREE, _PASSIVE, _BLOCKED = 0, 1, 2


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
@no_type_check
def _squared_norm(system):
    total = 0.0
    for i in range(len(system)):
        line = system[i]
        for j in range(line.size):
            total += line[j] * line[j]
    return total


@njit(cache=True, nogil=True, fastmath={"contract"})
@no_type_check
def _factorise(system, shift, upper, line):
    """Cholesky factor U, UᵀU = system + shift·I, four pivots at a time; returns how many pivots were positive.

    Its last column solves Uᵀu = k_Si on the way, because k_Si is the last column of the system. Rows are padded to
    whole vectors, start at one, and are finished in `line`, an array of its own: without that, half the time goes into
    the ends of short loops.
    """
    size = len(system)
    for i in range(size):
        start = i // VECTOR * VECTOR
        for j in range(size):
            line[j] = system[i, j]
        line[i] += shift
        rest = line[start:]
        r = 0
        while r + 4 <= i:
            u0, u1, u2, u3 = upper[r, i], upper[r + 1, i], upper[r + 2, i], upper[r + 3, i]
            a, b, c, d = upper[r, start:], upper[r + 1, start:], upper[r + 2, start:], upper[r + 3, start:]
            for j in range(rest.size):
                rest[j] -= u0 * a[j] + u1 * b[j] + u2 * c[j] + u3 * d[j]
            r += 4
        while r < i:
            u0, a = upper[r, i], upper[r, start:]
            for j in range(rest.size):
                rest[j] -= u0 * a[j]
            r += 1
        if not line[i] > 0.1 * shift:
            return i
        inverse = 1.0 / np.sqrt(line[i])
        for j in range(i, size):
            upper[i, j] = line[j] * inverse
    return size


@njit(cache=True, nogil=True, fastmath={"contract"})
@no_type_check
def _append(system, target, order, place, shift, upper, forward, column):
    """Add candidate `order[place]` to a Cholesky factor and its forward solution; False if it depends on the others."""
    member = order[place]
    for q in range(place):
        column[q] = system[member, order[q]]
    pivot, rest = system[member, member] + shift, target[member]
    for q in range(place):
        value = column[q] / upper[q, q]
        column[q] = value
        for r in range(q + 1, place):
            column[r] -= value * upper[q, r]
        pivot -= value * value
        rest -= value * forward[q]
    if not pivot > 0.1 * shift:
        return False
    for q in range(place):
        upper[q, place] = column[q]
    upper[place, place] = np.sqrt(pivot)
    forward[place] = rest / upper[place, place]
    return True


@njit(cache=True, nogil=True, fastmath={"contract"})
@no_type_check
def _remove(place, size, upper, forward):
    """Take a candidate out of a Cholesky factor of `size` and its forward solution, by plane rotations."""
    for q in range(size):
        for r in range(max(q, place + 1), size):
            upper[q, r - 1] = upper[q, r]
    for q in range(place, size - 1):  # row q + 1 still has an entry left of the diagonal, in column q
        a, b = upper[q, q], upper[q + 1, q]
        length = np.sqrt(a * a + b * b)
        c, s = a / length, b / length
        for r in range(q, size - 1):
            above, below = upper[q, r], upper[q + 1, r]
            upper[q, r] = c * above + s * below
            upper[q + 1, r] = c * below - s * above
        first, second = forward[q], forward[q + 1]
        forward[q], forward[q + 1] = c * first + s * second, c * second - s * first


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
@no_type_check
def _back_substitute(upper, forward, size, solution):
    for q in range(size - 1, -1, -1):
        value = forward[q]
        for r in range(q + 1, size):
            value -= upper[q, r] * solution[r]
        solution[q] = value / upper[q, q]


@njit(cache=True, nogil=True)
@no_type_check
def _drop_zeros(system, target, shift, order, size, upper, forward, column, theta, state):
    """Take candidates whose weight reached 0 out of the passive set and mend the factor; returns the new size."""
    kept, first = 0, size
    for q in range(size):
        member = order[q]
        if theta[member] <= 0.0:
            theta[member] = 0.0
            state[member] = _FREE
            first = min(first, q)
        else:
            order[kept] = member
            kept += 1
    if size - kept == 1:
        _remove(first, size, upper, forward)
        return kept
    if _refactorise(system, target, order, kept, shift, upper, forward, column):
        return kept
    size, q = kept, first
    while q < size:
        if _append(system, target, order, q, shift, upper, forward, column):
            q += 1
            continue
        theta[order[q]] = 0.0  # rounding only: a part of a positive definite matrix is positive definite
        state[order[q]] = _BLOCKED
        for r in range(q, size - 1):
            order[r] = order[r + 1]
        size -= 1
    return size


@njit(cache=True, nogil=True)
@no_type_check
def _refactorise(system, target, order, size, shift, upper, forward, column):
    """Factorise the part of the passive set as a whole; False if rounding makes it indefinite."""
    part = np.empty((size + 1, size + 1))
    for q in range(size):
        line = system[order[q]]
        for r in range(q, size):
            part[q, r] = line[order[r]]
        part[q, size] = target[order[q]]
    part[size, size] = 0.0  # the clip's own row comes last and is not needed
    width = -(-(size + 1) // VECTOR) * VECTOR
    if _factorise(part, shift, upper[:, :width], column[:width]) < size:
        return False
    for q in range(size):
        forward[q] = upper[q, size]
    return True


@njit(cache=True, nogil=True, fastmath={"contract"})
@no_type_check
def _descend(system, order, size, solution, descent):
    """Subtract K_jS solution from `descent` (k), four members of S at a time."""
    q = 0
    while q + 4 <= size:
        s0, s1, s2, s3 = solution[q], solution[q + 1], solution[q + 2], solution[q + 3]
        a, b, c, d = system[order[q]], system[order[q + 1]], system[order[q + 2]], system[order[q + 3]]
        for j in range(descent.size):
            descent[j] -= s0 * a[j] + s1 * b[j] + s2 * c[j] + s3 * d[j]
        q += 4
    while q < size:
        s0, a = solution[q], system[order[q]]
        for j in range(descent.size):
            descent[j] -= s0 * a[j]
        q += 1


@njit(cache=True, nogil=True)
@no_type_check
def _active_set(system, target, shift, tolerance, order, size, upper, forward, column, solution, theta, state):
    """Exact weights: candidates enter one by one, leave when their weight reaches 0, and may enter again.

    Starts from `size` candidates whose unbounded `solution` is positive, or from none. Ends because a step that lowers
    the objective leaves a set of neighbours for good, and k steps in a row that do not (rounding) end the search.
    """
    k = target.size
    theta[:] = 0.0
    state[:] = _FREE
    for q in range(size):
        state[order[q]] = _PASSIVE
    best, stalled = 0.0, 0
    descent = target.copy()
    for q in range(size):
        theta[order[q]] = solution[q]
        best += solution[q] * target[order[q]]
    _descend(system, order, size, solution, descent)
    while stalled <= k:
        entering = -1
        for j in range(k):
            if state[j] == _FREE and descent[j] > tolerance and (entering < 0 or descent[j] > descent[entering]):
                entering = j
        if entering < 0:
            break
        order[size] = entering
        if not _append(system, target, order, size, shift, upper, forward, column):
            state[entering] = _BLOCKED
            continue
        _back_substitute(upper, forward, size + 1, solution)
        if solution[size] <= 0.0:  # rounding: its weight must rise, as the objective falls along it
            state[entering] = _BLOCKED
            continue
        state[entering] = _PASSIVE
        size += 1
        while True:
            step, leaving = 1.0, -1
            for q in range(size):
                if solution[q] <= 0.0:
                    ratio = theta[order[q]] / (theta[order[q]] - solution[q])
                    if leaving < 0 or ratio < step:
                        step, leaving = ratio, order[q]
            if leaving < 0:
                break
            for q in range(size):
                theta[order[q]] += step * (solution[q] - theta[order[q]])
            theta[leaving] = 0.0
            size = _drop_zeros(system, target, shift, order, size, upper, forward, column, theta, state)
            _back_substitute(upper, forward, size, solution)
        gain = 0.0  # -2 x objective at an optimum over the passive set
        descent[:] = target
        for q in range(size):
            member = order[q]
            theta[member] = solution[q]
            gain += solution[q] * target[member]
        _descend(system, order, size, solution, descent)
        if gain > best:
            best, stalled = gain, 0
            for j in range(k):
                if state[j] == _BLOCKED:
                    state[j] = _FREE
        else:
            stalled += 1
            if state[entering] == _FREE:
                state[entering] = _BLOCKED


@njit(cache=True, nogil=True)
@no_type_check
def _independent(system, target, order, shift, upper, forward, column):
    """Factorise what candidates do not depend on those before them; returns how many, first in `order`."""
    size = 0
    for j in range(target.size):
        order[size] = j
        size += _append(system, target, order, size, shift, upper, forward, column)
    return size


@njit(cache=True, nogil=True)
@no_type_check
def _prune(system, target, shift, order, size, upper, forward, column, solution, theta, state):
    """Drop what is not positive of the unbounded `solution`, solve again; nobody returns (the published heuristic).

    Returns how many candidates are left, first in `order`.
    """
    while True:
        all_positive = True
        theta[:] = 0.0
        for q in range(size):
            theta[order[q]] = solution[q]
            all_positive = all_positive and solution[q] > 0.0
        if all_positive:
            return size
        size = _drop_zeros(system, target, shift, order, size, upper, forward, column, theta, state)
        _back_substitute(upper, forward, size, solution)


@njit(cache=True, nogil=True)
@no_type_check
def solve_systems(systems, exact, weights, errors, residuals, norms, indefinite):
    """Solve each local system into row r of `weights` (B, k).

    Also filled, (B,) each: reconstruction `errors`, KKT `residuals`, squared Frobenius `norms` of the systems, and
    `indefinite` where a system is not positive semi-definite (its weights may then be no minimum).
    """
    k = systems.shape[1] - 1
    width = -(-(k + 1) // VECTOR) * VECTOR
    upper, column = np.zeros((k + 1, width)), np.zeros(width)  # what lies left of the diagonal must be finite
    forward, solution, gradient = np.empty(k + 1), np.empty(k + 1), np.empty(k)
    order, state = np.empty(k + 1, np.int64), np.empty(k, np.int64)
    for row in range(len(systems)):
        system, theta = systems[row], weights[row]
        target = system[k, :k]
        norms[row] = _squared_norm(system)
        scale, largest = 0.0, 0.0
        for a in range(k + 1):
            scale = max(scale, system[a, a])
            if a < k:
                largest = max(largest, target[a])
        shift = RIDGE * scale
        size = _factorise(system, shift, upper, column)
        indefinite[row] = size <= k
        theta[:] = 0.0
        if largest > 1e-290:  # below, products underflow: the clip is similar to nobody
            if size >= k:
                size = k
                for q in range(k):
                    order[q], forward[q] = q, upper[q, k]
            elif exact:
                size = 0
            else:
                size = _independent(system, target, order, shift, upper, forward, column)
            _back_substitute(upper, forward, size, solution)
            num_negative = 0
            for q in range(size):
                num_negative += solution[q] < 0.0
            if num_negative == 0 and size == k:
                theta[:] = solution[:k]
            else:
                if exact and 8 * num_negative >= 3 * size:  # many to drop: sooner there from none than from all
                    size = 0
                size = _prune(system, target, shift, order, size, upper, forward, column, solution, theta, state)
                if exact:
                    tolerance = OPTIMAL * largest
                    _active_set(
                        system, target, shift, tolerance, order, size, upper, forward, column, solution, theta, state
                    )
        heaviest = theta.max()
        for j in range(k):
            if theta[j] < SUPPORT * heaviest:
                theta[j] = 0.0
        error, residual = system[k, k], 0.0
        size = 0
        for j in range(k):
            if theta[j] > 0.0:
                order[size], solution[size] = j, -theta[j]
                size += 1
        gradient[:] = 0.0
        _descend(system, order, size, solution, gradient)
        for j in range(k):
            error += theta[j] * (gradient[j] - 2.0 * target[j])
            residual = max(residual, abs(min(theta[j], (gradient[j] - target[j]) / scale)))
        errors[row] = max(error, 0.0)
        residuals[row] = residual
