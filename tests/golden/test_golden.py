import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.golden.__main__ import main
from tests.golden.runner import check
from tests.golden.verdict import Comparison

GOLDEN = Path(__file__).with_name("golden.json")


@pytest.fixture(scope="module")
def document():
    return json.loads(GOLDEN.read_text())


def only(document, *ids):
    return {"loss_cases": [c for c in copy.deepcopy(document["loss_cases"]) if c["id"] in ids]}


def written(tmp_path, document):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_every_supported_case_of_the_committed_file_agrees(document):
    verdict = check(document)
    assert verdict.failed == []
    assert verdict.passed == {
        "score k=1": 16,
        "score k>1": 10,
        "distrib k=1": 8,
        "smoothed k=1": 2,
        "soft k=1": 10,
        "joint": 3,
        "dre": 4,
        "preference": 2,
        "reward": 3,
        "schedules": 6,
        "posterior": 2,
        "elbo": 2,
        "uniform_integrands": 2,
        "samplers": 4,
    }
    assert not verdict.later
    assert not verdict.unknown
    assert verdict.good


@pytest.mark.slow
def test_command_reports_the_tally_and_succeeds(document, tmp_path):
    path = written(tmp_path, {key: document[key] for key in ("meta", "loss_cases")})
    run = subprocess.run(
        [sys.executable, "-m", "tests.golden", path],
        cwd=GOLDEN.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    tally = "46 passed, 0 failed, 0 not yet supported"
    assert run.stdout.strip() == tally


@pytest.mark.parametrize("field", ["value", "grad", "active"])
@pytest.mark.parametrize(
    "name",
    [
        "score_mask_posterior_k1_gkl",
        "score_mask_posterior_k3_bce",
        "distrib_uniform_brier",
        "soft_mask_js",
    ],
)
def test_a_corrupted_number_fails(document, tmp_path, capsys, name, field):
    broken = only(document, name)
    case = broken["loss_cases"][0]
    if field == "grad":
        case["grad"][0][0] += 1e-7
    elif field == "value":
        case["value"] += 1e-7
    else:
        case["active"] = case["active"][:1]
    assert main([written(tmp_path, broken)]) == 1
    out = capsys.readouterr().out
    assert f"FAILED {name}: {field}" in out
    assert "0 passed, 1 failed, 0 not yet supported" in out


@pytest.mark.parametrize(
    ("section", "index", "field"),
    [
        ("schedules", 3, "kappa"),
        ("posterior", 0, "p_t"),
        ("uniform_integrands", 1, "reverse_integrand"),
        ("samplers", 2, "tv"),
    ],
)
def test_a_corrupted_table_fails(document, section, index, field):
    case = copy.deepcopy(document["tabular"][section][index])
    case[field] *= 1 + 1e-6
    (line,) = check({"tabular": {section: [case]}}).failed
    assert line.startswith(f"{section}[0]: {field.removesuffix('_integrand')}")


@pytest.mark.parametrize("field", ["value", "grad_energy"])
@pytest.mark.parametrize("index", range(3))
def test_a_corrupted_energy_fails(document, index, field):
    case = copy.deepcopy(document["joint_cases"][index])
    if field == "value":
        case["value"] += 1e-7
    else:
        case["grad_energy"][0][1] += 1e-7
    (line,) = check({"joint_cases": [case]}).failed
    assert line.startswith(f"{case['id']}: {field}")


@pytest.mark.parametrize(("index", "field"), [(1, "value"), (0, "grad"), (3, "value")])
def test_a_corrupted_ratio_fails(document, index, field):
    case = copy.deepcopy(document["tabular"]["dre"][index])
    for part in (case, case.get("explicit", case)):
        broken = copy.deepcopy(case)
        target = broken if part is case else broken["explicit"]
        target[field] = (np.asarray(target[field]) + 1e-7).tolist()
        (line,) = check({"tabular": {"dre": [broken]}}).failed
        assert field in line


def test_a_corrupted_bound_fails(document):
    case = copy.deepcopy(document["tabular"]["elbo"][0])
    case["nll_nats"][5] += 1e-6
    (line,) = check({"tabular": {"elbo": [case]}}).failed
    assert "nll_nats[5]" in line


@pytest.mark.parametrize(
    ("index", "field"),
    [(0, "paired"), (0, "paired_grad"), (0, "unpaired"), (0, "unpaired_grad"), (1, "p_pair")],
)
def test_a_corrupted_preference_fails(document, index, field):
    case = copy.deepcopy(document["tabular"]["preference"][index])
    if isinstance(case[field], float):
        case[field] += 1e-7
    else:
        case[field][1][1] += 1e-7
    (line,) = check({"tabular": {"preference": [case]}}).failed
    assert line.startswith(f"preference[0]: {field}")


@pytest.mark.parametrize(
    ("index", "field"), [(0, "Z_t"), (0, "p_t_R"), (1, "p_R"), (1, "marginals_R"), (2, "grad")]
)
def test_a_corrupted_reward_fails(document, index, field):
    case = copy.deepcopy(document["tabular"]["reward"][index])
    if isinstance(case[field], float):
        case[field] *= 1 + 1e-7
    else:
        case[field][1][1] += 1e-7
    (line,) = check({"tabular": {"reward": [case]}}).failed
    assert line.startswith(f"reward[0]: {field}")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"level": "guess"}, "guess k=1"),
        ({"divergence": "chi"}, "score divergence chi"),
        ({"source": "edit"}, "source edit"),
        ({"param": "flow"}, "parameterization flow"),
    ],
)
def test_an_unknown_kind_of_loss_fails(document, tmp_path, capsys, change, kind):
    broken = only(document, "score_mask_posterior_k1_gkl", "distrib_uniform_brier")
    broken["loss_cases"][0] |= change
    assert main([written(tmp_path, broken)]) == 1
    assert f"UNKNOWN {kind}: 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "document",
    [
        {"tabular": {"weather": [{}]}},
        {"extra": [{}]},
        {"tabular": {"schedules": [{"name": "polynom", "t": 0.5}]}},
        {"tabular": {"elbo": [{"source": "edit"}]}},
        {"tabular": {"preference": [{"kind": "tournament"}]}},
        {"tabular": {"reward": [{"kind": "prize"}]}},
    ],
)
def test_an_unknown_section_fails(document, tmp_path):
    assert main([written(tmp_path, document)]) == 1


def test_an_incomplete_case_and_an_empty_file_fail(document):
    broken = only(document, "score_mask_posterior_k1_gkl")
    del broken["loss_cases"][0]["logits"]
    assert "KeyError" in check(broken).failed[0]
    assert not check({}).good


def test_a_block_is_not_larger_than_what_is_open(document):
    case = only(document, "edge_k_gt_active")["loss_cases"][0]
    assert check({"loss_cases": [case]}).passed == {"score k=1": 1}


def test_nothing_open_gives_zero():
    case = {
        "id": "closed",
        "level": "score",
        "divergence": "hellinger",
        "source": "mask",
        "param": "loo",
        "V": 3,
        "k": 2,
        "x1": [0, 2],
        "xt": [0, 2],
        "alpha": 0.5,
        "active": [],
        "logits": [[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]],
        "value": 0.0,
        "grad": [[0.0] * 3] * 2,
    }
    assert check({"loss_cases": [case]}).good


def test_comparison_is_entry_by_entry_and_refuses_nan():
    assert Comparison("a", [1.0, 1e12], [1.0, 1e12 + 1]).error() is None
    assert Comparison("a", [1.0, 2.0], [1.0, 2.1]).error() == "a[1] is 2.0, expected 2.1"
    assert Comparison("a", [float("nan")], [float("nan")]).error() is not None
    assert Comparison("a", [float("inf")], [float("inf")]).error() is None
    assert Comparison("a", [1.0], [float("inf")]).error() is not None
    assert Comparison("a", [1.0], [1.0, 2.0]).error() is not None
