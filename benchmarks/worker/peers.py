"""The commands of other workers, if they are installed."""

import shutil
import subprocess
from pathlib import Path

_HERE = "benchmarks.worker.contestants"
_FOLDER = Path(__file__).parent / "contestants"

#: the command of a contestant, and the command that sends a message in its format
Commands = tuple[list[str], list[str]]


def found(python: str, node_modules: str | None) -> dict[str, Commands]:
    """Return the commands of the installed workers; report the others."""
    known: dict[str, tuple[str, Commands]] = {
        "sqs-workers": (
            "sqs_workers",
            ([python, "-m", f"{_HERE}.sqs_workers_library", "bench"], []),
        ),
        "celery": (
            "celery, pycurl",
            (
                [
                    *(python, "-m", "celery", "-A", f"{_HERE}.celery_app", "worker"),
                    *("-P", "threads", "-c", "8", "-l", "ERROR", "--without-gossip"),
                    *("--without-mingle", "--without-heartbeat"),
                ],
                [python, "-m", f"{_HERE}.celery_app"],
            ),
        ),
        "dramatiq": (
            "dramatiq_sqs",
            (
                [python, "-m", "dramatiq", "-p", "1", "-t", "8", f"{_HERE}.dramatiq_app"],
                [python, "-m", f"{_HERE}.dramatiq_app"],
            ),
        ),
        "taskiq": (
            "taskiq_aio_sqs",
            (
                [
                    *(python, "-m", "taskiq", "worker", "-w", "1", "--max-async-tasks", "8"),
                    *("--log-level", "ERROR", f"{_HERE}.taskiq_app:broker"),
                ],
                [python, "-m", f"{_HERE}.taskiq_app"],
            ),
        ),
    }
    commands: dict[str, Commands] = {}
    for name, (modules, each) in known.items():
        if subprocess.run(
            [python, "-c", f"import {modules}"], capture_output=True, check=False
        ).returncode:
            print(f"({name} is skipped: {python} cannot import {modules})")
        else:
            commands[name] = each
    node = shutil.which("node")
    if node is None or node_modules is None:
        print("(sqs-consumer is skipped: it needs node and --node-modules)")
    else:
        # Node looks for packages next to the file that imports them.
        copy = Path(node_modules).parent / "sqs_consumer.mjs"
        shutil.copyfile(_FOLDER / "sqs_consumer.mjs", copy)
        commands["sqs-consumer"] = ([node, str(copy)], [])
    print()
    return commands
