"""Eight patients side by side: a vector of eight doubles as a Numba value.

LLVM does not find this vectorisation by itself, because it cannot prove that the arrays of a kernel do not
overlap; written with explicit vectors the stepping of a linear model is five times faster than with loops
over patients. On a machine without 512-bit registers LLVM splits each vector into smaller ones.

Memory is addressed by plain pointers to C-contiguous ``float64`` arrays of shape (rows, 8), got by
:func:`rows`; `i` is the row. Arrays themselves would be reference-counted at every call, which takes longer
than the arithmetic. Whoever holds a pointer must keep the array alive.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

__all__ = ["LANES", "add", "blend", "fma", "load", "mul", "rows", "scatter", "splat", "store", "sub", "zero"]

LANES = 8

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


class LanesType(types.Type):
    """Numba type of eight doubles held in registers."""

    def __init__(self) -> None:
        super().__init__(name="Lanes8")


lanes_type = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


_POINTER = types.CPointer(types.float64)


@intrinsic
def rows(typing_context, array):  # type: ignore[no-untyped-def]
    """Pointer to the first number of an array."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return _POINTER(array), codegen


def _row(builder: Any, pointer: Any, row: Any) -> Any:
    offset = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(pointer, [offset]), _VECTOR.as_pointer())


@intrinsic
def load(typing_context, pointer, i):  # type: ignore[no-untyped-def]
    """Row `i`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.load(_row(builder, *args), align=8)

    return lanes_type(_POINTER, types.intp), codegen


@intrinsic
def store(typing_context, pointer, i, value):  # type: ignore[no-untyped-def]
    """Write row `i`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        builder.store(args[2], _row(builder, args[0], args[1]), align=8)
        return context.get_dummy_value()

    return types.void(_POINTER, types.intp, lanes_type), codegen


@intrinsic
def scatter(typing_context, pointer, first, stride, value):  # type: ignore[no-untyped-def]
    """Write the lanes to numbers `first`, `first` + `stride`, … behind a pointer."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pointer, at, stride, value = args
        for lane in range(LANES):
            one = builder.extract_element(value, ir.Constant(ir.IntType(32), lane))
            builder.store(one, builder.gep(pointer, [at]))
            at = builder.add(at, stride)
        return context.get_dummy_value()

    return types.void(_POINTER, types.intp, types.intp, lanes_type), codegen


@intrinsic
def fma(typing_context, a, b, c):  # type: ignore[no-untyped-def]
    """a · b + c with one rounding."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f64"
        )
        return builder.call(function, args)

    return lanes_type(lanes_type, lanes_type, lanes_type), codegen


def _binary(operation: str) -> Any:
    @intrinsic
    def function(typing_context, a, b):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return getattr(builder, operation)(*args)

        return lanes_type(lanes_type, lanes_type), codegen

    return function


add = _binary("fadd")
sub = _binary("fsub")
mul = _binary("fmul")


@intrinsic
def zero(typing_context):  # type: ignore[no-untyped-def]
    """Eight zeros."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return ir.Constant(_VECTOR, [0.0] * LANES)

    return lanes_type(), codegen


@intrinsic
def splat(typing_context, value):  # type: ignore[no-untyped-def]
    """The same number in all eight lanes."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        index = ir.IntType(32)
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), args[0], index(0))
        mask = ir.Constant(ir.VectorType(index, LANES), [0] * LANES)
        return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), mask)

    return lanes_type(types.float64), codegen


@intrinsic
def blend(typing_context, switch, a, b):  # type: ignore[no-untyped-def]
    """`a` where `switch` is above 0.5, else `b`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        half = ir.Constant(_VECTOR, [0.5] * LANES)
        return builder.select(builder.fcmp_ordered(">", args[0], half), args[1], args[2])

    return lanes_type(lanes_type, lanes_type, lanes_type), codegen
