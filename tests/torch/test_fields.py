"""Which parameter of a run goes where, decided from an optimizer's groups alone."""

from typing import Any

import pytest

from rheostat.errors import Invalid

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")


def weight() -> Any:
    return torch.nn.Parameter(torch.ones(2))


def group(**options: Any) -> dict[str, Any]:
    return {"params": [weight()], **options}


def placed(optimizer: Any, parameters: list[str], fields: Any = None) -> list[tuple[Any, ...]]:
    """Return (group, key, place, parameter) of every binding."""
    from rheostat.torch.fields import bind

    bindings = bind(optimizer.param_groups, parameters, fields)
    return sorted((b.group, *b.slot, b.parameter) for b in bindings)


def refusal(optimizer: Any, parameters: list[str], fields: Any = None) -> str:
    with pytest.raises(Invalid) as caught:
        placed(optimizer, parameters, fields)
    return str(caught.value)


def test_a_parameter_goes_into_the_field_of_its_name() -> None:
    """Parameters that no optimizer field is named after are left to their readers."""
    optimizer = torch.optim.SGD([weight()], lr=0.1, momentum=0.9)
    found = placed(optimizer, ["batch_size", "lr", "momentum", "nesterov"])
    assert found == [(0, "lr", None, "lr"), (0, "momentum", None, "momentum")]


def test_betas_are_fields_of_their_own() -> None:
    """beta1 and beta2 are the first and the second of an optimizer's betas."""
    optimizer = torch.optim.Adam([weight()], lr=0.1)
    found = placed(optimizer, ["beta1", "beta2"])
    assert found == [(0, "betas", 0, "beta1"), (0, "betas", 1, "beta2")]


def test_momentum_is_beta1_where_there_are_betas() -> None:
    """As in PyTorch's CyclicLR, an optimizer without momentum has it as its first beta."""
    optimizer = torch.optim.Adam([weight()], lr=0.1)
    assert placed(optimizer, ["momentum"]) == [(0, "betas", 0, "momentum")]


def test_two_parameters_for_one_slot_are_refused() -> None:
    """Where momentum and beta1 mean the same number, the run must have one of them."""
    optimizer = torch.optim.Adam([weight()], lr=0.1)
    assert "beta1 and momentum both go into it" in refusal(optimizer, ["beta1", "momentum"])


def test_a_group_takes_the_parameter_of_its_name() -> None:
    """lr/head goes into the group named head, lr into the others, though they differ."""
    optimizer = torch.optim.SGD([group(), group(name="head", lr=0.5)], lr=0.1)
    found = placed(optimizer, ["lr", "lr/head"])
    assert found == [(0, "lr", None, "lr"), (1, "lr", None, "lr/head")]


def test_groups_of_one_name_share_its_parameter() -> None:
    """Two groups may both be named head."""
    optimizer = torch.optim.SGD([group(name="head"), group(name="head")], lr=0.1)
    found = placed(optimizer, ["lr/head"])
    assert found == [(0, "lr", None, "lr/head"), (1, "lr", None, "lr/head")]


@pytest.mark.parametrize("field", ["lr", "weight_decay", "momentum"])
def test_groups_that_differ_are_refused(field: str) -> None:
    """One parameter for groups with different values would make them equal unseen."""
    groups = [group(**{field: 0.25}), group(**{field: 0.5})]
    text = refusal(torch.optim.SGD(groups, lr=0.1), [field])
    assert f"{field}: groups differ (0 has 0.25, 1 has 0.5)" in text


def test_groups_whose_betas_differ_are_refused() -> None:
    """Only the beta that the run has needs to be equal."""
    groups = [group(betas=(0.9, 0.99)), group(betas=(0.9, 0.95))]
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    assert len(placed(optimizer, ["beta1"])) == 2
    assert "beta2: groups differ" in refusal(optimizer, ["beta2"])


def test_groups_may_differ_in_what_the_run_has_not() -> None:
    """A run of learning rates takes groups that differ in weight decay."""
    groups = [group(weight_decay=0.25), group(weight_decay=0.5)]
    assert len(placed(torch.optim.SGD(groups, lr=0.1), ["lr"])) == 2


def test_zero_weight_decay_is_left_alone() -> None:
    """Biases and norms, exempt from decay by a zero, stay exempt."""
    optimizer = torch.optim.AdamW([group(weight_decay=0.1), group(weight_decay=0.0)])
    assert placed(optimizer, ["weight_decay"]) == [(0, "weight_decay", None, "weight_decay")]


def test_zero_weight_decay_that_is_named_is_set() -> None:
    """weight_decay/<group> asks for it, and so does a mapping for that group."""
    optimizer = torch.optim.AdamW([group(weight_decay=0.0, name="norm")])
    slot = (0, "weight_decay", None)
    assert placed(optimizer, ["weight_decay/norm"]) == [(*slot, "weight_decay/norm")]
    chosen = [{"weight_decay": "weight_decay"}]
    assert placed(optimizer, ["weight_decay"], chosen) == [(*slot, "weight_decay")]


def test_weight_decay_that_a_run_began_at_zero_is_not_taken_for_exempt() -> None:
    """The value before any schedule decides, and the optimizer's checkpoint carries it."""
    optimizer = torch.optim.AdamW([weight()], weight_decay=0.1)
    placed(optimizer, ["weight_decay"])
    optimizer.param_groups[0]["weight_decay"] = 0.0
    resumed = torch.optim.AdamW([weight()], weight_decay=0.1)
    resumed.load_state_dict(optimizer.state_dict())
    assert len(placed(resumed, ["weight_decay"])) == 1


def test_a_parameter_of_a_group_that_is_not_there_is_refused() -> None:
    """A misspelt group would else train at the rate of the rest."""
    optimizer = torch.optim.SGD([group(name="body"), group(name="haed")], lr=0.1)
    text = refusal(optimizer, ["lr", "lr/head"])
    assert "lr/head: no parameter group is named 'head' (there are: body, haed)" in text


def test_a_group_without_a_parameter_is_refused() -> None:
    """If one group's learning rate comes from the run, all of them do."""
    optimizer = torch.optim.SGD([group(name="body"), group(name="head")], lr=0.1)
    assert "lr of group 0 (body): the run has lr/head" in refusal(optimizer, ["lr/head"])


def test_an_optimizer_that_the_run_does_not_touch_is_refused() -> None:
    """A scheduler that sets nothing is a mistake."""
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    assert "the run's parameters (batch_size)" in refusal(optimizer, ["batch_size"])


def test_a_mapping_of_fields_holds_for_all_groups() -> None:
    """It names the parameter, and equal values and zero decay are minded as without it."""
    groups = [group(weight_decay=0.1), group(weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    chosen = {"lr": "lr/critic", "weight_decay": "decay"}
    found = placed(optimizer, ["decay", "lr/actor", "lr/critic"], chosen)
    assert found == [
        (0, "lr", None, "lr/critic"),
        (0, "weight_decay", None, "decay"),
        (1, "lr", None, "lr/critic"),
    ]


def test_a_mapping_for_each_group_is_taken_at_its_word() -> None:
    """Groups that differ may be given one parameter, if each of them says so."""
    optimizer = torch.optim.SGD([group(lr=0.1), group(lr=0.2)], lr=0.1)
    found = placed(optimizer, ["lr"], [{"lr": "lr"}, {}])
    assert found == [(0, "lr", None, "lr")]
    assert len(placed(optimizer, ["lr"], [{"lr": "lr"}] * 2)) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "fields: 0 mappings for 1 parameter groups"),
        (5, "fields: must be {field: parameter}"),
        ("lr", "fields: must be {field: parameter}"),
        ([["lr"]], "fields: must be {field: parameter}"),
        ({5: "lr"}, "fields: must be {field: parameter}"),
        ({"rate": "lr"}, "fields[0].rate: group 0 has "),
        ({"lr": "rate"}, "fields[0].lr: the run has lr"),
        ([{"betas": "lr"}], "fields[0].betas: group 0 has "),
        ([{"beta3": "lr"}], "fields[0].beta3: group 0 has "),
    ],
)
def test_fields_that_do_not_exist_are_refused(fields: Any, message: str) -> None:
    """The error says which name is wrong and what there is."""
    assert message in refusal(torch.optim.Adam([weight()], lr=0.1), ["lr"], fields)


def test_a_tensor_is_a_number() -> None:
    """A learning rate that lives in a tensor is a field, and equal tensors are equal."""
    groups = [group(lr=torch.tensor(0.5)), group(lr=torch.tensor(0.5))]
    assert len(placed(torch.optim.Adam(groups, capturable=True), ["lr"])) == 2
