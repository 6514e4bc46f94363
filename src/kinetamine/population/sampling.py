"""Drawing age, sex, weight and height together: the compiled part.

Weight and height of a patient are two correlated standard normal scores, turned into kg and cm by the tables
for sex and age. One Philox block gives all four numbers; a further block is drawn only when a value falls
outside a model's hard limits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kinetamine.engine.random import exp, log, normal_from_uniform, philox, uniform_from_word

__all__ = [
    "DRAWN",
    "GIVEN",
    "SKIPPED",
    "draw_ages",
    "draw_sizes",
    "given_scores",
    "height_of",
    "weight_of",
]

DRAWN, GIVEN, SKIPPED = 0, 1, 2
_ZERO = np.uint64(0)


@njit(cache=True, nogil=True, error_model="numpy")
def _place(ages, start, stop, age):
    """Where an age lies between rows: the lower row and the share of the upper one; flat outside."""
    if age <= ages[start]:
        return start, 0.0
    if age >= ages[stop - 1]:
        return stop - 2, 1.0
    low, high = start, stop - 1
    while high - low > 1:
        middle = (low + high) // 2
        if ages[middle] <= age:
            low = middle
        else:
            high = middle
    return low, (age - ages[low]) / (ages[low + 1] - ages[low])


@njit(cache=True, nogil=True, error_model="numpy")
def _child_curve(t, what, sex, age):
    """L, ln M and S for a measure (0 weight, 1 height), sex and age."""
    curve = 4 * sex + 2 * (age >= 2.0) + what
    i, f = _place(t.child_age, t.child_start[curve], t.child_start[curve + 1], age)
    power = t.child_l[i] + f * (t.child_l[i + 1] - t.child_l[i])
    log_m = t.child_log_m[i] + f * (t.child_log_m[i + 1] - t.child_log_m[i])
    spread = t.child_s[i] + f * (t.child_s[i + 1] - t.child_s[i])
    return power, log_m, spread


@njit(cache=True, nogil=True, error_model="numpy")
def _cole(power, log_m, spread, z):
    """Cole's LMS method, logarithm of the value."""
    if abs(power) < 1e-6:
        return log_m + spread * z
    return log_m + log(max(1.0 + power * spread * z, 1e-6)) / power


@njit(cache=True, nogil=True, error_model="numpy")
def _cole_score(power, log_m, spread, log_value):
    if abs(power) < 1e-6:
        return (log_value - log_m) / spread
    return (exp(power * (log_value - log_m)) - 1.0) / (power * spread)


@njit(cache=True, nogil=True, error_model="numpy")
def _node(values, sex, i, f, k):
    return values[sex, i, k] + f * (values[sex, i + 1, k] - values[sex, i, k])


@njit(cache=True, nogil=True, error_model="numpy")
def _adult(t, values, sex, age, z):
    """Straight lines between the percentiles; outside them the mean slope of the outermost quarter."""
    i, f = _place(t.adult_age, 0, t.adult_age.size, age)
    knots = t.adult_z
    last = knots.size - 1
    if z <= knots[0]:
        v = _node(values, sex, i, f, 0)
        return v + (z - knots[0]) * (_node(values, sex, i, f, 3) - v) / (knots[3] - knots[0])
    if z >= knots[last]:
        v = _node(values, sex, i, f, last)
        return v + (z - knots[last]) * (v - _node(values, sex, i, f, last - 3)) / (
            knots[last] - knots[last - 3]
        )
    k = 0
    while knots[k + 1] < z:
        k += 1
    v = _node(values, sex, i, f, k)
    return v + (z - knots[k]) * (_node(values, sex, i, f, k + 1) - v) / (knots[k + 1] - knots[k])


@njit(cache=True, nogil=True, error_model="numpy")
def _adult_score(t, values, sex, age, value):
    i, f = _place(t.adult_age, 0, t.adult_age.size, age)
    knots = t.adult_z
    last = knots.size - 1
    v = _node(values, sex, i, f, 0)
    if value <= v:
        return knots[0] + (value - v) * (knots[3] - knots[0]) / (_node(values, sex, i, f, 3) - v)
    v = _node(values, sex, i, f, last)
    if value >= v:
        return knots[last] + (value - v) * (knots[last] - knots[last - 3]) / (
            v - _node(values, sex, i, f, last - 3)
        )
    k = 0
    while _node(values, sex, i, f, k + 1) < value:
        k += 1
    v = _node(values, sex, i, f, k)
    return knots[k] + (value - v) * (knots[k + 1] - knots[k]) / (_node(values, sex, i, f, k + 1) - v)


@njit(cache=True, nogil=True, error_model="numpy")
def weight_of(t, sex, age, z):
    """Weight in kg of a person with score `z`."""
    if age >= 20.0:
        return exp(_adult(t, t.adult_log_weight, sex, age, z))
    power, log_m, spread = _child_curve(t, 0, sex, age)
    if abs(z) <= 2.0:
        return exp(_cole(power, log_m, spread, z))
    # Cole's curve explodes in the far tails, where the chart has no data: go on with the last step
    side = 1.0 if z > 0.0 else -1.0
    edge = _cole(power, log_m, spread, 2.0 * side)
    inner = _cole(power, log_m, spread, side)
    return exp(edge + (abs(z) - 2.0) * (edge - inner))


@njit(cache=True, nogil=True, error_model="numpy")
def _weight_score(t, sex, age, weight):
    if age >= 20.0:
        return _adult_score(t, t.adult_log_weight, sex, age, log(weight))
    power, log_m, spread = _child_curve(t, 0, sex, age)
    value = log(weight)
    for side in (-1.0, 1.0):
        edge = _cole(power, log_m, spread, 2.0 * side)
        if (value - edge) * side > 0.0:
            inner = _cole(power, log_m, spread, side)
            return side * (2.0 + (value - edge) / (edge - inner))
    return _cole_score(power, log_m, spread, value)


@njit(cache=True, nogil=True, error_model="numpy")
def height_of(t, sex, age, z):
    """Height in cm (below 2 years: length lying down) of a person with score `z`."""
    if age >= 20.0:
        return _adult(t, t.adult_height, sex, age, z)
    power, log_m, spread = _child_curve(t, 1, sex, age)
    return exp(_cole(power, log_m, spread, z))


@njit(cache=True, nogil=True, error_model="numpy")
def _height_score(t, sex, age, height):
    if age >= 20.0:
        return _adult_score(t, t.adult_height, sex, age, height)
    power, log_m, spread = _child_curve(t, 1, sex, age)
    return _cole_score(power, log_m, spread, log(height))


@njit(cache=True, nogil=True, error_model="numpy")
def draw_ages(seed, stream, first, how, ages, female, out):
    """Fill in age and sex where they are not given; arguments as in `draw_sizes`.

    Parameters
    ----------
    ages : tuple (low, high)
        Years; drawn evenly between them.
    female : float
        Share of women.
    """
    for i in range(out.shape[1]):
        w0, w1, _, _ = philox(seed, stream, _ZERO, np.uint64(first + i), _ZERO, _ZERO)
        if how[0] == DRAWN:
            out[0, i] = ages[0] + uniform_from_word(w0) * (ages[1] - ages[0])
        if how[1] == DRAWN:
            out[1, i] = 0.0 if uniform_from_word(w1) < female else 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def given_scores(t, weight, people):
    """Scores of weights (or heights) that are given, array (patient,); an odd value should not force an odder one.

    Apart from `draw_sizes`, so that a run without them does not wait for this to be compiled.
    """
    scores = np.empty(people.shape[1])
    for i in range(people.shape[1]):
        age, sex = people[0, i], int(people[1, i])
        if weight:
            score = _weight_score(t, sex, age, people[2, i])
        else:
            score = _height_score(t, sex, age, people[3, i])
        scores[i] = min(max(score, -4.0), 4.0)
    return scores


@njit(cache=True, nogil=True, error_model="numpy")
def draw_sizes(seed, stream, first, t, how, known, limits, attempts, out):
    """Fill in weight and height where they are not given.

    Parameters
    ----------
    seed, stream : uint64
    first : int
        Number of the first patient.
    t : Tables
    how : array (4,)
        For age, sex, weight, height: DRAWN, GIVEN (then it stands in `out` already) or, for height, SKIPPED.
    known : array (patient,)
        Scores of what is given of weight and height; not looked at when neither is.
    limits : tuple (lowest weight, highest weight, lowest height, highest height)
        Outside them weight and height are drawn again.
    attempts : int
        How often at most.
    out : array (4, patient)
        Years, 0 female or 1 male, kg, cm.

    Returns
    -------
    int
        Row of a patient whose limits could not be met, else -1.
    """
    if how[2] == GIVEN and how[3] != DRAWN:
        return -1
    for i in range(out.shape[1]):
        age = out[0, i]
        sex = int(out[1, i])
        j, f = _place(t.correlation_age, 0, t.correlation_age.size, age)
        r = t.correlation[sex, j] + f * (t.correlation[sex, j + 1] - t.correlation[sex, j])
        rest = np.sqrt(1.0 - r * r)
        attempt = 0
        while True:
            _, _, w2, w3 = philox(seed, stream, np.uint64(attempt), np.uint64(first + i), _ZERO, _ZERO)
            # the scores of weight and height: one of them is the patient's own where it is given
            a = known[i] if how[2] == GIVEN else normal_from_uniform(uniform_from_word(w2))
            if how[3] != SKIPPED:
                b = known[i] if how[3] == GIVEN else normal_from_uniform(uniform_from_word(w3))
                if how[3] == GIVEN:
                    a = r * b + rest * a
                else:
                    out[3, i] = height_of(t, sex, age, r * a + rest * b)
            if how[2] != GIVEN:
                out[2, i] = weight_of(t, sex, age, a)
            fits = limits[0] <= out[2, i] <= limits[1] or how[2] == GIVEN
            if fits and (how[3] != DRAWN or limits[2] <= out[3, i] <= limits[3]):
                break
            attempt += 1
            if attempt >= attempts:
                return i
    return -1
