import json

import pytest
from torch.nn import Linear

from tcsm.data.tokenizers import Bytes, Letters
from tcsm.errors import InputError
from tcsm.runs.watching import watched
from tcsm.stages.sample import parse_template, spelled
from tests.stages.house import LENGTH, command


def test_blanks_are_open_and_so_is_what_stands_behind():
    given = parse_template("ab__ c_", Letters(), 9)
    assert given.tokens[given.fixed].tolist() == [1, 2, 0, 3]
    assert given.fixed.tolist() == [True, True, False, False, True, True, False, False, False]


def test_tokens_are_counted_not_characters():
    given = parse_template("é_", Bytes(), 4)
    assert given.tokens[given.fixed].tolist() == list("é".encode())
    assert given.fixed.tolist() == [True, True, False, False]


def test_no_template_gives_nothing():
    assert parse_template(None, Letters(), 9) is None


def test_what_does_not_fit_is_refused():
    parse_template("abcd", Letters(), 4)
    with pytest.raises(InputError, match=r"must be 4 tokens or less, .* '_' ends at token 5"):
        parse_template("abcd_", Letters(), 4)
    with pytest.raises(InputError, match=r"sampling\.template.*: the tokenizer 'letters' has no"):
        parse_template("In_", Letters(), 4)


@pytest.mark.parametrize("tokenizer", [Letters(), Bytes()])
@pytest.mark.parametrize(
    ("text", "character"), [("a\ud800_", r"1 is \\ud800"), ("a_\udcff", r"2 is \\udcff")]
)
def test_half_a_surrogate_pair_is_refused(tokenizer, text, character):
    with pytest.raises(InputError, match=rf"sampling\.template: character {character}"):
        parse_template(text, tokenizer, 9)


def test_advice_names_no_key_that_sampling_does_not_read():
    with pytest.raises(InputError, match=r"in 'In': .*no symbol 'I'") as caught:
        parse_template("a_In", Letters(), 9)
    assert "corpus" not in str(caught.value)


def test_prompt_infill_and_watch_are_short_for_overrides():
    output = spelled(["--prompt", "it's = a_", "seed=1", "--infill=a [MASK][MASK] b", "--watch"])
    assert output == [
        "sampling.template=it's = a_",
        "seed=1",
        "sampling.template=a __ b",
        "sampling.watch=true",
        "sampling.count=1",
    ]
    with pytest.raises(InputError, match="--infill: found no text"):
        spelled(["--infill"])


def test_a_watched_text_is_shown_at_every_step(house, trained):
    folder = house.copy(trained("kjv/distribution"))
    done = command("sample", str(folder), "--prompt", "ab cd", "--watch", "sampling.steps=[4]")
    assert done.code == 0, done.err
    shown = [line.split("  ", 1)[1] for line in done.err]
    assert shown[0] == "ab cd" + "_" * (LENGTH - 5)
    blanks = [text.count("_") for text in shown]
    assert blanks == sorted(blanks, reverse=True)
    (run,) = json.loads((folder / "samples.json").read_text())["runs"]
    (text,) = run["texts"]
    assert all(old in (new, "_") for old, new in zip(shown[-1], text, strict=True))
    assert text in done.out


def test_a_model_that_writes_from_left_to_right_is_not_watched():
    with pytest.raises(InputError, match=r"sampling\.watch.*Linear"), watched(Linear(1, 1), None):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "template"),
    [
        ("kjv/distribution", "ab_cd___e"),
        ("kjv/uniform", "___is"),
        ("kjv/ar", "in the "),
        ("kjv/joint", "a_b_"),
    ],
)
def test_every_text_has_what_the_template_says(house, trained, experiment, template):
    folder = house.copy(trained(experiment))
    needs = [
        f"{key}={trained(other)}" for key, other in house.config(experiment).needs.items() if other
    ]
    quoted = f"sampling.template='{template}'"
    house.good("sample", f"experiment={experiment}", quoted, *needs)
    runs = json.loads((folder / "samples.json").read_text())["runs"]
    for text in (text for run in runs for text in run["texts"]):
        assert len(text) == LENGTH
        pairs = zip(template, text, strict=False)
        assert all(wanted in ("_", actual) for wanted, actual in pairs)


@pytest.mark.slow
def test_an_autoregressive_model_refuses_to_fill_in(house, trained):
    house.copy(trained("kjv/ar"))
    done = house.run("sample", "experiment=kjv/ar", "sampling.template=a_b")
    assert (done.code, done.out) == (2, "")
    assert "position 2" in done.err[-1]


def test_a_template_is_a_text(house):
    done = house.run("sample", "sampling.template=3")
    assert done.code == 2
    assert "sampling.template, in '3': the tokenizer 'letters' has no symbol" in done.err[-1]
