"""``sqsw delete-queue``."""

from tests.unit.cli.conftest import Sqsw


def queues(sqsw: Sqsw) -> list[str]:
    return sorted(sqsw.env.get_all_known_queues())


def test_without_a_terminal_it_needs_yes(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    sqsw("send emails a")
    ran = sqsw.process("delete-queue emails", input="emails\n")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: delete-queue deletes 'emails' with about 1 message and needs confirmation",
        "  why:  there is no terminal to ask on",
        "  next: add --yes if this is intended",
    ]
    assert queues(sqsw) == ["emails"]


def test_a_missing_queue_is_an_error_and_nothing_is_deleted(sqsw: Sqsw) -> None:
    sqsw("create-queue images")
    ran = sqsw("delete-queue images imagess --yes")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.splitlines()[0].startswith("error: no queue named 'imagess' in local file ")
    assert ran.err.splitlines()[-1] == "  next: did you mean 'images'?"
    assert queues(sqsw) == ["images"]


def test_with_if_exists_a_missing_queue_is_skipped(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    sqsw("create-queue news")
    ran = sqsw("delete-queue emails nothing news --if-exists --yes --json")
    assert ran.code == 0
    assert {one["name"]: one["action"] for one in ran.objects} == {
        "nothing": "unchanged",
        "emails": "deleted",
        "news": "deleted",
    }
    assert queues(sqsw) == []


def test_url_and_name_of_a_queue_are_one_queue(sqsw: Sqsw) -> None:
    (made,) = sqsw("create-queue emails --json").objects
    ran = sqsw("delete-queue", made["url"], "emails", made["arn"], "--yes")
    assert (ran.code, ran.out) == (0, "emails\tdeleted\n")


def test_one_name_in_two_accounts_means_two_queues(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    urls = [f"http://sqsw.invalid/{account * 12}/emails" for account in "120"]
    ran = sqsw("delete-queue", *urls, "--if-exists", "--yes", "--json")
    assert [one["action"] for one in ran.objects] == ["unchanged", "unchanged", "deleted"]


def test_the_name_cannot_be_used_again_for_a_minute(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    sqsw("delete-queue emails --yes")
    assert sqsw("create-queue emails").code == 6


def test_an_empty_dead_letter_queue_is_deleted_with_its_queue(sqsw: Sqsw) -> None:
    sqsw("create-queue --dlq emails_dead")
    ran = sqsw("delete-queue emails --with-dlq --yes")
    assert ran.out == "emails\tdeleted\nemails_dead\tdeleted\n"
    assert queues(sqsw) == []


def test_a_dead_letter_queue_with_another_prefix_is_deleted_too(sqsw: Sqsw) -> None:
    sqsw("create-queue prod_emails --dlq shared_dead")
    sqsw("create-queue prod_shared_dead")
    assert sqsw("delete-queue emails --with-dlq --yes --queue-prefix prod_").code == 0
    assert queues(sqsw) == ["prod_shared_dead"]


def test_a_dead_letter_queue_in_use_is_kept(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq dead")
    sqsw("create-queue news --dlq dead")
    ran = sqsw("delete-queue emails --with-dlq --yes")
    assert (ran.code, ran.out) == (0, "emails\tdeleted\n")
    assert ran.err.splitlines() == [
        "warning: 'dead' is kept",
        "  why:  it is also the dead-letter queue of news",
    ]
    sqsw("send dead a")
    ran = sqsw("delete-queue news --with-dlq --yes")
    assert "it holds 1 message" in ran.err
    assert queues(sqsw) == ["dead"]


def test_deleting_both_sources_deletes_their_dead_letter_queue(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq dead")
    sqsw("create-queue news --dlq dead")
    assert sqsw("delete-queue emails news --with-dlq --yes").code == 0
    assert queues(sqsw) == []
