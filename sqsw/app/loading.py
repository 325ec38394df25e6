"""Load the environment of an app path, with errors that suggest corrections."""

import glob
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Literal

from sqsw.core.errors import AppLoadError, SQSError
from sqsw.core.hidden_modules import hiding_advice
from sqsw.core.wording import described, nearest
from sqsw.registry import TaskRegistry
from sqsw.sqs_env import SQSEnv

_OUR_DIRECTORIES = (os.path.dirname(__file__), os.path.dirname(importlib.__file__))

#: maximum characters of a source line in an error
_LINE_LENGTH = 200


def load_app(app_path: str) -> SQSEnv:
    """Return the environment of an app path.

    Parameters
    ----------
    app_path :
        ``module:attribute``, where the attribute is an :class:`~sqsw.sqs_env.SQSEnv` or a function
        without parameters that returns one; or ``module``, which contains exactly one, or none if
        it only declares tasks in a :class:`~sqsw.registry.TaskRegistry`.

    Raises
    ------
    AppLoadError
        The module cannot be imported, or the attribute is missing or has another type.
    """
    env, registries = load_parts(app_path)
    env = SQSEnv() if env is None else env
    for registry in registries:
        registry(env)
    return env


def load_parts(app_path: str) -> tuple[SQSEnv | None, list[TaskRegistry]]:
    """Return the environment of an app path, if any, and its unbound registries."""
    module_name, colon, attribute = app_path.partition(":")
    if not module_name or (colon and not attribute):
        raise AppLoadError(
            f"{app_path!r} is not an app path",
            why="the form is module:attribute, or module",
            next="use a path such as myapp.tasks:env",
        )
    if os.sep in module_name or module_name.endswith(".py"):
        raise _file_named(app_path, module_name, attribute)
    module = _import(module_name, attribute)
    if not attribute:
        return _only_env(module)
    found = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise _no_such_env(module, attribute)
        found = getattr(found, name)
    if isinstance(found, TaskRegistry):
        return None, [found]
    return _as_env(app_path, found), []


def _file_named(app_path: str, file: str, attribute: str) -> AppLoadError:
    path, meant = os.path.relpath(file), None
    if not path.startswith(os.pardir):
        module_name = path.removesuffix(".py").replace(os.sep, ".").removesuffix(".__init__")
        meant = ":".join(filter(None, (module_name, attribute)))
    return AppLoadError(
        f"{app_path!r} is not an app path",
        why="it is a file; an app path has the form module:attribute, from this directory",
        meant=meant,
        next=_did_you_mean(meant),
    )


def _import(module_name: str, attribute: str) -> ModuleType:
    # Put it first, like `python -m`, so a project's app wins over an installed package.
    here = os.getcwd()
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except SQSError:
        raise
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise _not_found(module_name, attribute, missing) from error
        raise _cannot_import(
            module_name,
            error,
            why=f"no module named {missing!r}, which is imported {_place(error)}",
            next=f"install {missing.partition('.')[0]!r}, or fix the import",
        ) from error
    except (Exception, SystemExit) as error:
        reason, next = _correction(error)
        raise _cannot_import(
            module_name, error, reason=reason, why=_raised(error), next=next
        ) from error
    file = f"{module_name}.py"
    if (
        module_name in sys.stdlib_module_names
        and os.path.isfile(file)
        and getattr(module, "__file__", None) != os.path.abspath(file)
    ):
        raise AppLoadError(
            f"cannot import your {file}",
            why=f"Python's own module {module_name!r} was imported first",
            next=f"rename your {file}",
        )
    return module


def _cannot_import(
    module_name: str,
    error: BaseException,
    why: str,
    next: str,
    reason: Literal["raised", "django"] | None = None,
) -> AppLoadError:
    if (hidden := hiding_advice(error)) is not None:
        reason, why, next = None, f"{why}; {hidden[0]}", hidden[1]
    return AppLoadError(f"cannot import {module_name!r}", reason=reason, why=why, next=next)


def _did_you_mean(app_path: str | None) -> str | None:
    return f"did you mean {app_path!r}?" if app_path else None


def _not_found(module_name: str, attribute: str, missing: str) -> AppLoadError:
    why = f"no module named {missing!r}; searched the current directory and sys.path"
    parent, _, last = missing.rpartition(".")
    if module_name == missing and not attribute and hasattr(sys.modules.get(parent), last):
        return AppLoadError(
            f"cannot import {module_name!r}",
            why=f"{parent!r} is a module, and {last!r} is a name in it",
            meant=f"{parent}:{last}",
            next=_did_you_mean(f"{parent}:{last}"),
        )
    here = sorted(_modules_in(_search_path(parent)))
    if here:
        why += f"; {repr(parent) if parent else 'the current directory'} has: {', '.join(here)}"
    meant = nearest(last, here)
    rest = module_name[len(missing) :] + (f":{attribute}" if attribute else "")
    path = ".".join(filter(None, (parent, meant))) + rest if meant else None
    return AppLoadError(
        f"cannot import {module_name!r}", why=why, meant=path, next=_did_you_mean(path)
    )


def _modules_in(places: Iterable[str]) -> set[str]:
    """Return the modules and packages in these directories, including namespace packages."""
    places = list(places)
    without_init = {
        os.path.basename(os.path.dirname(file))
        for place in places
        for file in glob.iglob(os.path.join(glob.escape(place), "*", "*.py"))
    }
    found = {info.name for info in pkgutil.iter_modules(places)}
    return found | {name for name in without_init if name.isidentifier()}


def _search_path(parent: str) -> Iterable[str]:
    if not parent:
        return [os.getcwd()]
    return getattr(sys.modules.get(parent), "__path__", ())


def _raised(error: BaseException) -> str:
    """Describe an error and its place; for a syntax error, include the line."""
    if isinstance(error, SyntaxError) and error.filename:
        line = (error.text or "").strip()[:_LINE_LENGTH]
        return f"{type(error).__name__}: {error.msg}, {_place(error)}{line and f': {line}'}"
    return f"{described(error)}, raised {_place(error)}"


def _correction(error: BaseException) -> tuple[Literal["raised", "django"], str]:
    """Return a reason and advice for an app error. Two common Django errors hide their cause."""
    if type(error).__module__ == "django.core.exceptions":
        if "DJANGO_SETTINGS_MODULE" in str(error):
            return "django", "set DJANGO_SETTINGS_MODULE, such as to mysite.settings"
        if type(error).__name__ == "AppRegistryNotReady":
            return "django", (
                "call django.setup() before you import models, or add 'sqsw.contrib.django' to "
                "INSTALLED_APPS and use the app 'sqsw.contrib.django:env'"
            )
    return "raised", "fix the app"


def _place(error: BaseException) -> str:
    """Return the file and line of the app's own code that raised or that has the import."""
    place = "by the app"
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen ") and os.path.dirname(file) not in _OUR_DIRECTORIES:
            place = f"in {os.path.relpath(file)}, line {trace.tb_lineno}"
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        place = f"in {os.path.relpath(error.filename)}, line {error.lineno}"
    return place


def _envs_of(module: ModuleType) -> dict[str, SQSEnv]:
    return {name: value for name, value in vars(module).items() if isinstance(value, SQSEnv)}


def _only_env(module: ModuleType) -> tuple[SQSEnv | None, list[TaskRegistry]]:
    envs = _envs_of(module)
    if len({id(env) for env in envs.values()}) > 1:
        meant = f"{module.__name__}:{next(iter(envs))}"
        raise AppLoadError(
            f"{module.__name__!r} has several SQSEnv objects",
            why=f"they are: {', '.join(sorted(envs))}",
            meant=meant,
            next=f"choose one, such as {meant!r}",
        )
    for env in envs.values():
        return env, []
    registries = [value for value in vars(module).values() if isinstance(value, TaskRegistry)]
    return None, list({id(registry): registry for registry in registries}.values())


def _no_such_env(module: ModuleType, attribute: str) -> AppLoadError:
    envs = sorted(_envs_of(module))
    name = nearest(attribute, envs) or next(iter(envs), None)
    meant = f"{module.__name__}:{name}" if name else None
    return AppLoadError(
        f"{module.__name__!r} has no SQSEnv named {attribute!r}",
        why=f"SQSEnv objects there: {', '.join(envs) or 'none'}",
        meant=meant,
        next=_did_you_mean(meant),
    )


def _as_env(app_path: str, found: object) -> SQSEnv:
    if isinstance(found, SQSEnv):
        return found
    result, doing = found, "is"
    if callable(found):
        try:
            inspect.signature(found).bind()
        except (TypeError, ValueError) as error:
            raise _no_env(app_path, f"needs arguments ({error})") from error
        try:
            result, doing = found(), "returns"
        except SQSError:
            raise
        except (Exception, SystemExit) as error:
            reason, next = _correction(error)
            raise AppLoadError(
                f"{app_path!r} failed to create an SQSEnv",
                reason=reason,
                why=_raised(error),
                next=next,
            ) from error
    if isinstance(result, SQSEnv):
        return result
    raise _no_env(app_path, f"{doing} an object of the type {type(result).__name__}")


def _no_env(app_path: str, what: str) -> AppLoadError:
    return AppLoadError(
        f"{app_path!r} is not an SQSEnv",
        why=f"it {what}; expected an SQSEnv, or a function without parameters that returns one",
    )
