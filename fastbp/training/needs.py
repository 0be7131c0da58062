"""What a training takes of memory, estimated before it begins."""

from typing import Any

from ..memory import SMALL, bytes_shown, require_memory

# a buffer has at most so many arrays for each layer: Z, A, what drops out of it, its deltas
_ARRAYS = 5
_OF_PROGRESS = 3  # copies of the parameters and of both moments


def require_training(engine: Any, feed: Any, validation: Any = None) -> None:
    """Raise MemoryError, with the numbers, if a training takes more memory than is free."""
    plan = engine.plan
    item, outputs = plan.dtype.itemsize, plan.specs[-1].n_out
    columns = plan.specs[0].n_in + _ARRAYS * sum(spec.n_out for spec in plan.specs)
    scored = 0 if validation is None else len(validation) * outputs * item
    if scored + item * (6 * plan.size + feed.batch * columns) < SMALL:
        return
    # the gradient and the moments are reserved, but take nothing before they are written; the best
    # weights are a copy, and of a network that is trained on, all that it was before
    hyper_parameters = engine.optimizer.hyper_parameters
    moments = sum(hyper_parameters.get(name, 0) > 0 for name in ("beta1", "beta2"))
    grows = plan.size * item * (_OF_PROGRESS if engine.steps else 1 + moments)
    reserved = 0 if engine.steps else grows
    parts = {
        "the network": plan.size * item + grows,
        f"a batch of {feed.batch:,} rows": engine.bytes_to_train(feed.head, feed.batch),
        "outputs of the validation data": scored,
    }
    shown = ", ".join(f"{bytes_shown(size)} for {name}" for name, size in parts.items() if size)
    remedy = "a smaller batch_size, fewer units or fewer rows to validate take less"
    require_memory(sum(parts.values()), f"training ({shown})", remedy, reserved=reserved)
