"""``python -m sqsw_cli`` is ``sqsw``."""

from sqsw_cli.main import run

if __name__ == "__main__":
    run()
