"""A compiled function as bytes: a line of JSON, its object code and its LLVM bitcode.

Numba would pickle it, and unpickling runs what the bytes say. Of what Numba needs again, the types
of the arguments are known to who loads, and nothing else is more than a name or a number: no kernel
has constants that are Python objects.
"""

import json
import sys

import numba
from numba import types
from numba.core.compiler import CompileResult
from numba.core.environment import Environment, lookup_environment
from numba.core.funcdesc import PythonFunctionDescriptor
from numba.core.typing import signature

# errors of parts that are not as expected
MISTAKES = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
# all that kernels return
_RESULTS = {
    str(kind): kind
    for kind in (
        *(types.none, types.boolean, types.int64, types.float64),
        types.UniTuple(types.float64, 2),
    )
}


def to_bytes(result, arguments):
    """Return a compiled function as bytes, or None if it has parts that cannot be kept.

    Parameters
    ----------
    result : numba.core.compiler.CompileResult
        The function.
    arguments : tuple of numba.types.Type
        The types that it was compiled for.
    """
    library, function, own, typed, is_object, lifted, _, reload, inlined = result._reduce()
    has_more = is_object or lifted or any(each.consts for each in (own, *inlined))
    known = str(typed.return_type) in _RESULTS and tuple(typed.args) == arguments
    if has_more or not known:
        return None
    name, _, (code, bitcode) = library
    header = {
        "library": name,
        "module": function.modname,
        "name": function.qualname,
        "unique": function.unique_name,
        "number": function.uid,
        "tags": list(function.abi_tags),
        "symbol": function.mangled_name,
        "environment": function.env_name,
        "arguments": list(function.args),
        "result": str(typed.return_type),
        "threads": bool(reload),
        "inlined": [each.env_name for each in inlined],
        "code_bytes": len(code),
    }
    return json.dumps(header).encode() + b"\n" + code + bitcode


def from_bytes(payload, arguments, target_context):
    """Return the compiled function that `to_bytes` wrote, or None if this is not one.

    Parameters
    ----------
    payload : bytes
        What it wrote.
    arguments : tuple of numba.types.Type
        The types that the function was compiled for.
    target_context : numba.core.cpu.CPUContext
        Where it is to run.
    """
    line, _, rest = payload.partition(b"\n")
    try:
        header = json.loads(line)
        function = _function(header, arguments)
        size = header["code_bytes"]
        library = (header["library"], "object", (rest[:size], rest[size:]))
        inlined = [_environment(each, header["module"]) for each in header["inlined"]]
        # parallel code calls what Numba loads when it starts its threads
        reload = [numba.get_num_threads] if header["threads"] else []
        typed = signature(function.restype, *arguments)
        own = _environment(function.env_name, function.modname)
        parts = (library, function, own, typed, False, (), "", reload, inlined)
        return CompileResult._rebuild(target_context, *parts)
    except MISTAKES:
        return None


def _function(header, arguments):
    return PythonFunctionDescriptor(
        native=True,
        modname=header["module"],
        qualname=header["name"],
        unique_name=header["unique"],
        doc="",
        typemap=None,
        restype=_RESULTS[header["result"]],
        calltypes=None,
        args=tuple(header["arguments"]),
        kws=(),
        # not made again: it holds numbers that Numba gave to the types of records
        mangler=lambda *_, **__: header["symbol"],
        env_name=header["environment"],
        argtypes=arguments,
        abi_tags=tuple(header["tags"]),
        uid=header["number"],
    )


def _environment(name, module):
    """Return what Numba's runtime wants of an inlined function: globals, which it never uses."""
    found = lookup_environment(name)
    if found is None:
        found = Environment(vars(sys.modules[module]))
        found.env_name = name
    return found
