"""What a codec is."""

from typing import Any, Protocol


class Codec(Protocol):
    """Turns a dictionary into text that SQS takes, and back."""

    def serialize(self, message: dict[str, Any]) -> str:
        """The text of a dictionary.

        Raises
        ------
        MessageRefused
            A value cannot be carried; the error names it.
        """
        ...

    def deserialize(self, serialized: str) -> Any:
        """What the text says; any exception means that it cannot be read."""
        ...
