"""TLS: the certificates of Elasticsearch's HTTP, read in a handshake as its clients read them."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import tls


@check("TLS-1", severity="high", needs=("dials", "cluster", "process"))
def test_http_certificate_is_valid(node, survey):
    """The certificate of this node's HTTP is within its time.

    Elasticsearch itself says nothing: it goes on with an expired certificate, and every client that checks it is
    refused from one minute to the next, on this node alone.
    """
    require(tls.valid(survey, node), fix=lambda: remedy.renew_certificate(node))
