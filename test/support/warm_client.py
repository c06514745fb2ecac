"""Run `python ARGUMENT…` through the warm server: warm_client.py ADDRESS ARGUMENT…   (imports very little)"""

import array
import json
import os
import signal
import socket
import sys

server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
request = {"argv": sys.argv[2:], "cwd": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109 - pathlib takes time
streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
text = json.dumps(request).encode() + b"\n"
sent = server.sendmsg([text], [streams])
server.sendall(text[sent:])
answer = server.recv(16)
if not answer:
    sys.exit("warm_client.py: the warm server has ended")
code = int(answer)
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
