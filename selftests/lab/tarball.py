"""A second Elasticsearch on a lab host: as from a tar in /opt, by a user of its own, without a unit, data only."""

import re
import textwrap

from lab import host, names

USER = "search"
HTTP_PORT, TRANSPORT_PORT = 9201, 9301

INSTALL = r"""
set -e
useradd --system --user-group --no-create-home --shell /bin/bash {user}
mkdir {home}
cp -a /usr/share/elasticsearch/. {home}
rm -rf {home}/config
cp -r /etc/elasticsearch {home}/config
rm {home}/config/elasticsearch.keystore
mkdir {home}/data {home}/logs
# The deb's script reads /etc/default/elasticsearch, and its JVM writes to the deb's folders.
sed -i 's/^ES_DISTRIBUTION_TYPE=.*/ES_DISTRIBUTION_TYPE=tar/; /^source .etc.default.elasticsearch$/d' \
    {home}/bin/elasticsearch-env
sed -i 's,/var/log/elasticsearch/,{home}/logs/,' {home}/config/jvm.options
cat >{home}/config/elasticsearch.yml
chown -R {user}: {home}
"""

# The environment of an operator's shell: no ES_PATH_CONF in it.
RUN = r"""
. /etc/default/elasticsearch
[ ! -f /usr/lib/lab/nofile.so ] || shim=LD_PRELOAD=/usr/lib/lab/nofile.so
cd {home}
# A server that has gone to the background must not keep this script's own output open.
env -i PATH="$PATH" LANG=C.UTF-8 ES_JAVA_HOME="$ES_JAVA_HOME" $shim \
    setpriv --reuid {user} --regid {user} --init-groups --inh-caps=-all -- "$@" </dev/null >output 2>&1 ||
    {{ grep -iE 'error|exception' output | head -n 5 >&2; exit 1; }}
"""

STOP = r"""
pid=$(cat {home}/pid 2>/dev/null) && kill "$pid" || exit 0
for i in $(seq 300); do [ -d "/proc/$pid" ] || exit 0; sleep 0.1; done
kill -9 "$pid"
"""


class Tarball:
    """name: of its node; home, conf, keystore: where its files are on the host"""

    def __init__(self, node, version):
        self.node, self.name = node, f"{node.name}b"
        self.home = f"/opt/elasticsearch-{version}"
        self.conf, self.keystore = f"{self.home}/config", f"{self.home}/config/elasticsearch.keystore"

    def install(self, settings):
        """Lay it out with the host's own settings but for what two on a host cannot share, and start it.

        settings: the text of the host's elasticsearch.yml
        """
        own = ("node.name", "path.", "cluster.initial_master_nodes")
        kept, dropping = [], False
        for line in settings.splitlines():
            dropping = line.startswith(own) or (dropping and line.startswith(("-", " ")))
            # A seed without a port is looked for on the node's own.
            kept += [] if dropping else [re.sub(r"^- ([0-9.]+)$", rf"- \1:{names.TRANSPORT_PORT}", line)]
        kept += [f"node.name: {self.name}", "node.roles: [ data ]"]
        kept += [f"http.port: {HTTP_PORT}", f"transport.port: {TRANSPORT_PORT}"]
        self._script(INSTALL, stdin="\n".join([*kept, ""]))
        self._script(RUN, f"{self.home}/bin/elasticsearch-keystore", "create")
        self._script(RUN, f"{self.home}/bin/elasticsearch", "-d", "-p", f"{self.home}/pid")

    def remove(self):
        """Stop it where it runs; nothing of it stays."""
        self._script(STOP)
        self._script("rm -rf {home}; userdel {user} || [ $? = 6 ]")

    def _script(self, text, *arguments, stdin=None):
        script = textwrap.dedent(text).format(home=self.home, user=USER)
        host.execute(self.node, ["bash", "-c", script, "tarball", *arguments], stdin=stdin, timeout=240)
