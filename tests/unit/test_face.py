"""Public modules: complete, lazy, and the same for type checkers as for Python."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from importlib_metadata import PackageNotFoundError, version

import sqsw

FACES = ["sqsw", "sqsw.queue", "sqsw.codecs", "sqsw.core", "sqsw.memory_sqs", "sqsw.sqs_manage"]

#: module path under sqs_workers → the names that its users import
PREDECESSOR = {
    "": (
        "SQSEnv JobQueue RawQueue MemorySession create_standard_queue create_fifo_queue "
        "delete_queue DEFAULT_BACKOFF IMMEDIATE_RETURN ConstantBackoff ExponentialBackoff "
        "RetryJob ProcessingResult SQSError"
    ),
    ".processors": "Processor RetryJob ProcessingResult DEFAULT_CONTEXT_VAR",
    ".shutdown_policies": (
        "NeverShutdown IdleShutdown MaxTasksShutdown OrShutdown AndShutdown NEVER_SHUTDOWN "
        "ASAP_SHUTDOWN ShutdownPolicy"
    ),
    ".backoff_policies": (
        "BackoffPolicy ConstantBackoff ExponentialBackoff DEFAULT_BACKOFF IMMEDIATE_RETURN"
    ),
    ".deadletter_queue": "DeadLetterQueue PushBackSender",
    ".batching": "BatchingConfiguration NoBatching BatchMessages",
    ".context": "SQSContext",
    ".codecs": (
        "CONTENT_TYPES_CODECS Codec DEFAULT_CONTENT_TYPE JSONCodec PickleCodec "
        "PickleCompatCodec get_codec"
    ),
    ".async_task": "AsyncTask BakedAsyncTask AsyncTaskDelayArgs",
    ".queue": "SQSBatchError GenericQueue JobQueue RawQueue",
    ".core": "BatchProcessingResult RedrivePolicy",
    ".exceptions": "SQSError",
    ".sqs_env": "SQSEnv",
    ".sqs_manage": "create_standard_queue create_fifo_queue delete_queue",
    ".memory_sqs": "MemorySession MemoryAWS",
}

NEW_ON_THE_FACE = (
    "DeadLetterQueue FailedJobs GiveUp Message TaskRegistry LocalSession WorkerSettings "
    "current_job redrive purge_queue describe_queue Delays BatchMessages NoBatching "
    "AndShutdown IdleShutdown MaxTasksShutdown NeverShutdown OrShutdown create_parking_queue"
)


def names_for_type_checkers(module_name: str) -> dict[str, str]:
    """Return the names that a public module exports to type checkers, and their home modules."""
    path = importlib.import_module(module_name).__file__
    assert path is not None
    (branch,) = [
        node
        for node in ast.parse(Path(path).read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    found = {}
    for node in branch.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, "only this form is an export for mypy"
                assert node.module is not None
                found[alias.name] = node.module
    return found


@pytest.mark.parametrize("module_name", FACES)
def test_type_checkers_and_python_see_the_same_names(module_name: str) -> None:
    homes: dict[str, str] = importlib.import_module(module_name)._HOMES
    assert names_for_type_checkers(module_name) == homes


@pytest.mark.parametrize("module_name", FACES)
def test_every_public_name_comes_from_its_home_module(module_name: str) -> None:
    face = importlib.import_module(module_name)
    for name, home in face._HOMES.items():
        assert getattr(face, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("module_name", FACES)
def test_an_unknown_name_raises_attribute_error_and_import_error(module_name: str) -> None:
    face = importlib.import_module(module_name)
    with pytest.raises(AttributeError, match=f"module '{module_name}' has no attribute 'nothing'"):
        _ = face.nothing
    with pytest.raises(ImportError, match="nothing"):
        exec(f"from {module_name} import nothing")


@pytest.mark.parametrize("path", PREDECESSOR)
def test_the_names_that_users_of_sqs_workers_import_keep_their_paths(path: str) -> None:
    module = importlib.import_module(f"sqsw{path}")
    missing = [name for name in PREDECESSOR[path].split() if not hasattr(module, name)]
    assert missing == []


def test_the_package_exports_exactly_the_old_names_and_the_new_ones() -> None:
    names = {*PREDECESSOR[""].split(), *NEW_ON_THE_FACE.split()}
    # Only Python reads __all__. Type checkers read the imports.
    assert set(vars(sqsw)["__all__"]) == names
    assert names <= set(dir(sqsw))


def test_the_version_is_the_one_of_the_distribution() -> None:
    try:
        installed = version("sqsw")
    except PackageNotFoundError:
        pytest.skip("sqsw is not installed")
    assert sqsw.__version__ == installed


def modules_loaded_by(program: str) -> set[str]:
    """Return the modules that are loaded after a program has run."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_sqsw_loads_only_the_package_and_its_lazy_loader() -> None:
    ours = {name for name in modules_loaded_by("import sqsw") if name.partition(".")[0] == "sqsw"}
    assert ours == {"sqsw", "sqsw.core", "sqsw.core.lazy_face"}


def test_importing_an_app_loads_neither_boto3_nor_the_embedded_sqs() -> None:
    loaded = modules_loaded_by(
        "from sqsw import SQSEnv, RawQueue\n"
        "from sqsw.batching import BatchMessages\n"
        "from sqsw.deadletter_queue import DeadLetterQueue\n"
        "env = SQSEnv(codec='json', queue_prefix='p_')\n"
        "@env.processor('emails', 'send_email')\n"
        "def send_email(to): ...\n"
        "@env.raw_processor('cron')\n"
        "def cron(message): ...\n"
        "env.queue('many', batching_policy=BatchMessages(5))\n"
        "env.queue('dead', DeadLetterQueue.maker(env.queue('emails')))\n"
        "send_email.bake('ann')\n"
    )
    assert "sqsw.sqs_env" in loaded
    heavy = {"boto3", "botocore", "sqlite3", "sqsw.local.engine"}
    worker = {"sqsw.worker", "sqsw.queue.work", "sqsw.core.events"}
    assert not loaded & (heavy | worker)
