"""A process with children of one kind, which print their numbers and are then busy for long: parents.py KIND"""

import ctypes
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from k2d.core.programs import Programs
from k2d.core.signals import ending_on_signals
from k2d.core.worker_pool import WorkerPool
from k2d.core.workers import run_each

LONG_S = 300


def say():
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()


def busy(how):
    """Work in C code that releases the GIL, in C code that holds it, or in Python."""
    say()
    if how == "in C":
        time.sleep(LONG_S)
    elif how == "holding the lock":
        ctypes.PyDLL(None).sleep(LONG_S)
    while True:
        pass


def busy_at_seat(task):
    busy(task[1])


def crew():
    list(WorkerPool(busy_at_seat, [0, 1, 2]).map(["in C", "holding the lock", "in Python"]))


def workers():
    list(run_each(busy, ["in C", "holding the lock"], nj=2))


def workers_of_a_thread():
    """Workers that were started by a thread. The kernel must not kill them when the thread ends."""
    thread = threading.Thread(target=lambda: list(run_each(busy, ["in C", "in Python"], nj=2)), daemon=True)
    thread.start()
    thread.join()


def programs():
    running = Programs()
    words = ["/bin/sh", "-c", f"exec 3>/proc/{os.getpid()}/fd/1; echo $$ >&3; exec sleep {LONG_S}"]
    with ThreadPoolExecutor(2) as pool:
        try:
            list(pool.map(lambda _: running.run(words, LONG_S), range(2)))
        except BaseException:
            running.end()
            raise


def loaders():
    import torch

    from k2d.train.batches import StepLoader

    class Slow(torch.utils.data.Dataset):
        def __getitem__(self, step):
            say()
            time.sleep(LONG_S)

    list(StepLoader(Slow(), 0, 8, 2))


if __name__ == "__main__":
    with ending_on_signals():
        globals()[sys.argv[1]]()
