"""Which releases run here."""


def version_of(distribution: str) -> str:
    """The version of an installed distribution; a question mark where it is not installed."""
    from importlib_metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "?"
