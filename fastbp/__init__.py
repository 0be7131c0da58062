"""fastbp: multilayer perceptrons trained by backpropagation on a CPU, at its full speed."""

from importlib import import_module
from importlib.util import find_spec

__version__ = "0.1.0"

if find_spec(f"{__name__}.kernels") is None:
    raise ImportError(
        f"{__path__[0]} is the source of fastbp without its kernels, and hides the installed "
        "package: run Python in another folder, or python -m pip install -e . here"
    )

# what is public, and where it lives: imported when first used, so that
# `import fastbp` costs nothing
_HOME = {
    "ACTIVATIONS": "kernels.formulas.activations",
    "LOSSES": "kernels.formulas.losses",
    "OPTIMIZERS": "kernels.formulas.optimizers",
    "INITIALIZERS": "components.initializers",
    "SCHEDULES": "components.schedules",
    "Network": "network",
    "Gradients": "engine.gradients",
    "Dense": "components.layers",
    "Dropout": "components.layers",
    "EarlyStopping": "training.stopping",
    "History": "training.history",
    "Checkpoints": "training.checkpoints",
    "DivergenceError": "errors",
    "DataError": "errors",
    "ModelFileError": "errors",
    "measure_peak": "kernels.peak",
    "warm_up": "diagnostics.warmup",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "register_onnx": "estimators.onnx",
    "train": "tables.job",
    "TableModel": "tables.model",
    "LossCurveDisplay": "report.display",
    "to_onnx": "exports.onnx",
    "to_c": "exports.c",
    "to_numpy": "exports.numpy",
    **dict.fromkeys(["to_sklearn", "from_sklearn"], "exports.sklearn"),
    **dict.fromkeys(["to_torch", "from_torch", "state_dict"], "exports.torch"),
    **dict.fromkeys(
        ["Optimizer", "SGD", "Adam", "AdamW", "RMSprop", "Adagrad"], "components.optimizers"
    ),
    **dict.fromkeys(
        ["Constant", "Step", "Exponential", "Cosine", "OneCycle", "WarmUp"], "components.schedules"
    ),
}
__all__ = list(_HOME)


def __getattr__(name):
    if name in ("data", "kernels"):
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOME])
