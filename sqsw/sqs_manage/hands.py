"""Threads that make calls which no Ctrl-C may cut in two; it only ever reaches the main thread."""

from concurrent.futures import ThreadPoolExecutor


def hire_hand(name: str) -> ThreadPoolExecutor:
    """One thread that runs already.

    A Ctrl-C while a thread starts would leave it at work with nobody to wait for it, so it starts
    before there is any work.
    """
    hand = ThreadPoolExecutor(1, name)
    hand.submit(int).result()
    return hand
