"""The tables of formulas: each entry has an oracle, each name is found, each miss gets a hint."""

import pytest

import fastbp
import oracle

TABLES = {
    "ACTIVATIONS": oracle.ACTIVATIONS,
    "LOSSES": oracle.LOSSES,
    "OPTIMIZERS": oracle.OPTIMIZERS,
    "INITIALIZERS": oracle.INITIALIZERS,
    "SCHEDULES": oracle.SCHEDULES,
}
ENTRIES = [(table, name) for table in TABLES for name in getattr(fastbp, table)]
ALIASES = [(table, name) for table in TABLES for name in getattr(fastbp, table).aliases]

every_table = pytest.mark.parametrize("table", TABLES)
every_entry = pytest.mark.parametrize("table, name", ENTRIES)


@every_table
def test_every_entry_has_an_oracle(table):
    assert set(getattr(fastbp, table)) == set(TABLES[table])


@every_entry
def test_a_name_finds_its_record(table, name):
    table = getattr(fastbp, table)
    assert table.find(name) is table[name]
    assert table.find(name).name == name
    assert table.find(name).formula


@pytest.mark.parametrize("table, alias", ALIASES)
def test_an_alias_finds_a_record_and_hides_none(table, alias):
    table = getattr(fastbp, table)
    assert alias not in table
    assert table.find(alias) is table[table.aliases[alias]]


def test_the_common_names_of_other_libraries_are_known():
    expected = {"sigmoid": "logistic", "linear": "identity", "swish": "silu"}
    assert {a: fastbp.ACTIVATIONS.find(a).name for a in expected} == expected
    expected = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}
    expected["log_loss"] = "cross_entropy"
    assert {a: fastbp.LOSSES.find(a).name for a in expected} == expected


@every_entry
def test_a_misspelt_name_suggests_the_right_one(table, name):
    table = getattr(fastbp, table)
    wrong = name + "x"  # one letter too many: no other name is nearer
    with pytest.raises(ValueError) as caught:
        table.find(wrong)
    assert f"unknown {table.kind} {wrong!r}; did you mean {name!r}?" in str(caught.value)
    assert all(known in str(caught.value) for known in table)


@every_table
@pytest.mark.parametrize("wrong", ["", "zzzzzz", None, 3, ("relu",), ["relu"]])
def test_what_is_no_name_at_all_raises_without_a_guess(table, wrong):
    with pytest.raises(ValueError, match="unknown") as caught:
        getattr(fastbp, table).find(wrong)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("loss", fastbp.LOSSES)
def test_the_default_output_of_a_loss_is_one_it_accepts(loss):
    # the constructor refuses an output whose range does not suit the loss
    network = fastbp.Network([2, 3, 2], loss=loss)
    assert fastbp.LOSSES[loss].partner in fastbp.ACTIVATIONS
    assert network.loss == loss


@pytest.mark.parametrize("name", fastbp.ACTIVATIONS)
def test_an_activation_says_what_its_derivative_reads(name):
    record = fastbp.ACTIVATIONS[name]
    assert record.keeps in ("a", "z")
    assert record.outputs in ("real", "positive", "unit", "simplex")
