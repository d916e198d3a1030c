"""Eight numbers at once: what compiled loops say to the processor where the compiler does not find it by itself.

Each is a line or two of LLVM's own language, which has vectors on every processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES: Final = 8

_BITS, _WORD = ir.IntType(LANES), ir.IntType(64)


def _eight(context: Any, builder: Any, array: Any, index: Any, kind: Any) -> Any:
    """Eight numbers of an array from an index on."""
    number = context.get_value_type(kind.dtype)
    place = builder.gep(context.make_array(kind)(context, builder, array).data, [index])
    found = builder.load(builder.bitcast(place, ir.VectorType(number, LANES).as_pointer()))
    found.align = kind.dtype.bitwidth // 8
    return found


def _repeated(builder: Any, value: Any) -> Any:
    """A number eight times."""
    row = ir.VectorType(value.type, LANES)
    alone = builder.insert_element(ir.Constant(row, ir.Undefined), value, _WORD(0))
    return builder.shuffle_vector(alone, alone, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _in_place(typed: Callable[..., Any]) -> Callable[..., Any]:
    """A function of compiled code whose body is put where it is called."""
    return cast(Callable[..., Any], intrinsic(typed))


def _comparison(sign: str) -> Callable[..., Any]:
    def compare(typing: Any, values: Any, index: Any, bound: Any) -> Any:
        def body(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            found = _eight(context, builder, given[0], given[1], signature.args[0])
            flags = builder.fcmp_ordered(sign, found, _repeated(builder, given[2]))
            return builder.zext(builder.bitcast(flags, _BITS), _WORD)

        return types.uint64(values, types.uint64, values.dtype), body

    return _in_place(compare)


#: above(values, index, bound): which of values[index : index + 8] are above `bound`; the lowest bit is the first of them. A
#: NaN is neither above nor below. Nobody asks whether all eight are there.
above = _comparison(">")
#: below(values, index, bound): the same of those below.
below = _comparison("<")


def _ones(typing: Any, bits: Any) -> Any:
    def body(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.ctpop(given[0])

    return types.uint64(types.uint64), body


#: ones(bits): how many bits are set.
ones = _in_place(_ones)


def _lowest(typing: Any, bits: Any) -> Any:
    def body(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), body


#: lowest(bits): the place of the lowest bit set; 64 where none is.
lowest = _in_place(_lowest)


def _fetch(to_write: bool) -> Callable[..., Any]:
    def fetch(typing: Any, values: Any, index: Any) -> Any:
        def body(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            place = builder.gep(context.make_array(signature.args[0])(context, builder, given[0]).data, [given[1]])
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
            fetched = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
            builder.call(fetched, [builder.bitcast(place, byte), word(int(to_write)), word(3), word(1)])
            return context.get_dummy_value()

        return types.none(values, types.uint64), body

    return _in_place(fetch)


#: ask(values, index): have the cache line of a number fetched while other work is done. `values` counts as flat; an index
#: that is not there does no harm.
ask = _fetch(to_write=False)
#: ask_to_write(values, index): the same of a number that will be written.
ask_to_write = _fetch(to_write=True)
