"""elasticsearch.keystore: static keys that win over the instance role. Names only; no value leaves the node."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import keystore, keystores, rotation


@check(
    "KEY-1",
    severity="critical",
    needs=("keystore", "config", "cluster", "verify", "imds", "buckets", "marker"),
    writes="a marker object by the node's role where it finds keys, deleted again",
)
def test_keystore_holds_no_static_s3_keys(node, survey):
    """The keystore holds no static AWS key of an S3 client that goes to AWS, but for declared ones that S3 accepts.

    Keys in the keystore win over the instance role, silently, on this node alone. Once they are deleted or rotated in
    IAM, every S3 call of this node is refused while the other nodes go on, and the error names neither keystore nor
    node.
    """
    require(keystore.static_s3_keys(survey, node), fix=lambda: remedy.mend_keys(survey, node))


@check("KEY-2", severity="warning", needs=("keystore",))
def test_keystore_holds_no_discovery_keys(node):
    """The keystore holds no static AWS key for EC2 discovery.

    Such a key ages as an S3 key does. When it is deleted, a node that restarts no longer finds the cluster.
    """
    require(keystore.discovery_ec2_keys(node), fix=lambda: remedy.discovery_keys(node))


@check("KEY-3", severity="critical", needs=("keystore", "config", "cluster", "verify", "imds", "buckets"))
def test_keystore_holds_whole_pairs(node, survey):
    """The keys of every S3 client in the keystore are whole: no half a pair, no session token or temporary key alone.

    The running process does not notice. A reload is refused without an error status, and the next start ends with
    "Missing secret key for s3 client", also where no repository uses the client. A temporary key without its token
    starts, and S3 refuses it.
    """
    require(keystores.whole_pairs(survey, node), fix=lambda: remedy.complete_pair(survey, node))


@check("KEY-4", severity="high", needs=("keystore", "config", "cluster"))
def test_keystore_holds_the_clients_that_its_peers_hold(node, survey):
    """The secure settings of the S3 clients that repositories use have the same names on every node.

    A client of an S3-compatible service signs with keys that every node must hold. Where one lacks them it falls back
    to its instance role, silently, and the snapshot fails by which node holds the shard.
    """
    require(keystores.same_clients(survey, node), fix=lambda: remedy.match_clients(survey, node))


@check("KEY-5", severity="high", needs=("keystore", "install", "process"))
def test_keystore_file_is_in_order(node, survey):
    """The keystore is there, Elasticsearch's user may read it, and owner and mode are as its package makes them.

    The process has read it and does not mind. The next start, or the reload that should mend something else, finds it
    gone or closed.
    """
    require(keystores.file_in_order(node), fix=lambda: remedy.mend_file(survey, node))


@check("KEY-6", severity="high", needs=("keystore", "config", "cluster", "verify", "imds", "buckets"))
def test_keystore_holds_the_key_that_its_peers_hold(node, survey):
    """Every S3 client's access key is the same static key on every node that has it.

    A rotation that reached some of the nodes leaves the same names with two keys behind them. Once the old one is
    deleted, the nodes that still have it are refused, and a comparison of names finds nothing.
    """
    require(rotation.same_keys(survey, node), fix=lambda: remedy.match_keys(survey, node))
