"""Records for requests: a warning if the server failed."""

import logging

import pytest

from sqsw.local.http.request_log import log_request

CLIENT = ("127.0.0.1", 40000)


def test_a_record_has_the_values_of_its_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sqsw.serve")
    log_request("SendMessage", "/", 200, CLIENT, 0.00123456)
    log_request("", "/favicon.ico", 404, None, 0.1)
    log_request("ReceiveMessage", "/", 500, CLIENT, 0.1)
    assert [vars(record)["operation"] for record in caplog.records] == [
        *("SendMessage", None, "ReceiveMessage")
    ]
    values = vars(caplog.records[0])
    assert (values["path"], values["status"], values["seconds"]) == ("/", 200, 0.0012)
    assert (values["client"], vars(caplog.records[1])["client"]) == ("127.0.0.1:40000", None)
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "WARNING"]


def test_a_disabled_level_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "sqsw.serve")
    log_request("SendMessage", "/", 200, CLIENT, 0.1)
    assert caplog.records == []
