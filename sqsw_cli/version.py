"""Which releases run here."""

from sqsw.core.version import VERSION


def version_of(distribution: str) -> str:
    """The version of an installed distribution; a question mark where it is not installed."""
    if distribution == "sqsw":
        return VERSION
    from importlib_metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "?"
