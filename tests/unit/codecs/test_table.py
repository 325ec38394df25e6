"""Content types: which can be sent, and which are accepted."""

from collections.abc import Iterator
from typing import Any

import pytest

from sqsw.codecs.json_codec import JSONCodec
from sqsw.codecs.pickle_codec import PickleCodec, PickleCompatCodec
from sqsw.codecs.table import (
    CONTENT_TYPES_CODECS,
    DEFAULT_CONTENT_TYPE,
    accepted_by_default,
    codec_for_sending,
    get_codec,
    register_codec,
)
from sqsw.core.errors import ContentTypeRefused, SettingsError
from sqsw.queue.job_queue import JobQueue


class Reversed:
    """A custom codec of the application."""

    def serialize(self, message: dict[str, Any]) -> str:
        return JSONCodec().serialize(message)[::-1]

    def deserialize(self, serialized: str) -> Any:
        return JSONCodec().deserialize(serialized[::-1])


@pytest.fixture
def own_codec() -> Iterator[Reversed]:
    codec = Reversed()
    register_codec("reversed", codec)
    yield codec
    del CONTENT_TYPES_CODECS["reversed"]


def test_json_is_the_default() -> None:
    assert DEFAULT_CONTENT_TYPE == "json"
    assert isinstance(get_codec("json"), JSONCodec)


@pytest.mark.parametrize("content_type", ["pickle", "pickle_compat"])
def test_pickle_is_accepted_only_if_listed(content_type: str) -> None:
    with pytest.raises(ContentTypeRefused, match=f"'{content_type}' is not accepted") as caught:
        get_codec(content_type)
    assert "trust" in str(caught.value.next)
    with pytest.raises(ContentTypeRefused):
        get_codec(content_type, ["json"])
    assert isinstance(get_codec(content_type, [content_type]), PickleCodec)
    assert isinstance(get_codec("pickle_compat", {"pickle_compat"}), PickleCompatCodec)


def test_an_empty_list_refuses_every_content_type() -> None:
    with pytest.raises(ContentTypeRefused, match="'json' is not accepted") as caught:
        get_codec("json", [])
    assert caught.value.why == "accepted here: none"


def test_pickle_can_be_sent_on_request() -> None:
    assert isinstance(codec_for_sending("pickle"), PickleCodec)


def test_an_unknown_content_type_is_refused_in_both_directions() -> None:
    with pytest.raises(ContentTypeRefused, match="'yaml' is not accepted"):
        get_codec("yaml")
    with pytest.raises(ContentTypeRefused, match="no codec for the content type 'yaml'"):
        get_codec("yaml", ["yaml"])
    with pytest.raises(ContentTypeRefused, match="no codec for the content type 'yaml'"):
        codec_for_sending("yaml")


def test_a_custom_codec_is_sent_and_accepted(own_codec: Reversed, jobs: JobQueue) -> None:
    seen: list[str] = []

    @jobs.processor("hello")
    def hello(name: str) -> None:
        seen.append(name)

    hello.delay("ann", _content_type="reversed")
    (message,) = jobs.get_raw_messages()
    assert message.body == '}"nna" :"eman"{'
    jobs.client.change_visibility_batch([(message, 0)])
    assert jobs.process_batch().succeeded_count() == 1
    assert seen == ["ann"]


def test_a_content_type_can_be_registered_only_once(own_codec: Reversed) -> None:
    register_codec("reversed", own_codec)
    with pytest.raises(SettingsError, match="'reversed'"):
        register_codec("reversed", Reversed())
    with pytest.raises(SettingsError, match="'json'"):
        register_codec("json", Reversed())


def test_pickle_under_another_name_is_not_accepted_by_default() -> None:
    register_codec("x-pickle", PickleCodec())
    try:
        assert "x-pickle" not in accepted_by_default()
        with pytest.raises(ContentTypeRefused):
            get_codec("x-pickle")
    finally:
        del CONTENT_TYPES_CODECS["x-pickle"]
