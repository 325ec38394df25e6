"""One message of a group at a time, in order."""

from sqsw.worker.groups import GroupGate


def test_the_first_of_a_group_may_run_and_the_others_wait() -> None:
    gate = GroupGate[str]()
    assert gate.admit("g", "g1")
    assert not gate.admit("g", "g2")
    assert gate.admit("h", "h1")


def test_a_success_lets_the_next_one_through() -> None:
    gate = GroupGate[str]()
    for item in ("g1", "g2", "g3"):
        gate.admit("g", item)
    assert gate.finish("g", "g1") == "g2"
    assert gate.finish("g", "g2") == "g3"
    assert gate.finish("g", "g3") is None
    assert gate.admit("g", "g4")


def test_a_failure_gives_back_what_stands_behind_in_order() -> None:
    gate = GroupGate[str]()
    for item in ("g1", "g2", "g3"):
        gate.admit("g", item)
    assert gate.fail("g", "g1") == ["g2", "g3"]
    assert gate.fail("g", "g1") == []
    assert gate.admit("g", "g1 again")


def test_a_loss_in_the_middle_leaves_the_head_alone() -> None:
    gate = GroupGate[str]()
    for item in ("g1", "g2", "g3", "g4"):
        gate.admit("g", item)
    assert gate.fail("g", "g3") == ["g4"]
    assert gate.is_head("g", "g1")
    assert gate.holds("g", "g2")
    assert not gate.holds("g", "g3")
    assert gate.finish("g", "g1") == "g2"


def test_only_the_head_can_finish() -> None:
    gate = GroupGate[str]()
    gate.admit("g", "g1")
    gate.admit("g", "g2")
    assert gate.finish("g", "g2") is None
    assert gate.finish("unknown", "g2") is None
    assert gate.is_head("g", "g1")
    assert not gate.is_head("g", "g2")
    assert not gate.is_head(None, "g2")


def test_those_that_wait_can_be_taken_out() -> None:
    gate = GroupGate[str]()
    for item in ("g1", "g2"):
        gate.admit("g", item)
    for item in ("h1", "h2"):
        gate.admit("h", item)
    assert gate.clear_waiting(lambda _: False) == ["g2", "h2"]
    assert gate.finish("g", "g1") is None
    assert gate.finish("h", "h1") is None


def test_an_item_to_keep_keeps_its_place_and_those_before_it() -> None:
    gate = GroupGate[str]()
    for item in ("g1", "g2", "g3 last", "g4", "h1", "h2"):
        gate.admit(item[0], item)
    assert gate.clear_waiting(lambda item: "last" in item) == ["g4", "h2"]
    assert gate.finish("g", "g1") == "g2"
    assert gate.finish("g", "g2") == "g3 last"
