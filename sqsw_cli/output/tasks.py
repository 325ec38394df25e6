"""Show registered jobs and where they come from."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import SettingsError
from sqsw.core.jobs.awaitables import is_coroutine_function
from sqsw_cli.output.columns import LINES
from sqsw_cli.output.printer import Column, Printer

if TYPE_CHECKING:
    from sqsw.sqs_env import Registration, SQSEnv


def show_tasks(printer: Printer, env: "SQSEnv", queues: Sequence[str] = ()) -> None:
    registrations = env.registrations()
    if not registrations:
        raise SettingsError(
            "no jobs are registered",
            why="no app is named or configured, or neither the app nor a plugin registers jobs",
            next="name an app: sqsw inspect --tasks --app myapp.tasks:env",
        )
    tasks = [_task(found) for found in registrations if not queues or found.queue_name in queues]
    if printer.as_json:
        for task in tasks:
            printer.json("task", task)
    elif printer.terminal:
        columns = [
            Column("queue", least=12),
            Column("job", least=12),
            Column("function", least=20),
            Column("from", least=8),
            Column("signature", cut=True),
        ]
        printer.table(columns, [_row(task) for task in tasks])
    else:
        for task in tasks:
            printer.plain("task", *(task[key] for key in LINES["task"].columns))


def _row(task: dict[str, Any]) -> list[str]:
    sign = "async " if task["kind"] == "async" else ""
    return [
        task["queue"],
        task["job"] or "every message",
        task["function"],
        task["distribution"] or task["source"],
        f"{sign}{task['signature']}",
    ]


def _task(registration: "Registration") -> dict[str, Any]:
    fn = inspect.unwrap(registration.fn)
    module = getattr(fn, "__module__", None)
    code = getattr(fn, "__code__", None)
    source, _, distribution = registration.source.partition(" ")
    return {
        "queue": registration.queue_name,
        "job": registration.job_name,
        "function": f"{module}.{getattr(fn, '__qualname__', repr(fn))}",
        "module": module,
        "file": getattr(code, "co_filename", None),
        "line_no": getattr(code, "co_firstlineno", None),
        "signature": _signature(registration.fn),
        "source": source,
        "distribution": distribution or None,
        "kind": "async" if is_coroutine_function(fn) else "sync",
    }


def _signature(fn: Any) -> str | None:
    """Return the signature without annotations, which make it hard to read."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return None
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
