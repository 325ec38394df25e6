"""Entries: their size, what SQS would refuse, and how many fit into one call."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqsw.core.errors import MessageRefused, SQSError
from sqsw.core.limits import MAX_MESSAGE_BYTES
from sqsw.queue.job_queue import JobQueue
from sqsw.transport.batches import check_entry, entry_bytes, fit_to_queue, split_entries


def attribute(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


def entry(body: str, **attributes: str) -> dict[str, Any]:
    found: dict[str, Any] = {"MessageBody": body}
    if attributes:
        found["MessageAttributes"] = {name: attribute(v) for name, v in attributes.items()}
    return found


# -- size -----------------------------------------------------------------------------------------


def test_sizes_count_utf_8_bytes_and_attribute_names_types_and_values() -> None:
    assert entry_bytes(entry("ß☃𝄞")) == 2 + 3 + 4
    assert entry_bytes(entry("x", Name="ß")) == 1 + len("Name") + len("String") + 2
    binary = {
        "MessageBody": "x",
        "MessageAttributes": {"N": {"DataType": "Binary", "BinaryValue": b"ab"}},
    }
    assert entry_bytes(binary) == 1 + 1 + 6 + 2


@pytest.mark.parametrize("character", ["x", "ß", "☃", "𝄞"])
def test_one_mebibyte_is_accepted_and_one_byte_more_is_refused(character: str) -> None:
    width = len(character.encode())
    count, rest = divmod(MAX_MESSAGE_BYTES, width)
    exact = character * count + "x" * rest
    check_entry(entry(exact))
    with pytest.raises(MessageRefused, match="1048577 bytes; the limit is 1048576"):
        check_entry(entry(exact + "x"))


def test_attributes_count_toward_the_limit_and_the_error_shows_both_sizes() -> None:
    size = len("Name") + len("String") + 100
    check_entry(entry("x" * (MAX_MESSAGE_BYTES - size), Name="v" * 100))
    with pytest.raises(MessageRefused, match="1048577 bytes") as caught:
        check_entry(entry("x" * (MAX_MESSAGE_BYTES - size + 1), Name="v" * 100))
    assert (
        caught.value.why == f"body: {MAX_MESSAGE_BYTES - size + 1} bytes, attributes: {size} bytes"
    )


def test_the_limit_matches_sqs(jobs: JobQueue) -> None:
    exact = entry("x" * MAX_MESSAGE_BYTES)
    assert jobs.client.send(exact)["MessageId"]
    with pytest.raises(SQSError):
        jobs.client.send(entry("x" * (MAX_MESSAGE_BYTES + 1)))


def test_a_job_that_is_too_large_is_refused_before_any_call(jobs: JobQueue) -> None:
    with pytest.raises(MessageRefused, match="the limit is 1048576"):
        jobs.add_job("send", body="x" * MAX_MESSAGE_BYTES)
    with pytest.raises(MessageRefused, match="the limit is 1048576"), jobs.add_batch():
        jobs.add_job("send", body="x" * MAX_MESSAGE_BYTES)
    assert jobs.drain_queue() == 0


# -- characters and attributes --------------------------------------------------------------------


@pytest.mark.parametrize(
    "character",
    ["\0", "\x01", "\b", "\x0b", "\x0c", "\x1f", "\ud800", "\udfff", "\ufffe", "\uffff"],
    ids=lambda c: f"U+{ord(c):04X}",
)
def test_characters_that_sqs_does_not_accept_are_refused_with_their_position(
    character: str,
) -> None:
    code = f"U\\+{ord(character):04X}"
    with pytest.raises(MessageRefused, match=f"the body contains a character.*{code}") as caught:
        check_entry(entry(f"abc{character}"))
    assert "position 3" in str(caught.value.why)
    with pytest.raises(MessageRefused, match=f"the attribute 'Name' contains a character.*{code}"):
        check_entry(entry("abc", Name=character))


@pytest.mark.parametrize(
    "character",
    [
        "\t",
        "\n",
        "\r",
        " ",
        "\x7f",
        "\x85",
        "\ud7ff",
        "\ue000",
        "\ufffd",
        "\U00010000",
        "\U0010ffff",
    ],
)
def test_all_other_characters_are_accepted_by_us_and_by_sqs(character: str, jobs: JobQueue) -> None:
    text = f"abc{character}"
    check_entry(entry(text))
    jobs.client.send(entry(text))
    (message,) = jobs.get_raw_messages()
    assert message.body == text


# Unpaired surrogates are excluded because the codec refuses them and names the argument.
@given(
    st.dictionaries(
        st.sampled_from("abc"), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    )
)
def test_json_never_creates_a_body_that_is_refused(values: dict[str, str]) -> None:
    from sqsw.codecs.envelope import pack_job

    check_entry(pack_job("send", values))


def test_a_job_name_with_a_refused_character_is_refused(jobs: JobQueue) -> None:
    with pytest.raises(MessageRefused, match="'JobName' contains a character"):
        jobs.add_job("send\0email")


def test_eleven_attributes_are_refused() -> None:
    check_entry(entry("x", **{f"a{n}": "v" for n in range(10)}))
    with pytest.raises(MessageRefused, match="11 attributes; the limit is 10"):
        check_entry(entry("x", **{f"a{n}": "v" for n in range(11)}))


def test_an_empty_body_is_refused() -> None:
    with pytest.raises(MessageRefused, match="empty"):
        check_entry(entry(""))


# -- the kind of queue ----------------------------------------------------------------------------


def test_an_entry_for_a_fifo_queue_gets_the_default_group() -> None:
    plain, grouped = entry("x"), {**entry("x"), "MessageGroupId": "g"}
    for made in (plain, grouped):
        fit_to_queue(made, is_fifo=True, queue_name="q.fifo")
    assert (plain["MessageGroupId"], grouped["MessageGroupId"]) == ("default", "g")


def test_an_entry_for_a_standard_queue_gets_no_group_but_can_have_one() -> None:
    plain, grouped = entry("x"), {**entry("x"), "MessageGroupId": "g"}
    for made in (plain, grouped):
        fit_to_queue(made, is_fifo=False, queue_name="q")
    assert (plain, grouped["MessageGroupId"]) == (entry("x"), "g")


def test_a_standard_queue_refuses_a_deduplication_id(jobs: JobQueue) -> None:
    with pytest.raises(MessageRefused, match="'jobs' does not support deduplication IDs"):
        jobs.add_job("send", _deduplication_id="d")


# -- batches --------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 10), st.integers(40, 200))
def test_batches_keep_all_entries_in_order_within_the_limits(
    sizes: list[int], max_entries: int, max_bytes: int
) -> None:
    entries = [entry("x" * size) for size in sizes]
    batches = list(split_entries(entries, max_entries, max_bytes))
    assert [one for batch in batches for one in batch] == entries
    for batch in batches:
        assert 1 <= len(batch) <= max_entries
        assert sum(map(entry_bytes, batch)) <= max_bytes
    for first, second in pairwise(batches):
        # No batch is smaller than necessary.
        assert (
            len(first) == max_entries
            or sum(map(entry_bytes, first)) + entry_bytes(second[0]) > max_bytes
        )


def test_the_limits_match_sqs() -> None:
    assert [len(batch) for batch in split_entries(entry("x") for _ in range(21))] == [10, 10, 1]
    half = entry("x" * (MAX_MESSAGE_BYTES // 2))
    assert [len(batch) for batch in split_entries([half] * 5)] == [2, 2, 1]
    assert list(split_entries([])) == []
