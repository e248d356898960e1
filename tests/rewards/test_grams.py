"""Logistic regression on n-grams, against the formula and itself."""

import json
import math

import numpy as np
import pytest
from safetensors import safe_open

from tcsm.errors import InputError
from tcsm.rewards.grams import Grams, Logistic, Training, auc, load

WORDS = Grams("word", 1, 2, bits=12)
TEXTS = [f"{'good' if n % 3 else 'bad'} film number {n % 7}" for n in range(60)]
LABELS = np.array([int(n % 3 > 0) for n in range(60)])


@pytest.fixture(scope="module")
def trained():
    return Training(WORDS)(TEXTS, LABELS)


def test_features_are_counts_of_norm_one():
    actual = WORDS(["a b a"]).toarray()[0]  # a twice, b, "a b", "b a"
    assert sorted(actual[actual > 0]) == pytest.approx([7**-0.5] * 3 + [2 * 7**-0.5])
    assert WORDS(["b a"]).nnz == 3
    assert Grams("char", 3, 5, bits=16)(["abcdef"]).nnz == 4 + 3 + 2


def test_log_odds_are_linear():
    weight = np.arange(2.0**12)
    actual = Logistic(WORDS, weight, -3.0).log_odds(["a", "no such", ""])
    assert actual[0] == WORDS(["a"]).indices[0] - 3
    assert actual[1] == pytest.approx(weight[WORDS(["no such"]).indices].sum() / 3**0.5 - 3)
    assert actual[2] == -3


def test_training_is_at_the_least_of_its_loss(trained):
    """∇(½‖w‖² + C Σ log(1 + e^{−y z})) = 0."""
    features = WORDS(TEXTS).toarray()
    p = 1 / (1 + np.exp(-trained.log_odds(TEXTS)))
    assert np.abs(trained.weight + features.T @ (p - LABELS)).max() < 2e-2
    assert abs((p - LABELS).sum()) < 2e-2
    assert auc(trained.log_odds(TEXTS), LABELS) == 1


def test_training_is_a_function_of_its_texts(trained):
    again = Training(WORDS)(TEXTS, LABELS)
    assert np.array_equal(again.weight, trained.weight)
    assert again.bias == trained.bias


def test_too_few_iterations_are_one_line(capsys, recwarn):
    Training(WORDS, iterations=1)(TEXTS, LABELS)
    assert (
        "classifier.iterations=1;" in capsys.readouterr().err.removesuffix("\n").splitlines()[-1]
    )
    assert not recwarn.list


def test_a_weaker_prior_fits_better(trained):
    strong = Training(WORDS, strength=100.0)(TEXTS, LABELS)
    assert np.linalg.norm(strong.weight) > np.linalg.norm(trained.weight)


def test_a_file_gives_the_same_log_odds(trained, tmp_path):
    trained.save(tmp_path / "below/c.safetensors")
    assert load(tmp_path / "below/c.safetensors").log_odds(TEXTS).tolist() == (
        trained.log_odds(TEXTS).tolist()
    )
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["c.safetensors"]


def test_equal_classifiers_are_equal_bytes(trained, tmp_path):
    for name in "ab":
        Training(WORDS)(TEXTS, LABELS).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_holds_tensors_and_settings_and_no_code(trained, tmp_path):
    trained.save(tmp_path / "c")
    with safe_open(tmp_path / "c", framework="np") as file:
        assert set(file.keys()) == {"weight", "bias"}
        facts = json.loads(file.metadata()["tcsm"])
    assert facts["grams"] == {"unit": "word", "shortest": 1, "longest": 2, "bits": 12}
    size = (tmp_path / "c").stat().st_size
    assert size == 8 + int.from_bytes((tmp_path / "c").read_bytes()[:8], "little") + 8 * 2**12 + 8
    assert b"sklearn" not in (tmp_path / "c").read_bytes()


@pytest.mark.parametrize("place", [-1, -(2**14), 60])
def test_a_flipped_bit_is_refused(trained, tmp_path, place):
    trained.save(tmp_path / "c")
    content = bytearray((tmp_path / "c").read_bytes())
    content[place] ^= 1
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(InputError, match=r"c: (no whole classifier|its bytes|format)"):
        load(tmp_path / "c")


@pytest.mark.parametrize("content", [b"", b"pickle", b"\x80\x04\x95"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(InputError, match=r"c: no whole classifier \(.*\); train it again"):
        load(tmp_path / "c")


def test_auc_by_hand():
    assert auc(np.array([1.0, 2, 3, 4]), np.array([0, 1, 0, 1])) == 3 / 4
    assert auc(np.array([1.0, 1.0]), np.array([0, 1])) == 1 / 2
    assert math.isclose(auc(np.array([3.0, 2, 1]), np.array([0, 0, 1])), 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Grams("letter", 1, 2), "grams.unit must be one of word, char; found letter"),
        (lambda: Grams("word", 2, 1), "grams.shortest must lie in .1, longest., found 2 and long"),
        (lambda: Grams("word", 0, 1), "grams.shortest must lie in"),
        (lambda: Grams("word", 1, 1, bits=40), r"grams.bits must lie in \[1, 30\], found 40"),
        (lambda: Training(WORDS, 0.0), "classifier.strength must be positive, found 0.0"),
        (lambda: Training(WORDS, 1.0, 0), "classifier.iterations must be 1 or more, found 0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
