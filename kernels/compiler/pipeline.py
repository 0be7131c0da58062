"""Numba's compiler without the passes that these kernels do not need, in half the time.

Numba optimizes and emits a function again in every function that calls it, searches each for
closures, NumPy expressions and reference counts, and triggers the garbage collector.
"""

import contextlib
import gc
import signal
import threading
from typing import Any

from llvmlite import binding as llvm
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import (
    AnnotateTypes,
    InlineOverloads,
    NopythonRewrites,
    NopythonTypeInference,
)
from numba.core.untyped_passes import InlineClosureLikes

# passes for closures, NumPy expressions, overloads and reports
_FOR_OTHERS = (InlineClosureLikes, NopythonRewrites, InlineOverloads, AnnotateTypes)


class _Source(JITCodeLibrary):
    """Functions that their callers inline and optimize; they have no machine code of their own."""

    def _optimize_functions(self, module):
        pass

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class _Code(JITCodeLibrary):
    """Functions with machine code, optimized once, without unrolling or vectorizing loops.

    There are no reference counts to prune, and the source is written in vectors: unrolled and
    vectorized loops would be more code to compile, and not faster.
    """

    vectorizes = False

    def _optimize_functions(self, module):
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_unrolling = options.slp_vectorization = False
        options.loop_vectorization = self.vectorizes
        builder = llvm.create_pass_builder(self._codegen._tm, options)
        builder.getModulePassManager().run(self._final_module, builder)


class _Loops(_Code):
    """Functions whose source may be written in numbers."""

    vectorizes = True


class _Into(FunctionPass):
    """Make the following passes fill a library of the class `library`."""

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()  # for the disk cache
        return True


@register_pass(mutates_CFG=False, analysis_only=True)
class _IntoCode(_Into):
    _name, library = "fastbp_into_code", _Code


@register_pass(mutates_CFG=False, analysis_only=True)
class _IntoLoops(_Into):
    _name, library = "fastbp_into_loops", _Loops


@register_pass(mutates_CFG=False, analysis_only=True)
class _IntoSource(_Into):
    _name, library = "fastbp_into_source", _Source

    def run_pass(self, state):
        # Numba identifies a function by its executable: any new object will do
        state.targetctx = state.targetctx.subtarget(get_executable=lambda *_: [].append)
        return super().run_pass(state)


class CodeCompiler(CompilerBase):
    """The compiler of kernels without a parallel loop."""

    into = _IntoCode

    def define_pipelines(self):
        """Return Numba's own passes except those above, into another library."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [part for part in passes.passes if part[0] not in _FOR_OTHERS]
        passes.add_pass_after(self.into, NopythonTypeInference)
        passes.finalize()
        return [passes]


class LoopCompiler(CodeCompiler):
    """The compiler of tasks that run a formula of a user's own."""

    into = _IntoLoops


class InnerCompiler(CodeCompiler):
    """The compiler of functions that are used inside kernels."""

    into = _IntoSource


@contextlib.contextmanager
def no_collector():
    """Suspend the garbage collector, which would traverse the compiler's many objects."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


# those by which people and schedulers end or limit work; asking for all there are takes 60 us
_NAMES = "INT TERM HUP QUIT BREAK ALRM VTALRM PROF XCPU USR1 USR2"
_SIGNALS = [getattr(signal, f"SIG{n}") for n in _NAMES.split() if hasattr(signal, f"SIG{n}")]


class _Waiting:
    """A handler of a signal that keeps it; of Ctrl-C the first, and it hands on those after it."""

    def __init__(self, handler):
        self.seen: tuple[Any, ...] | None = None
        self.handler = handler
        self.waits = True

    def __call__(self, number, frame):
        if self.waits and (self.seen is None or number != signal.SIGINT):
            self.seen = number, frame
        else:
            self.handler(number, frame)


def _hand_on(waiting):
    """Call the handlers of what was kept; one that raises does not keep others from theirs."""
    if not waiting:
        return
    try:
        if waiting[0].seen is not None:
            waiting[0].handler(*waiting[0].seen)
    finally:
        _hand_on(waiting[1:])


@contextlib.contextmanager
def uninterrupted():
    """Let Ctrl-C, SIGTERM, alarms, ... wait until a compilation ends; a second Ctrl-C does not.

    An exception that their handlers raise between two of LLVM's calls may crash the process. A
    signal that arrives several times is handled once, as the system does where it is blocked.
    """
    waiting = []
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            handler: Any = signal.getsignal(number)
            # one that waits does it already
            if callable(handler) and not (isinstance(handler, _Waiting) and handler.waits):
                waiting.append((number, _Waiting(handler)))
    try:
        for number, handler in waiting:
            signal.signal(number, handler)
        yield
    finally:
        for _, handler in waiting:  # first: one that raises here may leave others as they are
            handler.waits = False
        for number, handler in waiting:
            signal.signal(number, handler.handler)
        _hand_on([handler for _, handler in waiting])
