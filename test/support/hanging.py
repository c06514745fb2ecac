"""A time limit for functions that must not wait for ever."""

import threading

import pytest


def within(limit_s, function):
    """Return or raise what the function does. The test fails if it does neither in time."""
    found = []

    def call():
        try:
            found.append((function(), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(limit_s)
    if not found:
        pytest.fail(f"it still waits after {limit_s} s")
    value, error = found[0]
    if error is not None:
        raise error
    return value
