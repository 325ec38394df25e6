"""Jobs that end their process are dead-lettered, and take no other job with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.job_metadata import metadata_of
from sqsw.core.message import Message
from tests.backends import wait_until
from tests.life.test_work_processes import Work

TASKS = """
import ctypes, os, signal, time
from pathlib import Path
from sqsw import SQSEnv

env = SQSEnv()
EXECUTOR = os.environ.get("EXECUTOR")
options = {"executor": "process"} if EXECUTOR == "process" else {}
QUEUE = os.environ.get("QUEUE", "jobs")

def leave(name):
    Path("notes").mkdir(exist_ok=True)
    with Path(f"notes/{name}").open("a") as file:
        file.write("x")

if EXECUTOR == "loop":
    import asyncio

    @env.processor(QUEUE, "work")
    async def work(number):
        await asyncio.sleep(0.02)
        leave(f"work-{number}")
else:
    @env.processor(QUEUE, "work", **options)
    def work(number):
        time.sleep(0.02)
        leave(f"work-{number}")

@env.processor(QUEUE, "slow")
def slow(number):
    leave(f"slow-{number}")
    time.sleep(1)
    leave(f"done-{number}")

@env.processor(QUEUE, "late")
def late():
    leave("late")
    time.sleep(0.5)
    os._exit(3)

@env.processor(QUEUE, "exit", **options)
def exit():
    leave("exit")
    os._exit(0)

@env.processor(QUEUE, "kill", **options)
def kill():
    leave("kill")
    os.kill(os.getpid(), signal.SIGKILL)

@env.processor(QUEUE, "crash", **options)
def crash():
    leave("crash")
    ctypes.string_at(0)
"""

#: the jobs that end their process, and the reasons in their dead letters
KILLERS = {"exit": "exit code 0", "kill": "SIGKILL", "crash": "SIGSEGV"}


class Killers(Work):
    """A worker whose jobs include killers, and a queue with a dead-letter queue."""

    def __init__(self, folder: Path, suffix: str = "") -> None:
        super().__init__(folder)
        (folder / "tasks.py").write_text(TASKS)
        self.name = f"jobs{suffix}"
        fifo = {"FifoQueue": "true"} if suffix else {}
        client = self.session.client("sqs")
        client.create_queue(QueueName=f"dead{suffix}", Attributes=fifo)
        client.create_queue(QueueName=self.name, Attributes=fifo)
        self.set_receives(3, lease_seconds=8)
        self.dead = self.env.queue(f"dead{suffix}")

    def set_receives(self, receives: int, lease_seconds: int = 20) -> None:
        """Move a message to the dead-letter queue after so many receives.

        Before a lease ends, the next process must have started, also on a busy machine.
        """
        name = "dead.fifo" if self.name.endswith(".fifo") else "dead"
        policy = self.env.redrive_policy(name, receives).to_json()
        url = self.session.client("sqs").get_queue_url(QueueName=self.name)["QueueUrl"]
        self.session.client("sqs").set_queue_attributes(
            QueueUrl=url,
            Attributes={"RedrivePolicy": policy, "VisibilityTimeout": str(lease_seconds)},
        )
        self.receives = receives

    def send_jobs(self, count: int) -> None:
        """Send good jobs and the killers, each of which is the first of its group."""
        queue = self.env.queue(self.name)
        names = iter(KILLERS)
        for number in range(count):
            for name in [next(names), "work"] if number in (3, 40, 90) else ["work"]:
                fields: dict[str, Any] = {"number": number} if name == "work" else {}
                if self.name.endswith(".fifo"):
                    group = f"killed-{number}" if number in (3, 40, 90) else f"g{number % 5}"
                    fields |= {"_group_id": group, "_deduplication_id": f"{name}-{number}"}
                queue.add_job(name, **fields)

    def work_until_empty(self, *options: str) -> None:
        """Run a worker with these options until the queue is empty."""
        self.start(*options)
        self.wait_until_empty()
        self.running.terminate()
        self.end()

    def wait_until_empty(self) -> None:
        wait_until(self.is_empty, 150, "the queue is empty")

    def ran(self, name: str) -> int:
        """Return how often a job ran."""
        path = self.folder / "notes" / name
        return path.stat().st_size if path.exists() else 0

    def check(self) -> None:
        """Check that the killers are dead letters with reasons and that all other jobs ran."""
        letters = {each.string_attribute("JobName") or "": each for each in self.letters()}
        assert len(self.letters()) == len(letters) == 3
        for name, how in KILLERS.items():
            record = metadata_of(letters[name]).dead
            assert record is not None, f"SQS moved {name} without a reason"
            assert (record.verdict, record.type) == ("killed_process", "ProcessKilled")
            assert record.receives == self.receives
            # A job that ran next to others on its last receive runs once more, alone.
            assert record.attempts in (self.receives, self.receives + 1)
            assert f"the process of the job ended before the job did: {how}" in str(record.message)
            assert record.fingerprint

    def letters(self) -> list[Message]:
        found = self.dead.client.peek()
        assert found is not None
        return list(found)

    def is_empty(self) -> bool:
        attributes = self.env.queue(self.name).client.attributes()
        kinds = ("", "NotVisible", "Delayed")
        return not any(int(attributes[f"ApproximateNumberOfMessages{kind}"]) for kind in kinds)


@pytest.fixture
def killers(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Killers]:
    made = Killers(tmp_path, getattr(request, "param", ""))
    yield made
    made.close()


@pytest.mark.parametrize(("executor", "slots"), [("thread", 8), ("loop", 8), ("process", 2)])
def test_killers_take_no_other_job_with_them(
    killers: Killers, executor: str, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXECUTOR", executor)
    killers.send_jobs(200)
    killers.work_until_empty("--processes", "2", "-c", str(slots))
    killers.check()
    assert all(killers.ran(f"work-{number}") >= 1 for number in range(200))
    # In the pool, each attempt ran. Elsewhere, the last one did not, or it ran alone. A killer that
    # was only in hand when another one struck has lost receives.
    runs = [3] if executor == "process" else [1, 2, 3]
    assert all(killers.ran(name) in runs for name in KILLERS)
    proven = [line for line in killers.logged("job_killed_process") if line["suspects"] == 1]
    assert {line["job"] for line in proven} == {*KILLERS}
    assert {line["signal"] for line in proven} == {None, "SIGKILL", "SIGSEGV"}
    if executor == "process":
        assert killers.logged("child_exited") == []
    else:
        assert all(line["memory_bytes"] > 1_000_000 for line in proven)


@pytest.mark.parametrize("killers", [".fifo"], indirect=True)
def test_the_jobs_behind_a_killer_in_its_group_run(
    killers: Killers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE", killers.name)
    killers.send_jobs(100)
    killers.work_until_empty("--processes", "2")
    killers.check()
    assert all(killers.ran(f"work-{number}") >= 1 for number in range(100))


def test_what_ran_beside_a_killer_on_its_last_receive_runs_again(killers: Killers) -> None:
    killers.set_receives(1)
    queue = killers.env.queue("jobs")
    queue.add_job("late")
    for number in range(3):
        queue.add_job("slow", number=number)
    killers.work_until_empty("--recycle", "age=1d", "-c", "4")
    (letter,) = killers.letters()
    record = metadata_of(letter).dead
    assert record is not None and letter.string_attribute("JobName") == "late"
    assert (record.verdict, record.attempts, record.receives) == ("killed_process", 2, 1)
    assert "exit code 3" in str(record.message)
    assert killers.ran("late") == 2
    assert [killers.ran(f"slow-{number}") for number in range(3)] == [2, 2, 2]
    assert [killers.ran(f"done-{number}") for number in range(3)] == [1, 1, 1]
    assert [line["suspects"] for line in killers.logged("job_killed_process")] == [4, 4, 4, 4, 1]


def test_with_one_receive_every_job_runs_and_each_killer_gets_its_reason(killers: Killers) -> None:
    killers.set_receives(1)
    killers.send_jobs(100)
    killers.work_until_empty("--processes", "2")
    assert all(killers.ran(f"work-{number}") >= 1 for number in range(100))
    letters = {
        each.string_attribute("JobName"): metadata_of(each).dead for each in killers.letters()
    }
    # Also dead letters, without a reason: jobs that were done, but not deleted when one struck.
    for name in KILLERS:
        dead = letters[name]
        assert dead is not None and dead.verdict == "killed_process"


@pytest.mark.parametrize("killers", [".fifo"], indirect=True)
def test_the_group_behind_a_killer_on_its_last_receive_goes_on_in_order(
    killers: Killers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE", killers.name)
    killers.set_receives(1)
    queue = killers.env.queue(killers.name)
    for number, name in enumerate(["crash", "work", "work", "kill", "work"]):
        fields: dict[str, Any] = {"number": number} if name == "work" else {}
        queue.add_job(name, _group_id="g", _deduplication_id=str(number), **fields)
    killers.work_until_empty("--processes", "2", "--prefetch", "0")
    letters = [
        (each.string_attribute("JobName"), metadata_of(each).dead) for each in killers.letters()
    ]
    assert [name for name, _ in letters] == ["crash", "kill"]
    assert [dead.verdict for _, dead in letters if dead is not None] == ["killed_process"] * 2
    notes = killers.folder / "notes"
    order = sorted(notes.iterdir(), key=lambda each: each.stat().st_mtime_ns)
    assert [each.name for each in order] == ["crash", "work-1", "work-2", "kill", "work-4"]
    assert all(each.stat().st_size == 1 for each in order)


def test_one_process_takes_over_what_the_one_before_it_had_on_its_last_receive(
    killers: Killers,
) -> None:
    killers.set_receives(1)
    killers.env.queue("jobs").add_job("exit")
    options = ("--health-file", str(killers.folder / "healthy"), "--until-idle", "5s")
    killers.start(*options)
    killers.end()  # os._exit(0)
    killers.log.close()
    killers.start(*options)
    killers.end()
    (letter,) = killers.letters()
    record = metadata_of(letter).dead
    assert record is not None and record.verdict == "killed_process"
    assert killers.ran("exit") == 1
    assert list(killers.folder.glob("healthy*")) == []


def test_a_single_process_reads_the_notes_of_a_killed_one(killers: Killers) -> None:
    killers.set_receives(3, lease_seconds=3)
    queue = killers.env.queue("jobs")
    queue.add_job("exit")
    for number in range(10):
        queue.add_job("work", number=number)
    health_file = killers.folder / "healthy"
    options = ("--health-file", str(health_file), "--until-idle", "5s")
    for _ in range(2):
        killers.start(*options)
        killers.end()  # os._exit(0)
        killers.log.close()
        assert killers.logged("worker_stopped") == []
    assert sorted(each.name for each in killers.folder.glob("healthy*")) == [
        *("healthy", "healthy.running", "healthy.suspects")
    ]
    killers.start(*options)
    killers.wait_for("job_dead")
    killers.end()
    (killed,) = killers.logged("job_killed_process")
    assert (killed["job"], killed["exit_code"], killed["suspects"]) == ("exit", None, 1)
    (dead,) = killers.logged("job_dead")
    assert (dead["job"], dead["verdict"]) == ("exit", "killed_process")
    assert all(killers.ran(f"work-{number}") >= 1 for number in range(10))
    assert len(killers.letters()) == 1
    assert list(killers.folder.glob("healthy*")) == []
