"""Examples: the roles of their tokens in a file, and the rows that they become."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tcsm.data.batches import WindowBatches
from tcsm.data.examples import Example, Examples, going_on, held_out, training_batches
from tcsm.data.header import ROLES
from tcsm.data.shards import Shards
from tcsm.data.tokenfile import describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Bytes
from tcsm.errors import InputError

EXAMPLES = [Example("ab:", "cd"), Example("", "e"), Example("long prompt", "f"), Example("g", "h")]


def write(tmp_path, examples=EXAMPLES, characters=5, workers=1):
    """Through shards of a few characters."""
    shards = Shards(tmp_path / "shards", Bytes(), workers, characters)
    header = replace(describe(Bytes(), "fable", "train"), roles=ROLES)
    write_tokens(tmp_path / "train.tok", shards.pieces(examples, header), header)
    return open_tokens(tmp_path / "train.tok", Bytes())


def shown(rows):
    """Rows as text, what is left out in capitals."""
    pairs = zip(rows.tokens.tolist(), rows.real.tolist(), strict=True)
    return [
        "".join(
            chr(token) if text else chr(token).upper().replace("\n", "_")
            for token, text in zip(*row, strict=True)
        )
        for row in pairs
    ]


def test_a_response_with_its_end_is_text(tmp_path):
    file = write(tmp_path)
    assert bytes(file.tokens) == b"ab:cd\ne\nlong promptf\ngh\n"
    assert file.header.characters == 5  # of responses
    rows = Examples(file, 6, ord("\n")).rows(np.arange(3))
    assert shown(rows) == ["AB:cd\n", "e\n____", "Gh\n___"]
    assert rows.characters.tolist() == [3, 2, 2]
    assert rows.count == 7


def test_padding_may_be_text(tmp_path):
    rows = Examples(write(tmp_path, [Example("a", "b", padded=True)]), 5, 10).rows(np.arange(1))
    assert shown(rows) == ["Ab\n\n\n"]
    assert rows.characters.tolist() == [2]


def test_longer_examples_are_cut_and_those_of_prompts_alone_left_out(tmp_path, capsys):
    file = write(tmp_path)
    batches = training_batches(file, 4, 3, 0, 10)
    assert "2 of 4 examples" in (line := capsys.readouterr().err)
    assert "1 left out" in line
    assert shown(batches.examples.rows(np.arange(3))) == ["AB:c", "e\n__", "Gh\n_"]
    with pytest.raises(InputError, match=r"data\.length: 3 .*train\.tok.* 11"):
        Examples(write(tmp_path, EXAMPLES[2:3]), 3, 10)


def test_an_epoch_has_every_example_once_whatever_the_split(tmp_path):
    batches = training_batches(write(tmp_path), 16, 2, 7, 10)
    steps = [batches.at(step) for step in range(6)]
    orders = [[row for step in steps[i : i + 2] for row in shown(step)] for i in (0, 2, 4)]
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert len({*orders[0]}) == 4
    assert len({*map(tuple, orders)}) > 1
    halves = [batches.at(1, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([half.real for half in halves]), steps[1].real)
    assert torch.equal(torch.cat([half.tokens for half in halves]), steps[1].tokens)


def test_held_out_examples_are_counted(tmp_path):
    file = write(tmp_path)
    assert shown(held_out(file, 5, 2, Bytes(), "n")) == ["AB:cd", "e\n___"]
    with pytest.raises(InputError, match=r"sequences = 4: .*train\.tok holds 3 examples"):
        held_out(file, 5, 4, Bytes(), "sequences")


def test_other_prompts_of_the_same_text_are_another_file(tmp_path):
    one, other = (
        write(tmp_path / name, [Example(*parts)]).header
        for name, parts in {"a": ("ab", "c"), "b": ("a", "bc")}.items()
    )
    assert one.sha256 == other.sha256
    assert one.digest != other.digest


def test_damaged_roles_are_refused(tmp_path):
    file = write(tmp_path)
    content = bytearray(file.path.read_bytes())
    content[-1] ^= 1
    file.path.write_bytes(content)
    with pytest.raises(InputError, match=r"train\.tok: damaged, roles_sha256"):
        open_tokens(file.path, Bytes()).roles()


def test_a_chat_needs_a_template():
    with pytest.raises(InputError, match=r"chat: .*'bytes'"):
        Example("a", "b", chat=True).piece(Bytes())


def test_another_batch_goes_on_behind_what_was_read(tmp_path):
    """Every window and every example of an epoch once, whatever the batches."""
    windows = WindowBatches(np.arange(130, dtype=np.uint16), 10, 2, 0)
    examples = training_batches(write(tmp_path, EXAMPLES * 3), 8, 2, 0, 10)
    for batches in (windows, examples):
        whole = torch.cat([batches.at(step).tokens for step in range(6)])
        later = going_on(replace(batches, batch=4), 2, 4)
        read = [batches.at(step).tokens for step in (0, 1)]
        read += [later.at(step).tokens for step in (2, 3)]
        assert torch.equal(torch.cat(read), whole)
        assert going_on(batches, 3, 6) == batches
        assert going_on(batches, 3, None) is batches
