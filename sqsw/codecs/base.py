"""The codec interface."""

from typing import Any, Protocol


class Codec(Protocol):
    """A converter between dictionaries and text that SQS accepts."""

    def serialize(self, message: dict[str, Any]) -> str:
        """Return a dictionary as text.

        Raises
        ------
        MessageRefused
            A value cannot be serialized; the error names it.
        """
        ...

    def deserialize(self, serialized: str) -> Any:
        """Return the value of the text. Any exception means that the text is invalid."""
        ...
