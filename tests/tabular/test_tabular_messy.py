"""Tables as people have them: learned to the bit as `fastbp.train` learns them."""

import numpy as np
import pytest

from fastbp import TabularClassifier, TabularRegressor, train
from messy_tables import NUMBERS, TABLES, messy


@pytest.mark.parametrize("name", TABLES)
def test_a_messy_table_is_learned_as_train_learns_it(name):
    frame = messy(name)[:1000]
    X, y = frame.drop(columns="target"), frame["target"]
    task = "regression" if name in NUMBERS else "classification"
    options = {"epochs": 3, "preset": "fast"}
    model = train(frame, "target", task=task, seed=1, **options)
    cls = TabularRegressor if name in NUMBERS else TabularClassifier
    fitted = cls(random_state=1, **options).fit(X, y)
    assert fitted.model_.fingerprint == model.fingerprint
    known = model.predict(frame)["prediction"].to_numpy()
    assert (fitted.predict(X) == known).all()
    score = "r2" if name in NUMBERS else "accuracy"
    assert fitted.score(X, y) == pytest.approx(model.evaluate(frame)[score], abs=1e-9)
    assert np.isfinite(fitted.feature_importances_).all()
    used = {column.name for column in model.schema.columns}
    zero = [n for n, v in zip(X, fitted.feature_importances_, strict=True) if n not in used and v]
    assert zero == []
