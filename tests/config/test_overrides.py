"""KEY=VALUE as users type it: a text needs no quotes of Hydra's."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tcsm import config
from tcsm.config.overrides import Overrides, for_shell
from tcsm.errors import InputError

PARAMS = Path(__file__).parents[2] / "params"
TYPED = (
    *("a=b.txt", "it's ___", "and god said, ____", "a path/x", "f(x)", "a#b", "a b#c", "{x}/y"),
    *("a,b", "ünï — x", "x:y", "a$b", "a;b&c", "!x", 'say "so"', 'it\'s, "so"', "*.txt", "?"),
    *("choice(a,b)", "c:\\x", "a\\'b", "a\nb"),
)


def quoted(*lines: str) -> list[object]:
    """What Hydra reads of the lines once they are in quotes."""
    parsed = [
        OverridesParser.create().parse_override(line)
        for line in Overrides(lines, lambda lines: OmegaConf.create({})).quoted()
    ]
    assert not any(override.is_sweep_override() for override in parsed)
    return [override.value() for override in parsed]


@pytest.mark.parametrize("typed", TYPED)
def test_a_text_is_what_was_typed(typed: str) -> None:
    assert quoted(f"sampling.template={typed}", f"out={typed}", f"+out={typed}") == [typed] * 3


def test_so_it_is_where_a_class_takes_a_text() -> None:
    lines = ("corpus=local", "corpus.path=a = {b}, c.txt", "out=x = 'y", "runs=[it's,a=b]")
    with pytest.raises(InputError, match=r"^trainer\.ema\.decay: "):  # and not corpus.path
        config.compose((*lines, "trainer.ema.decay=0.9"), PARAMS)
    cfg = config.compose(lines, PARAMS)
    assert (cfg.corpus.path, cfg.out, cfg.runs) == ("a = {b}, c.txt", "x = 'y", ["it's", "a=b"])


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_so_is_any_text_that_is_no_quotation(typed: str) -> None:
    if typed[0] in "'\"" or typed == "null" or "${" in typed or "\\" in typed:
        return  # Hydra's own ways to write a text
    assert quoted(f"sampling.template={typed}") == [typed]


@pytest.mark.parametrize(
    ("typed", "value"),
    [("'q, r'", "q, r"), ('"q, r"', "q, r"), (r"a\, b", "a, b"), ("null", None), ("x ", "x ")],
)
def test_the_ways_of_hydra_stay(typed: str, value: str | None) -> None:
    assert quoted(f"sampling.template={typed}") == [value]


def test_a_number_is_a_text_where_a_text_is_wanted() -> None:
    assert quoted("out=2024", "sampling.template=1e5", "seed=7") == ["2024", "1e5", 7]


def test_an_interpolation_in_a_text_stays_one() -> None:
    assert quoted("out=it's/${seed}") == ["it's/${seed}"]


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("[a b,c]", ["a b", "c"]),
        ("[it's, x=1]", ["it's", "x=1"]),
        ("['c,d',e]", ["c,d", "e"]),
        ("[]", []),
    ],
)
def test_lists_of_texts(typed: str, value: list[str]) -> None:
    assert quoted(f"runs={typed}") == [value]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["runs=a,b"], "type|'runs=[a,b]'"),
        (["runs=a b"], "runs must be a list of texts|runs=[a b]"),
        (["data.batch=1,2"], "data.batch=1,2: |'data.batch=[1,2]'"),
        (["trainer.steps=[1"], "trainer.steps=[1: cannot be read"),
        (["data.batch=a=b"], "data.batch=a=b: |a whole number"),
        (["+axes.x=it's"], "+axes.x=it's: |\"+axes.x='it\\'s'\""),
        (["sampling.template=and", "god", "said"], "god: |'sampling.template=and god said'"),
        (["corpus=local", "corpus.path=my", "file.txt"], "file.txt: |'corpus.path=my file.txt'"),
        (["corpus=local", "corpus.path="], "corpus.path: |empty"),
        (["corpus=local", "corpus.path=5"], "corpus.path: |5|in quotes"),
        (["trainer.ema={decay: 0.9}"], "trainer.ema: |_target_|tcsm.training.optim.Ema"),
    ],
)
def test_what_sets_no_text_is_shown_how_to(overrides: list[str], said: str) -> None:
    with pytest.raises(InputError) as error:
        config.check(config.compose(overrides, PARAMS))
    for part in said.removeprefix("type|").split("|"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("out=a", "out=a"),
        ("out=a b", "'out=a b'"),
        ("k='a'", "\"k='a'\""),
        ("k='$a'", "'k='\"'\"'$a'\"'\"''"),
    ],
)
def test_how_a_shell_wants_it(line: str, typed: str) -> None:
    assert for_shell(line) == typed
