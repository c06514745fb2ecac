"""It can be imported in the main process but in no worker, like a library that one environment lacks."""

import multiprocessing

if multiprocessing.parent_process() is not None:
    raise ModuleNotFoundError("No module named 'lacking'", name="lacking")


def echo(item):
    return item
