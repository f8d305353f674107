"""TLS: the certificates of Elasticsearch, HTTP's read in a handshake as its clients read it."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import tls


@check("TLS-1", severity="high", needs=("dials", "cluster", "process"))
def test_certificates_are_valid(node, survey):
    """The certificates that this node shows are within their time.

    Elasticsearch says nothing and goes on with an expired certificate: HTTP's refuses every client that checks it
    from one minute to the next, on this node alone, and transport's keeps the node out after its next restart.
    """
    require(tls.valid(survey, node), fix=lambda: remedy.renew_certificate(survey, node))
