"""Random numbers that belong to a patient, not to a run.

Philox4x64-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
doi:10.1145/2063384.2063405) is a function, not a sequence: key ``(seed, stream)`` and counter
``(draw block, patient)`` give four 64-bit words. So a patient's numbers depend on nothing but seed, stream
and patient number: not on the size of a block, the number of threads or who was drawn before.

Normals come from the inverse of the normal distribution (Wichura 1988, algorithm AS 241, PPND16, relative
error about 1e-16), so equal words give equal normals in every order. `log` and `exp` are written out here
with nothing but IEEE additions, multiplications, divisions and square roots: libm's last bit differs between
machines, these do not.

All kernels release the GIL and are serial: a caller that wants threads gives each thread its own rows of
`out`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "exp",
    "fill_normals",
    "fill_uniforms",
    "log",
    "normal_from_uniform",
    "normals",
    "philox",
    "raw",
    "stream_number",
    "uniform_from_word",
    "uniforms",
]

_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)  # Philox4x64 multipliers
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)  # Weyl steps of the key
_SHIFT = np.uint64(12)
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_HALF_STEP = 2.0**-53
_FAR = 1.3887943864964021e-11  # exp(-25), where Wichura changes his rational function


def stream_number(*names: str) -> int:
    """A number for a named stream of draws; the same in every process and version.

    Examples
    --------
    >>> stream_number("eta", "CL") == stream_number("eta", "CL") != stream_number("eta", "V1")
    True
    """
    digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _high_word_code(typingctx: Any, a: Any, b: Any) -> Any:
    """Upper 64 bits of a 64 x 64 bit product: one machine instruction, which Numba has no name for."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), codegen


_high_word: Any = intrinsic(_high_word_code)


def _bits_of_code(typingctx: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(types.float64), codegen


_bits_of: Any = intrinsic(_bits_of_code)


def _float_of_code(typingctx: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


_float_of: Any = intrinsic(_float_of_code)


@njit(cache=True, nogil=True, error_model="numpy")
def philox(key0, key1, c0, c1, c2, c3):
    """Four 64-bit words for a 128-bit key and a 256-bit counter (all ``uint64``)."""
    for _ in range(10):
        hi0 = _high_word(_M0, c0)
        lo0 = _M0 * c0
        hi1 = _high_word(_M1, c2)
        lo1 = _M1 * c2
        c0 = hi1 ^ c1 ^ key0
        c1 = lo1
        c2 = hi0 ^ c3 ^ key1
        c3 = lo0
        key0 = key0 + _W0
        key1 = key1 + _W1
    return c0, c1, c2, c3


@njit(cache=True, nogil=True, error_model="numpy")
def uniform_from_word(word):
    """A number strictly between 0 and 1, symmetric about a half; 52 bits, so that every value is exact."""
    return np.float64(word >> _SHIFT) * (2.0 * _HALF_STEP) + _HALF_STEP


@njit(cache=True, nogil=True, error_model="numpy")
def log(x):
    """Natural logarithm of a normal positive number, the same bits on every IEEE machine (error < 2 ulp)."""
    bits = _bits_of(x)
    exponent = np.int64(bits >> np.uint64(52)) - 1023
    m = _float_of((bits & np.uint64(0xFFFFFFFFFFFFF)) | np.uint64(0x3FF0000000000000))
    if m > 1.4142135623730951:
        m = m * 0.5
        exponent += 1
    # log m = 2 artanh(s), |s| <= 0.172: the series is below 1e-17 after s^23
    s = (m - 1.0) / (m + 1.0)
    t = s * s
    tail = 1 / 23
    tail = tail * t + 1 / 21
    tail = tail * t + 1 / 19
    tail = tail * t + 1 / 17
    tail = tail * t + 1 / 15
    tail = tail * t + 1 / 13
    tail = tail * t + 1 / 11
    tail = tail * t + 1 / 9
    tail = tail * t + 1 / 7
    tail = tail * t + 1 / 5
    tail = tail * t + 1 / 3
    tail = tail * t
    e = np.float64(exponent)
    # ln 2 in two parts: the first has trailing zeros, so e * first is exact
    return e * 6.93147180369123816490e-01 + (2.0 * s + (2.0 * s * tail + e * 1.90821492927058770002e-10))


@njit(cache=True, nogil=True, error_model="numpy")
def exp(x):
    """Exponential for ``|x| < 700``, the same bits on every IEEE machine (error < 2 ulp)."""
    k = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10
    # Taylor series, |r| <= 0.347: the term after r^13 / 13! is below 1e-17
    p = 1.0 + r / 13.0
    for i in range(12, 0, -1):
        p = 1.0 + r * p / i
    return p * _float_of(np.uint64(np.int64(k) + 1023) << np.uint64(52))


@njit(cache=True, nogil=True, error_model="numpy")
def _central(q):
    """Wichura's rational function for the middle 85 % of the distribution; q = u - 1/2."""
    r = 0.180625 - q * q
    num = 2509.0809287301226727
    num = num * r + 33430.575583588128105
    num = num * r + 67265.770927008700853
    num = num * r + 45921.953931549871457
    num = num * r + 13731.693765509461125
    num = num * r + 1971.5909503065514427
    num = num * r + 133.14166789178437745
    num = num * r + 3.387132872796366608
    den = 5226.495278852545925
    den = den * r + 28729.085735721942674
    den = den * r + 39307.89580009271061
    den = den * r + 21213.794301586595867
    den = den * r + 5394.1960214247511077
    den = den * r + 687.1870074920579083
    den = den * r + 42.313330701600911252
    den = den * r + 1.0
    return q * num / den


@njit(cache=True, nogil=True, error_model="numpy")
def _tail(p):
    """Wichura's rational function for the outer 15 %: how far out a tail of share p begins, 1e-11 < p."""
    r = np.sqrt(-log(p)) - 1.6
    num = 7.7454501427834140764e-4
    num = num * r + 0.0227238449892691845833
    num = num * r + 0.24178072517745061177
    num = num * r + 1.27045825245236838258
    num = num * r + 3.64784832476320460504
    num = num * r + 5.7694972214606914055
    num = num * r + 4.6303378461565452959
    num = num * r + 1.42343711074968357734
    den = 1.05075007164441684324e-9
    den = den * r + 5.475938084995344946e-4
    den = den * r + 0.0151986665636164571966
    den = den * r + 0.14810397642748007459
    den = den * r + 0.68976733498510000455
    den = den * r + 1.6763848301838038494
    den = den * r + 2.05319162663775882187
    den = den * r + 1.0
    return num / den


@njit(cache=True, nogil=True, error_model="numpy")
def _far_tail(p):
    """The same for p < exp(-25): once in 36,000 million draws."""
    r = np.sqrt(-log(p)) - 5.0
    num = 2.01033439929228813265e-7
    num = num * r + 2.71155556874348757815e-5
    num = num * r + 0.0012426609473880784386
    num = num * r + 0.026532189526576123093
    num = num * r + 0.29656057182850489123
    num = num * r + 1.7848265399172913358
    num = num * r + 5.4637849111641143699
    num = num * r + 6.6579046435011037772
    den = 2.04426310338993978564e-15
    den = den * r + 1.4215117583164458887e-7
    den = den * r + 1.8463183175100546818e-5
    den = den * r + 7.868691311456132591e-4
    den = den * r + 0.0148753612908506148525
    den = den * r + 0.13692988092273580531
    den = den * r + 0.59983220655588793769
    den = den * r + 1.0
    return num / den


@njit(cache=True, nogil=True, error_model="numpy")
def normal_from_uniform(u):
    """The standard normal value below which a share `u` lies, 0 < u < 1."""
    p = min(u, 1.0 - u)
    if p >= 0.075:
        return _central(u - 0.5)
    value = _tail(p) if p > _FAR else _far_tail(p)
    return -value if u < 0.5 else value


@njit(cache=True, nogil=True, error_model="numpy")
def _normals_from_uniforms(values):
    """In place, the same bits as `normal_from_uniform` one by one.

    The middle is computed for all and the outer 15 % are collected and computed together: without branches
    both loops vectorise.
    """
    chunk = 1024
    kept = np.empty(chunk)
    share = np.empty(chunk)
    place = np.empty(chunk, np.int64)
    for begin in range(0, values.size, chunk):
        part = values[begin : begin + chunk]
        count = part.size
        outer = 0
        for i in range(count):
            u = part[i]
            kept[i] = u
            place[outer] = i
            share[outer] = min(u, 1.0 - u)
            outer += 0.075 > share[outer]
        for i in range(count):
            part[i] = _central(part[i] - 0.5)
        for i in range(outer):
            share[i] = _tail(share[i])
        for i in range(outer):
            u = kept[place[i]]
            value = share[i]
            if min(u, 1.0 - u) <= _FAR:
                value = _far_tail(min(u, 1.0 - u))
            part[place[i]] = -value if u < 0.5 else value


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_words(seed, stream, first, draw, out):
    n, m = out.shape
    for i in range(n):
        patient = np.uint64(first + i)
        block = draw // 4
        skip = draw - 4 * block
        j = -skip
        while j < m:
            words = philox(seed, stream, np.uint64(block), patient, _ZERO, _ZERO)
            for k in range(4):
                if 0 <= j + k < m:
                    out[i, j + k] = words[k]
            j += 4
            block += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_uniforms(seed, stream, first, draw, out):
    n, m = out.shape
    start = draw // 4
    skip = draw - 4 * start
    for i in range(n):
        patient = np.uint64(first + i)
        block = start
        j = -skip
        while j < m:
            w0, w1, w2, w3 = philox(seed, stream, np.uint64(block), patient, _ZERO, _ZERO)
            if j >= 0:
                out[i, j] = uniform_from_word(w0)
            if 0 <= j + 1 < m:
                out[i, j + 1] = uniform_from_word(w1)
            if 0 <= j + 2 < m:
                out[i, j + 2] = uniform_from_word(w2)
            if 0 <= j + 3 < m:
                out[i, j + 3] = uniform_from_word(w3)
            j += 4
            block += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_normals(seed, stream, first, draw, out):
    _fill_uniforms(seed, stream, first, draw, out)
    for i in range(out.shape[0]):
        _normals_from_uniforms(out[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_normals_flat(seed, stream, first, draw, out):
    _fill_uniforms(seed, stream, first, draw, out)
    _normals_from_uniforms(out.reshape(-1))


def raw(seed: int, stream: int, first: int, n: int, m: int, draw: int = 0) -> np.ndarray:
    """The generator's words themselves, ``uint64`` array (patient, draw).

    Examples
    --------
    >>> raw(1, 2, 0, 10, 3)[4:6].tolist() == raw(1, 2, 4, 2, 3).tolist()
    True
    """
    out = np.empty((n, m), dtype=np.uint64)
    _fill_words(np.uint64(seed), np.uint64(stream), first, draw, out)
    return out


def fill_uniforms(seed: int, stream: int, first: int, out: np.ndarray, draw: int = 0) -> None:
    """Write uniforms for patients ``first, first + 1, …`` into `out` (patient, draw); releases the GIL.

    Parameters
    ----------
    seed, stream : int
        The key, both below 2**64; see `stream_number`.
    first : int
        Number of the patient in row 0.
    out : array (patient, draw), float64
    draw : int
        Number of the draw in column 0.
    """
    _fill_uniforms(np.uint64(seed), np.uint64(stream), first, draw, out)


def fill_normals(seed: int, stream: int, first: int, out: np.ndarray, draw: int = 0) -> None:
    """Write standard normals for patients ``first, first + 1, …`` into `out`; as `fill_uniforms`."""
    kernel = _fill_normals_flat if out.flags.c_contiguous else _fill_normals
    kernel(np.uint64(seed), np.uint64(stream), first, draw, out)


def uniforms(seed: int, stream: int, first: int, n: int, m: int, draw: int = 0) -> np.ndarray:
    """Uniform numbers strictly between 0 and 1, array (patient, draw).

    Examples
    --------
    >>> u = uniforms(seed=1, stream=7, first=0, n=4, m=2)
    >>> bool((u[2:] == uniforms(seed=1, stream=7, first=2, n=2, m=2)).all())
    True
    """
    out = np.empty((n, m))
    fill_uniforms(seed, stream, first, out, draw)
    return out


def normals(seed: int, stream: int, first: int, n: int, m: int, draw: int = 0) -> np.ndarray:
    """Standard normal numbers, array (patient, draw).

    Examples
    --------
    >>> z = normals(seed=1, stream=7, first=0, n=1000, m=2)
    >>> bool((z[600:603] == normals(seed=1, stream=7, first=600, n=3, m=2)).all())
    True
    """
    out = np.empty((n, m))
    fill_normals(seed, stream, first, out, draw)
    return out
