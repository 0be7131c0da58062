"""The losses of each task, and what they say of the target."""

LOSSES = {
    "classification": ("cross_entropy",),
    "regression": ("squared_error", "absolute_error", "huber", "quantile", "poisson"),
}
# those whose gradient an outlying target cannot make large
ROBUST = ("absolute_error", "huber", "quantile")
# those of rates: targets of at least 0, and a logarithmic link
OF_RATES = ("poisson",)
