"""Our server as a process whose clock a test can move: ``python -m tests.served PORT``.

Each line on stdin moves the clock by that number of seconds. The server answers on stdout.
"""

import sys
import threading

from sqsw.local.engine import LocalEngine
from sqsw.local.http.server import LocalServer
from sqsw.local.store.clock import MovableClock


def serve(port: int) -> None:
    clock = MovableClock()
    server = LocalServer(LocalEngine(None, clock=clock), "127.0.0.1", port)

    def move() -> None:
        for line in sys.stdin:
            clock.advance(seconds=float(line))
            print("moved", flush=True)

    threading.Thread(target=move, daemon=True).start()
    server.run(lambda: None)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
