"""Random bits, 64 at a time, and vectors that keep the lanes whose bit is set."""

from llvmlite import ir
from numba import types

from .vector import instruction, llvm_vector, splat

# columns per word of `kept_bits`
WORD = 64
# the numbers of a hash that each decide about one column: of 16 bits, four to a hash
DRAW_BITS = 16
_HASHES = WORD * DRAW_BITS // 64
# SplitMix64, as in `random`
_GOLDEN = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


def _all(kind, number):
    return ir.Constant(kind, [kind.element(number)] * kind.count)


@instruction
def kept_bits(key, index, threshold):
    """Return 64 bits as an integer: bit c is whether draw ``64 index + c`` is `threshold` or more.

    Draw d is part ``d mod 4``, from the low end, of number ``d div 4`` of stream `key`: a number
    from 0 to 65,535.
    """

    def emit(builder, key, index, threshold):
        kind = ir.VectorType(ir.IntType(64), _HASHES)
        first = builder.add(
            key, builder.mul(builder.mul(index, key.type(_HASHES)), key.type(_GOLDEN))
        )
        steps = [(lane + 1) * _GOLDEN % 2**64 for lane in range(_HASHES)]
        x = builder.add(splat(builder, first, kind), ir.Constant(kind, steps))
        for shift, factor in _ROUNDS:
            x = builder.xor(x, builder.lshr(x, _all(kind, shift)))
            if factor != 1:
                x = builder.mul(x, _all(kind, factor))
        draws = builder.bitcast(x, ir.VectorType(ir.IntType(DRAW_BITS), WORD))
        limit = splat(builder, builder.trunc(threshold, draws.type.element), draws.type)
        return builder.bitcast(builder.icmp_unsigned(">=", draws, limit), ir.IntType(64))

    return types.int64, emit


@instruction
def keep_where(value, bits, first):
    """Return a vector whose lane l is that of `value` if bit ``first + l`` is set, else 0."""

    def emit(builder, value, bits, first):
        kind = llvm_vector(the_type)
        here = builder.trunc(builder.lshr(bits, first), ir.IntType(kind.count))
        mask = builder.bitcast(here, ir.VectorType(ir.IntType(1), kind.count))
        return builder.select(mask, value, ir.Constant(kind, None))

    the_type = value
    return value, emit
