"""The parts that the docstrings of both estimators share."""

from textwrap import indent

_PARAMETERS = """\
hidden_layer_sizes : array-like of int, default (100,)
    Units of the hidden layers.
activation : str or list of str, default "relu"
    The hidden layers' activation, or one for each: a name in ``fastbp.ACTIVATIONS``.
solver : {"adam", "sgd", "lbfgs"}, default "adam"
    Adam; gradient descent with momentum; SciPy's L-BFGS-B over all data at once.
alpha : float, default 1e-4
    Strength of the L2 penalty ``alpha / 2 sum W^2``, divided by the weights of a batch.
batch_size : int or "auto", default "auto"
    Samples a step; "auto" is ``min(200, n_samples)``.
learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
    Of "sgd": as it is; ``learning_rate_init / (t_ + 1) ** power_t``; or divided by 5 where
    nothing improves.
learning_rate_init : float, default 1e-3
    The first learning rate.
power_t : float, default 0.5
    The exponent of "invscaling".
max_iter : int, default 200
    Epochs at most; of "lbfgs", iterations.
shuffle : bool, default True
    Whether every epoch has an order of its own.
random_state : int, RandomState instance or None, default None
    What initial weights, orders, splits and dropout are drawn from.
tol : float, default 1e-4
    What counts as an improvement of the loss, or of the score.
verbose : bool, default False
    Whether to print the loss of every epoch.
warm_start : bool or "exact", default False
    True: begin with the weights of the last fit. "exact": with its moments, its rate, its
    place in the order and its split too, so that fits of 10 and 10 epochs are one of 20,
    unless the loss, the layers or the optimizer have changed.
momentum : float, default 0.9
    Of "sgd".
nesterovs_momentum : bool, default True
    Whether it is Nesterov's.
early_stopping : bool, default False
    Whether to hold back a part of the data, and stop where its score no longer improves; the
    net then gets back its best weights.
validation_fraction : float, default 0.1
    The part that is held back.
beta_1, beta_2 : float, default 0.9 and 0.999
    Decay of Adam's moments.
epsilon : float, default 1e-8
    Added to the root of Adam's second moment.
n_iter_no_change : int, default 10
    Epochs without improvement that are borne.
max_fun : int, default 15000
    Evaluations of the loss by "lbfgs" at most."""

_ADDITIONS = """\
dtype : {"float32", "float64"} or None, default None
    What to compute in; None: what X is of.
loss_parameter : float, optional
    The threshold of "huber" (default 1), or the quantile of "quantile" (0.5).
dropout : float or list of float, default 0
    The rate of dropout behind the hidden layers, or one for each.
optimizer : str or Optimizer, optional
    A name in ``fastbp.OPTIMIZERS``, or for example ``fastbp.AdamW(1e-3)``, in place of
    `solver` and of its rate, momentum and betas.
schedule : str or schedule, optional
    A name in ``fastbp.SCHEDULES``, or for example ``fastbp.Cosine(50)``; multiplies the rate.
clip_norm : float, optional
    Scale gradients down to this global norm where they are larger.
scoring : str, callable or None, default None
    What early stopping looks at, as in scikit-learn; None: accuracy, or R2.
callbacks : callable or list, optional
    Called after every epoch with a dict of its number, its loss and its score; True stops.
    Instances that follow scikit-learn's callback protocol are called by it.
max_time : float, optional
    Seconds after which training stops, within about 50 ms; "lbfgs" ends its iteration first.
n_threads : int or "auto", default "auto"
    The result's bits do not depend on it."""

_ATTRIBUTES = """\
coefs_, intercepts_ : list of ndarray
    The weights (n_in, n_out) and biases (n_out,) of the layers, writable.
loss_ : float
    The loss of the last epoch, its penalty included.
best_loss_ : float or None
    The lowest of them; None with `early_stopping`.
loss_curve_ : list of float
    The losses of all epochs.
validation_scores_, best_validation_score_ : list of float, float, or None
    The scores of early stopping, and the best; None without it.
validation_loss_curve_ : list of float
    The losses of `eval_set`, penalties left out; only where there is one.
t_ : int
    Samples trained on, repetitions included.
n_iter_ : int
    Epochs of the last fit.
n_layers_, n_outputs_ : int
    Layers, input and output included, and outputs.
out_activation_ : str
    The output's activation.
n_features_in_ : int
    Columns of X.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Their names, where X had any."""

_REFERENCES = """\
Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature
323, 1986. Glorot and Bengio, AISTATS 2010 (initial weights). Kingma and Ba, Adam, ICLR 2015,
section 2. Sutskever et al., ICML 2013, eq. 1 to 4 (momentum)."""

_PARTS = {
    "{parameters}": _PARAMETERS,
    "{additions}": _ADDITIONS,
    "{attributes}": _ATTRIBUTES,
    "{references}": _REFERENCES,
}


def documented(cls):
    """Put the shared parts in their places in the docstring of a class."""
    for place, text in _PARTS.items():
        cls.__doc__ = cls.__doc__.replace(f"    {place}", indent(text, "    "))
    return cls
