"""Lines of requests are written together, in their order, and at once where the fault is ours."""

import asyncio
import logging
import time

import pytest

from sqsw.local.http.request_log import RequestLog

CLIENT = ("127.0.0.1", 40000)


def operations(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [vars(record)["operation"] for record in caplog.records]


class TestRequestLog:
    @pytest.fixture(autouse=True)
    def heard(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "sqsw.serve")

    async def wait_until_written(self, caplog: pytest.LogCaptureFixture, lines: int) -> None:
        async with asyncio.timeout(20):
            while len(caplog.records) < lines:
                await asyncio.sleep(0.01)

    def test_lines_are_written_a_moment_later_with_the_time_of_their_answer(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def run() -> float:
            log = RequestLog()
            log.add("SendMessage", "/", 200, CLIENT, 0.00123456)
            log.add("", "/favicon.ico", 404, None, 0.1)
            added = time.time()
            assert caplog.records == []
            await self.wait_until_written(caplog, 2)
            return added

        added = asyncio.run(run())
        assert operations(caplog) == ["SendMessage", None]
        first = caplog.records[0]
        values = vars(first)
        assert (values["path"], values["status"], values["seconds"]) == ("/", 200, 0.0012)
        assert (values["client"], vars(caplog.records[1])["client"]) == ("127.0.0.1:40000", None)
        assert first.created <= added

    def test_a_fault_of_ours_is_written_at_once_behind_what_waits(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def run() -> None:
            log = RequestLog()
            log.add("SendMessage", "/", 200, CLIENT, 0.1)
            log.add("ReceiveMessage", "/", 500, CLIENT, 0.1)
            assert operations(caplog) == ["SendMessage", "ReceiveMessage"]
            assert caplog.records[1].levelno == logging.WARNING

        asyncio.run(run())

    def test_no_more_than_a_hundred_wait(self, caplog: pytest.LogCaptureFixture) -> None:
        async def run() -> None:
            log = RequestLog()
            for number in range(250):
                log.add(str(number), "/", 200, CLIENT, 0.1)
            assert len(caplog.records) == 200
            log.write()  # as the server does at its end
            log.add("last", "/", 200, CLIENT, 0.1)
            assert len(caplog.records) == 250
            await self.wait_until_written(caplog, 251)

        asyncio.run(run())
        assert operations(caplog) == [*(str(number) for number in range(250)), "last"]

    def test_a_level_that_is_off_costs_no_line(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.ERROR, "sqsw.serve")

        async def run() -> None:
            log = RequestLog()
            log.add("SendMessage", "/", 200, CLIENT, 0.1)
            log.write()

        asyncio.run(run())
        assert caplog.records == []
