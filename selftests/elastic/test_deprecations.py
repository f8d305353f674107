"""What a newer Elasticsearch thinks of a request is nobody's failure."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from preflight.credentials import Credentials
from preflight.elastic import Api


class Deprecating(BaseHTTPRequestHandler):
    """Answers as 9.5.2 does to `_cluster/state/master_node?local=true`."""

    def do_GET(self):
        body = b'{"master_node": "abc"}'
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Warning", '299 Elasticsearch-9.5.2-b42549c7 "the [?local] query parameter is now deprecated"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def url():
    with ThreadingHTTPServer(("127.0.0.1", 0), Deprecating) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()


def test_a_deprecated_parameter_is_answered_without_a_warning(url):
    """pytest makes errors of warnings: on 9.5 every node of the cluster would be one that could not be asked."""
    api = Api(url, Credentials(user="preflight", password="secret"))
    try:
        assert api.master() == "abc"
    finally:
        api.close()
