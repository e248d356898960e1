"""Prompts with responses from a file to samples, and other corpora, as a user types it."""

import gzip
import json

import pytest

from tcsm.data import detokenize
from tcsm.data.normalize import text8
from tests.stages.house import LENGTH, House, command, likelihood_of, make_text

SUMS = [{"q": f"{a}+{b}=", "a": str(a + b)} for a in range(10) for b in range(10)]


@pytest.mark.slow
def test_prompts_are_conditions_from_end_to_end(tmp_path):
    house = House(tmp_path)
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SUMS))
    corpus = ["corpus=records", f"corpus.path={path}", "corpus.column=null"]
    corpus += ["corpus.prompt=q", "corpus.response=a"]
    sizes = ["scale.length=8", "validation.sequences=4", "evaluation.sequences=4"]
    house.good("prepare", *corpus)
    run = house.good("train", *corpus, *sizes)
    house.good("evaluate", *corpus, *sizes)
    test = likelihood_of(run)["splits"]["test"]
    assert test["tokens"] == test["characters"]
    assert 4 * 2 <= test["tokens"] <= 4 * 3  # one digit or two, and the end
    words = tmp_path / "words.txt"
    words.write_text("one and two\nthree\n" * 9)
    house.good("evaluate", *corpus, *sizes, "metric=[zero_shot/ptb]", f"metric.ptb.path={words}")
    measured = json.loads((run / "evaluate.json").read_text("utf-8"))["metrics"]
    assert measured["likelihood"]["splits"]["test"] == test
    assert measured["ptb"]["protocol"]["detokenizer"] == "penn"
    assert measured["ptb"]["splits"]["test"]["sequences"] == 4
    house.good("sample", *corpus, *sizes, "sampling.template=1+2=")
    for drawn in json.loads((run / "samples.json").read_text("utf-8"))["runs"]:
        for text, response in zip(drawn["texts"], drawn["responses"], strict=True):
            assert text.startswith("1+2=" + response)
            assert "\n" not in response
    done = house.run("train", *corpus, *sizes, "scale.length=3", name="short")
    assert (done.code, len(done.err)) == (2, 1)
    assert "data.length" in done.err[0]


@pytest.mark.slow
def test_a_run_is_scored_on_four_other_corpora(house, trained, tmp_path):
    """Files as their publishers have them: AG News without names of columns, and so on."""
    run = house.copy(trained("kjv/distribution"))
    sentences = [f"{make_text(n, words=9)} , he said ." for n in range(40)]
    texts = {
        "lambada": "".join(json.dumps({"text": text}) + "\n" for text in sentences),
        "ag_news": "".join(f'"3","A title","{text}"\n' for text in sentences),
        "lm1b": "".join(text + "\n" for text in sentences),
        "wikitext2": " = Title = \n" + "".join(f" {text} \n" for text in sentences),
    }
    kinds = {"lambada": ".jsonl", "ag_news": ".csv", "lm1b": ".tokens", "wikitext2": ".tokens"}
    given = ["metric.ag_news.column=[2,3]"]
    for name, text in texts.items():
        path = tmp_path / f"{name}{kinds[name]}.gz"
        path.write_bytes(gzip.compress(text.encode()))
        given.append(f"metric.{name}.path={path}")
    done = command("evaluate", str(run), "metric=likelihood", "data=zero_shot/lambada", given[1])
    assert done.code == 0, done.err
    sets = ",".join(f"zero_shot/{name}" for name in texts)
    done = command("evaluate", str(run), f"data=[{sets}]", *given)
    assert done.code == 0, done.err
    measured = json.loads((run / "evaluate.json").read_text("utf-8"))["metrics"]
    assert measured.keys() == {"likelihood", *texts}
    assert all(f"{name} " in done.out for name in texts)
    plain = {
        "lambada": [detokenize.lambada(text) for text in sentences],
        "ag_news": [f"A title {text}" for text in sentences],
        "lm1b": [detokenize.news(text) for text in sentences],
        "wikitext2": [" ".join(["= Title =", *map(detokenize.wikitext, sentences)])],
    }
    for name, parts in plain.items():
        test, output = measured[name]["splits"]["test"], measured[name]["protocol"]
        assert (test["sequences"], test["tokens"]) == (8, 8 * LENGTH)
        assert output["text"].endswith(f"{name}{kinds[name]}.gz")
        assert output["tokens"] == sum(len(text8(text)) + 1 for text in parts) - 1, name
        assert 3 < test["bpc"] < 6
    done = command("evaluate", str(run), "data=zero_shot/ag_news", f"metric.ag_news.path={path}")
    assert (done.code, len(done.err)) == (0, 0)  # lines of text, all one column
