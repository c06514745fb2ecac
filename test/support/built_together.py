"""Two threads that open the same cache at the same time, as ranks of a training do."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

LIMIT_S = 60  # for what hangs


def opened_together(module, open_cache, monkeypatch):
    """The results of two callers of `open_cache`, and the number of calls of `module._make`.

    The first caller continues only when the second one also makes the cache, or logs that it waits.
    """
    is_second_there, n_made, real = threading.Event(), [], module._make

    class Waiting(logging.Handler):
        def emit(self, record):
            if "waiting for" in record.getMessage():
                is_second_there.set()

    def make(*arguments):
        n_made.append(1)
        if len(n_made) == 2:
            is_second_there.set()
        assert is_second_there.wait(LIMIT_S), "the second neither waits nor makes it"
        return real(*arguments)

    monkeypatch.setattr(module, "_make", make)
    handler, log = Waiting(), logging.getLogger("k2d")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with ThreadPoolExecutor(2) as both:
            futures = [both.submit(open_cache) for _ in range(2)]
            return [future.result(LIMIT_S) for future in futures], len(n_made)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
