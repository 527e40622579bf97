"""A web server as a task that leaves well: told to end, it goes on answering until nobody has asked for a second.

It answers with its version and its task's id. Load balancers that are told in time send it nothing more, and it ends;
one that was not would still be answered until the executor's patience is over, and then be cut off.
"""

import http.server
import os
import signal
import sys
import threading
import time

QUIET_S = 1.0


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/health":
            Answer.last = time.monotonic()
        body = f"{os.environ['VERSION']} {os.environ['MESOS_TASK_ID']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def leave(*_):
    def wait():
        Answer.last = time.monotonic()
        while time.monotonic() - Answer.last < QUIET_S:
            time.sleep(0.05)
        os._exit(0)

    threading.Thread(target=wait).start()


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


signal.signal(signal.SIGTERM, leave)
try:
    Server(("0.0.0.0", int(os.environ["PORT0"])), Answer).serve_forever()
except OSError as error:
    sys.exit(f"port {os.environ['PORT0']}: {error}")
