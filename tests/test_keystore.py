"""elasticsearch.keystore: static keys that win over the instance role. Names only; no value leaves the node."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import keystore


@check("KEY-1", severity="critical", needs=("keystore", "config", "cluster", "verify", "imds", "buckets"))
def test_keystore_holds_no_static_s3_keys(node, survey):
    """The keystore holds no static AWS key of an S3 client that goes to AWS.

    Keys in the keystore win over the instance role, silently, on this node alone. Once they are deleted or rotated in
    IAM, every S3 call of this node is refused while the other nodes go on, and the error names neither keystore nor
    node.
    """
    require(keystore.static_s3_keys(survey, node), fix=lambda: remedy.remove_static_keys(survey, node))


@check("KEY-2", severity="warning", needs=("keystore",))
def test_keystore_holds_no_discovery_keys(node):
    """The keystore holds no static AWS key for EC2 discovery.

    Such a key ages as an S3 key does. When it is deleted, a node that restarts no longer finds the cluster.
    """
    require(keystore.discovery_ec2_keys(node), fix=lambda: remedy.discovery_keys(node))
