"""Versions of the installed distributions."""

from sqsw.core.version import VERSION


def version_of(distribution: str) -> str:
    if distribution == "sqsw":
        return VERSION
    from importlib_metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "?"
