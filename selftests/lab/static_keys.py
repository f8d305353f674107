"""A second S3 client of the lab that signs with a static key of its own, put into running nodes by a reload."""

import contextlib
from pathlib import Path

import yaml

from lab import cloud, elasticsearch, host, names

CLIENT = "archive"
SETTINGS = (f"s3.client.{CLIENT}.access_key", f"s3.client.{CLIENT}.secret_key")


def put(node, pair):
    """Have one node sign with this pair from now on."""
    lines = f"{pair['access_key']}\n{pair['secret_key']}\n"
    host.execute(node, [elasticsearch.KEYSTORE, "add", "--stdin", "--force", *SETTINGS], stdin=lines)
    reload(node)


def reload(node):
    answer = elasticsearch.api(node, "POST", "_nodes/_local/reload_secure_settings", timeout=60)
    assert not any("reload_exception" in one for one in answer["nodes"].values()), answer


@contextlib.contextmanager
def archive(nodes):
    """A repository of that client while the block runs, its current key loaded on every node."""
    settings = {"bucket": names.BUCKET, "base_path": "archive", "client": CLIENT, "region": names.REGION}
    file, aside = elasticsearch.KEYSTORE_FILE, "/root/keystore.without-archive"

    def give(node):
        host.execute(node, ["cp", "-p", file, aside])
        put(node, cloud.current_key())

    def take(node):
        host.execute(node, ["sh", "-c", f"cp -p {aside} {file} && rm {aside}; rm -f {file}.before-preflight-*"])
        # What was there before may have been left by a test that was cut short.
        left = [name for name in host.execute(node, [elasticsearch.KEYSTORE, "list"]).split() if name in SETTINGS]
        if left:
            host.execute(node, [elasticsearch.KEYSTORE, "remove", *left])
        reload(node)

    try:
        elasticsearch.everywhere(nodes, give)
        body = {"type": "s3", "settings": settings}
        elasticsearch.api(nodes[0], "PUT", f"_snapshot/{CLIENT}?verify=false", body)
        yield
    finally:
        elasticsearch.api(nodes[0], "DELETE", f"_snapshot/{CLIENT}")
        elasticsearch.everywhere(nodes, take)


def declared(folder: Path) -> str:
    """The option that names an inventory which declares the client, the lab's own in all else."""
    inventory = yaml.safe_load((names.CHECKOUT / "inventories/lab.yml").read_text())
    inventory["lab"]["vars"]["preflight_static_key_clients"] = [CLIENT]
    path = folder / "declared.yml"
    path.write_text(yaml.safe_dump(inventory))
    return f"--inventory={path}"
