"""`partial_fit` over streams: an iterator of blocks or a source is the loop of calls by hand."""

import os
import signal
import threading
from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

from fastbp import MLPClassifier, MLPRegressor
from fastbp.data import ArraySource, ParquetSource, spooled
from source_blocks import Blocks, wait_for_readers

ROWS, CLASSES = 900, [0, 1, 2]
rng = np.random.default_rng(5)
X = rng.normal(size=(ROWS, 6))
LABELS = (X[:, 0] + 0.1 * rng.normal(size=ROWS) > 0).astype(int) + (X[:, 1] > 0.5)
TARGETS, WEIGHT = X[:, :2] ** 2, rng.uniform(0.1, 2, ROWS)
EDGES = (0, 200, 240, 450, 900)
SLICES = [slice(*edges) for edges in pairwise(EDGES)]


def classifier(**options):
    return MLPClassifier((12,), batch_size=32, random_state=3, **options)


def regressor(**options):
    return MLPRegressor(hidden_layer_sizes=(12,), batch_size=32, random_state=3, **options)


def state(estimator):
    engine = estimator.network_.engine
    arrays = [*estimator.coefs_, *estimator.intercepts_, engine.moments]
    return [array.tobytes() for array in arrays], estimator.t_, estimator.loss_curve_


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_an_iterator_is_one_call_for_each_block(kind, dtype, weight):
    make, y = (classifier, LABELS) if kind == "classifier" else (regressor, TARGETS)
    more = {"classes": CLASSES} if kind == "classifier" else {}
    arrays = [X.astype(dtype), y, *([] if weight is None else [weight])]
    by_hand, streamed = make(), make()
    for _ in range(2):
        for part in SLICES:
            by_hand.partial_fit(*(array[part] for array in arrays), **more)
        blocks = (tuple(array[part] for array in arrays) for part in SLICES)
        assert streamed.partial_fit(blocks, **more) is streamed
    assert state(streamed) == state(by_hand)
    assert len(streamed.loss_curve_) == 2 * len(SLICES)


def test_ctrl_c_ends_a_stream_and_not_its_block_alone():
    estimator, taken = classifier().partial_fit(X, LABELS, classes=CLASSES), []

    def before(entry):
        if len(taken) >= 3:
            os.kill(os.getpid(), signal.SIGINT)

    def blocks():
        for _ in range(50):
            taken.append(X)
            yield X, LABELS

    estimator.set_params(callbacks=before)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$") as warned:
        estimator.partial_fit(blocks())
    assert 3 <= len(taken) < 6 and len(warned) == 1
    wait_for_readers()


@pytest.mark.parametrize("kind", ["arrays", "own", "scratch", "parquet"])
def test_a_source_is_one_call_for_each_window(tmp_path, kind):
    # blocks of 100: windows of two
    if kind == "parquet":
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        named = {f"x{n}": column for n, column in enumerate(X.T)}
        table = pa.table({**named, "y": LABELS, "w": WEIGHT})
        parquet.write_table(table, tmp_path / "t.parquet", row_group_size=100)
        source = ParquetSource(tmp_path / "t.parquet", "y", weight="w", window_rows=250)
    else:
        source = {
            "arrays": lambda: ArraySource(X, LABELS, WEIGHT, block_rows=100, window_rows=250),
            "own": lambda: Blocks((100,) * 9, 250, (X, LABELS, WEIGHT)),
            "scratch": lambda: spooled(Blocks((100,) * 9, 200, (X, LABELS, WEIGHT))),
        }[kind]()
    by_hand, streamed = classifier(), classifier()
    for first in range(0, ROWS, 200):
        part = slice(first, first + 200)
        by_hand.partial_fit(X[part], LABELS[part], WEIGHT[part], classes=CLASSES)
    streamed.partial_fit(source, classes=CLASSES)
    if kind == "scratch":  # its blocks are shorter: windows of 200 all the same, or almost
        assert streamed.t_ == by_hand.t_ == ROWS
    else:
        assert state(streamed) == state(by_hand)


def test_it_learns_from_streams_as_scikit_learns_do_from_loops():
    streamed, linear = classifier(learning_rate_init=0.01), SGDClassifier(random_state=0)
    source = ArraySource(X, LABELS, block_rows=300, window_rows=300)
    for _ in range(20):
        streamed.partial_fit(source, classes=CLASSES)
        for first in range(0, ROWS, 300):
            part = slice(first, first + 300)
            linear.partial_fit(X[part], LABELS[part], classes=CLASSES)
    assert streamed.score(X, LABELS) > max(0.9, linear.score(X, LABELS))


def test_blocks_may_be_of_text_labels_data_frames_and_sparse_rows():
    pd = pytest.importorskip("pandas")
    from scipy.sparse import csr_array

    names = np.array(["a", "b", "c"])
    frames = [pd.DataFrame(X[part], columns=[f"x{n}" for n in range(6)]) for part in SLICES]
    by_hand, streamed = classifier(), classifier()
    for frame, part in zip(frames, SLICES, strict=True):
        by_hand.partial_fit(frame, names[LABELS[part]], classes=names)
    streamed.partial_fit(
        ((frame, names[LABELS[part]]) for frame, part in zip(frames, SLICES, strict=True)),
        classes=names,
    )
    assert state(streamed) == state(by_hand)
    assert list(streamed.feature_names_in_) == list(by_hand.feature_names_in_)
    by_hand, streamed = regressor(), regressor()
    for part in SLICES:
        by_hand.partial_fit(csr_array(X[part]), TARGETS[part])
    streamed.partial_fit((csr_array(X[part]), TARGETS[part]) for part in SLICES)
    assert state(streamed) == state(by_hand)


def test_the_next_block_is_read_while_one_is_trained_on():
    read, seen, threads = [], [], set()

    def blocks():
        for number, part in enumerate(SLICES):
            read.append(number)
            threads.add(threading.current_thread().name)
            yield X[part], TARGETS[part]

    def look(entry):
        wait = threading.Event()
        for _ in range(1000):
            if len(read) > len(seen) + 1 or len(seen) == len(SLICES) - 1:
                break
            wait.wait(0.01)
        seen.append(list(read))

    regressor(callbacks=look).partial_fit(blocks())
    assert seen == [[0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3]]
    assert len(threads) == 1 and threads.pop().startswith("fastbp-reader")
    wait_for_readers()


BLOCK = (X[:50], LABELS[:50])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"X": iter([])}, ValueError, "has no blocks"),
        ({"X": iter([X])}, TypeError, "a block is ndarray: expected tuples"),
        ({"X": iter([(X,)])}, TypeError, "a block is tuple"),
        (
            {"X": iter([BLOCK]), "y": LABELS},
            TypeError,
            "y: a source or an iterator includes its own",
        ),
        ({"X": iter([BLOCK]), "sample_weight": WEIGHT}, TypeError, "sample_weight: a source"),
        ({"X": iter([BLOCK, (X[:9, :5], LABELS[:9])])}, ValueError, "5 features"),
        ({"X": iter([BLOCK, (X[:9], LABELS[:8])])}, ValueError, "inconsistent numbers of samples"),
        ({"X": iter([BLOCK, (X[:9] * np.nan, LABELS[:9])])}, ValueError, "NaN"),
        ({"X": iter([BLOCK, (X[:9], LABELS[:9] + 5)])}, ValueError, "has classes not in"),
        ({"X": X}, TypeError, "y=None: expected targets"),
    ],
)
def test_what_is_wrong_is_told_as_of_single_calls(arguments, error, words):
    with pytest.raises(error, match=words):
        classifier().partial_fit(**arguments, classes=CLASSES)
    wait_for_readers()


def test_the_first_call_needs_the_classes():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(iter([BLOCK]))
    fitted = classifier().partial_fit(*BLOCK, classes=CLASSES)
    fitted.partial_fit(iter([BLOCK]))
    assert fitted.t_ == 100


def test_errors_of_the_reader_reach_the_caller():
    def blocks():
        yield BLOCK
        raise OSError("the line is cut")

    estimator = classifier()
    with pytest.raises(OSError, match="the line is cut"):
        estimator.partial_fit(blocks(), classes=CLASSES)
    assert estimator.t_ == 50, "what came before it was trained on"
    short = Blocks((100,) * 9, 100, (X[:850], LABELS, None))
    with pytest.raises(ValueError, match=r"block 8 of Blocks.* has 50 rows, expected 100"):
        regressor().partial_fit(short)
    wait_for_readers()
