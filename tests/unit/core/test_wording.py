"""Wording of durations, counts, errors and suggestions."""

import pytest

from sqsw.core.wording import counted, described, format_duration, nearest, without_password


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (30, "30s"),
        (60, "1m"),
        (5400, "1h30m"),
        (1_209_600, "14d"),
        (90_060.6, "1d1h1m1s"),
    ],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_one_is_singular() -> None:
    assert [counted(n, "message") for n in (0, 1, 1204)] == [
        "0 messages",
        "1 message",
        "1,204 messages",
    ]


def test_the_nearest_word_is_found() -> None:
    assert nearest("emials", ["orders", "emails"]) == "emails"
    assert nearest("x", ["orders"]) is None


class Dumb(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_whose_text_cannot_be_read_is_still_described() -> None:
    assert described(ValueError("no")) == "ValueError: no"
    assert described(Dumb()) == "Dumb: <its text cannot be read>"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *(
            (f"{begin}ann:{password}@h:1", f"{begin}h:1")
            for begin in ("http://", "//")
            for password in ("secret", 's3"cret', "s3 cret", "s3@cret")
        ),
        ('endpoint URL: "http://ann:s3"cr et@h:1/"', 'endpoint URL: "http://h:1/"'),
        ('{"url": "http://h:1", "to": "a@b"}', '{"url": "http://h:1", "to": "a@b"}'),
        ("http://h/q?to=ann@example.com", "http://h/q?to=ann@example.com"),
        ("see http://h:1\n@decorated", "see http://h:1\n@decorated"),
    ],
)
def test_a_password_in_a_url_is_not_shown(text: str, told: str) -> None:
    assert without_password(text) == told
