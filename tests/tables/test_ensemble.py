"""`fastbp.train` with an ensemble: each member is the network that it would be alone."""

import pytest

from fastbp import Ensemble, train
from fastbp.tables.columns.encoding import Encoder
from fastbp.tables.options import TrainOptions
from table_makers import people

RUN = {"hidden": 8, "epochs": 6, "patience": 2, "ensemble": 3}
TARGETS = {"y": "classification", "age": "regression"}
every_target = pytest.mark.parametrize("target", TARGETS)
FRAME = people()


def encoded(model, frame):
    """Return features and targets of the rows of a frame that have a target."""
    encoder = Encoder(model.schema)
    y, known = encoder.encode_target(frame)
    return encoder.encode(frame)[known], y[known], known


@every_target
def test_members_by_seeds_are_the_models_of_these_seeds(target):
    model = train(FRAME, target, seed=5, **RUN)
    alone = [train(FRAME, target, valid_share=0.2, **{**RUN, "ensemble": 1, "seed": 5})]
    assert isinstance(model.network, Ensemble)
    assert model.network.members[0].parameters.tobytes() == alone[0].network.parameters.tobytes()
    assert [member.seed for member in model.network] == [5, 6, 7]
    # the others split the rows by the seed of the first, so they are made by hand
    split = people_split(target)
    X, y, (train_rows, held) = split
    for number, member in enumerate(model.network):
        options = TrainOptions(target=target, seed=5, **RUN)
        net = options.network(model.schema, number)
        assert net.seed == 5 + number
        net.fit(
            X[train_rows],
            y[train_rows],
            epochs=6,
            batch_size=model.record["batch_size"],
            early_stopping=2,
            validation_data=(X[held], y[held]),
        )
        assert net.parameters.tobytes() == member.parameters.tobytes()


def people_split(target):
    """Return the encoded rows of a training on `FRAME`, and which train and which validate."""
    from fastbp.tables.job import Job

    job = Job(FRAME, TrainOptions(target=target, seed=5, **RUN))
    X, y, known = encoded(job, FRAME)
    return X, y, (job.split.trains[known], job.split.validates[known])
