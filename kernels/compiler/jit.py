"""The only module that uses Numba's decorators: flags, serial and parallel twins.

A function marked `inner` is compiled into the kernels that call it. A function
marked `kernel` can also be called from Python; its source is compiled to two
twins, in which ``prange`` is a plain loop or a parallel one:

    kernel.serial(...)      kernel.parallel(...)

A kernel calls the twins of its own kind. A `Task` is called by its address
(`dispatch.by_address`). Nothing is compiled before the first call.
"""

import contextlib
import itertools
from types import FunctionType

import numpy.ma  # noqa: F401 - Numba imports it at the first call, where a fork may meet the import
from llvmlite.binding import ffi
from numba import config, from_dtype, njit, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target
from numba.core.types import unliteral

from ..support.forks import hold_at_forks
from ..support.once import cached_property
from .cache import DiskCache
from .pipeline import CodeCompiler, InnerCompiler, LoopCompiler, no_collector, uninterrupted

if config.DISABLE_JIT:
    raise ImportError("the kernels of fastbp exist only compiled: unset NUMBA_DISABLE_JIT")

# no bounds checks: Python checks arguments before; no fast-math: sums keep their order and NaN
# stays NaN
_FLAGS = {"error_model": "numpy", "boundscheck": False, "fastmath": False}
_numbers = itertools.count()


def inner(function):
    """Compile `function` for use inside kernels only."""
    closure = ", ".join(_label(cell.cell_contents) for cell in function.__closure__ or ())
    return _inside(function, f"{function.__name__}:{function.__code__.co_firstlineno}({closure})")


def inner_of_custom(function):
    """Compile `function` for use inside tasks of custom formulas only: it may close over anything.

    No cache keeps these tasks, so that a number of the process can tell their functions apart.
    """
    return _inside(function, f"{function.__name__}:custom:{next(_numbers)}")


def _inside(function, symbol):
    options = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled = njit(**options, pipeline_class=InnerCompiler)
    return _of_plain_types(compiled(_named(function, symbol, function.__globals__)))


def result_type(function, kinds):
    """Return the Numba type of what a function of `inner` returns for arguments of such types.

    It raises TypingError, or another of Numba's errors, if the function cannot be compiled.
    """
    with global_compiler_lock, uninterrupted(), no_collector():
        context = cpu_target.typing_context
        context.refresh()
        return types.Dispatcher(function).get_call_type(context, kinds, {}).return_type


def _label(value):
    """Return a label that identifies a value of a closure: a number, or a function of `inner`."""
    if isinstance(value, Dispatcher):
        return value.__qualname__
    if isinstance(value, (int, float)):
        return repr(value)
    raise TypeError(f"a compiled function closes over {value!r}: expected a number or a function")


def _named(function, symbol, scope):
    """Return a copy of a function whose name is unique in its module.

    Numba distinguishes functions of one name by a counter of the process. Machine code from the
    disk cache has the counts of other processes; if two functions have one symbol, the first to
    be loaded runs for both.
    """
    parts = (function.__name__, function.__defaults__, function.__closure__)
    copy = FunctionType(function.__code__, scope, *parts)
    copy.__qualname__ = symbol
    return copy


def _of_plain_types(dispatcher):
    """Treat literal arguments of callers as plain integers: one signature for all callers."""
    typed = dispatcher.get_call_template

    def get_call_template(args, kws):
        return typed(tuple(map(unliteral, args)), {k: unliteral(v) for k, v in kws.items()})

    dispatcher.get_call_template = get_call_template
    return dispatcher


# Kernels are made, compiled and loaded under Numba's own lock. A caller's compiled code holds it
# when it comes to a kernel; a lock of ours beside it would lock two threads up. A fork waits for
# the locks of Numba and LLVM, as a child would wait without end for a thread that holds them.
with contextlib.suppress(AttributeError):  # no other name for them
    hold_at_forks(global_compiler_lock, ffi.lib._lock)


class _made_once(cached_property):
    """A cached property that is computed once among threads."""

    def __get__(self, instance, owner=None):
        with global_compiler_lock:  # a kernel's twin makes those of the kernels it calls
            known = () if instance is None else vars(instance)
            name = self.attrname
            return known[name] if name in known else super().__get__(instance, owner)


class Kernel:
    """One source, compiled as a serial and as a parallel twin.

    Parameters
    ----------
    function : callable
        The source. Kernels among its globals are replaced by their twins of the same kind.
    """

    def __init__(self, function):
        self.function = function
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        #: the kinds of arguments that it was compiled for ahead: see `threads.compile_twins`
        self.compiled = set()

    @_made_once
    def serial(self):
        """The dispatcher in which ``prange`` is ``range``."""
        return self._twin(parallel=False)

    @_made_once
    def parallel(self):
        """The dispatcher in which ``prange`` runs on Numba's threads."""
        return self._twin(parallel=True)

    def _twin(self, parallel):
        source = self.function
        scope = dict(source.__globals__)
        for name in source.__code__.co_names:
            if isinstance(scope.get(name), Kernel):
                scope[name] = scope[name].parallel if parallel else scope[name].serial
        symbol = f"{source.__qualname__}[{'parallel' if parallel else 'serial'}]"
        twin = _named(source, symbol, scope)
        # a kernel without a loop of its own is parallel in what it calls
        own_loop = parallel and "prange" in source.__code__.co_names
        options = {**_FLAGS, "nogil": True, "no_cfunc_wrapper": True, "parallel": own_loop}
        compiler = {} if own_loop else {"pipeline_class": CodeCompiler}
        dispatcher = _of_plain_types(njit(**options, **compiler)(twin))
        return _on_disk(dispatcher, source, {**options, "twin": parallel})


class Task:
    """A function that kernels call by its address: compiled when the address is first asked for.

    Parameters
    ----------
    function : callable
        The source; it returns nothing, and no other task of its module has its name.
        `dispatch.by_address` gives the function that calls it.
    types : callable
        ``types(kind)`` returns the Numba types of its arguments, `kind` being that of a float.
    is_custom : bool
        Whether it runs a formula of a user's own: LLVM may vectorize its loops, and no disk cache
        keeps it, as that would not know what such a function depends on.
    """

    def __init__(self, function, types, is_custom=False):
        self.function = function
        self._is_custom = is_custom
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self._types = types
        self._addresses = {}

    @classmethod
    def taking(cls, types):
        """Return the decorator that makes a task of a function."""
        return lambda function: cls(function, types)

    @_made_once
    def dispatcher(self):
        """The dispatcher, which has no wrapper to be called otherwise."""
        options = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        source = _named(self.function, self.__name__, self.function.__globals__)
        if self._is_custom:
            return _uninterrupted(njit(**options, pipeline_class=LoopCompiler)(source))
        return _on_disk(njit(**options, pipeline_class=CodeCompiler)(source), source, options)

    def address(self, dtype):
        """Return the address of the function for floats of a NumPy `dtype`."""
        known = self._addresses.get(dtype)
        if known is None:
            with global_compiler_lock, uninterrupted():  # LLVM links when it is asked
                kinds = self._types(from_dtype(dtype))
                self.dispatcher.compile(kinds)
                result = self.dispatcher.overloads[kinds]
                known = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
                self._addresses[dtype] = known
        return known


def _on_disk(dispatcher, source, options):
    dispatcher._cache = DiskCache(f"{source.__module__}.{source.__qualname__}", options)
    return _uninterrupted(dispatcher)


def _uninterrupted(dispatcher):
    compiled = dispatcher.compile

    def compile_without_collector(signature):
        with global_compiler_lock, uninterrupted(), no_collector():
            return compiled(signature)

    dispatcher.compile = compile_without_collector
    return dispatcher


kernel = Kernel
