"""A training on prompts with responses, from a file to samples, as a user types it."""

import json

import pytest

from tests.stages.house import House, likelihood_of

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
