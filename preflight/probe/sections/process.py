"""Section `process`: the Elasticsearch server JVM, looked for in /proc."""

import os
import re

from .base import REGION, SUDO, Unseen, decoded, user_name
from .routing import addresses_within

PROC = "/proc"
SERVER_CLASS = "org.elasticsearch.bootstrap.Elasticsearch"
VARIABLES = re.compile(r"(?:AWS|ES)_.*|.*_PROXY", re.I)
PROPERTIES = re.compile(
    r"aws\..*|com\.amazonaws\..*|https?\.(?:proxy|nonProxy).*|socksProxy.*|java\.net\.useSystemProxies"
    r"|es\.allow_insecure_settings|javax\.net\.ssl\.trustStore"
)
UNIT = re.compile(r"/system\.slice/(?:[^\n]*/)?([^/\n]*elastic[^/\n]*\.service)$", re.M)


class NotTold(Unseen):
    """Which of the host's Elasticsearch processes is the node that was given."""


class Server(object):
    """One server JVM.

    pid, uid, parent: numbers; options: -D names to values, the server's own over those of the JVM that launched it;
    own_options: the server's own alone; root: what to put before a path so that it means the process's file
    others: how many more run on this host
    """

    def __init__(self, pid, arguments):
        self.pid = pid
        self.folder = "%s/%d" % (PROC, pid)
        status = dict(line.split(":", 1) for line in self.read("status").splitlines() if ":" in line)
        self.uid, self.gid = (int(status[name].split()[1]) for name in ("Uid", "Gid"))
        self.parent = int(status["PPid"])
        self.arguments = arguments
        self.own_options = options_of(arguments)
        # From 8.0 on only the launcher JVM, its parent, is told path.home and path.conf as properties.
        self.options = dict(options_of(arguments_of(self.parent) or []), **self.own_options)
        self.others = 0

    def read(self, name):
        with open(self.folder + "/" + name, "rb") as file:
            return decoded(file.read())

    def environment(self):
        """Its variables as it was started with them. Raises Unseen where the kernel refuses."""
        try:
            content = self.read("environ")
        except PermissionError:
            raise Unseen(
                "the environment of the Elasticsearch process %d of user %s may not be read by %s"
                % (self.pid, user_name(self.uid), user_name(os.geteuid())),
                SUDO,
            )
        return dict(entry.split("=", 1) for entry in content.split("\0") if "=" in entry)

    def root(self):
        """ "" where it sees this root file system, /proc/PID/root where it has one of its own (a container).

        Raises Unseen where it has one of its own that may not be entered.
        """
        try:
            theirs, ours = os.stat(self.folder + "/root/"), os.stat("/")
        except PermissionError:
            if re.search(r"docker|containerd|kubepods|libpod|crio|lxc", self.read("cgroup")):
                raise Unseen(
                    "Elasticsearch runs in a container whose files %s may not see" % user_name(os.geteuid()), SUDO
                )
            return ""
        if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
            return ""
        return self.folder + "/root"


def arguments_of(pid):
    """Its command line, None where there is no such process any more."""
    try:
        with open("%s/%d/cmdline" % (PROC, pid), "rb") as file:
            return [decoded(argument) for argument in file.read().split(b"\0")[:-1]]
    except (FileNotFoundError, ProcessLookupError):
        return None


def options_of(arguments):
    """The -D options before the main class, name -> value, "" where none is given; the last of one name counts."""
    found = {}
    for argument in arguments[1:]:
        if is_server_class(argument) or argument.startswith("org.elasticsearch."):
            break
        if argument.startswith("-D"):
            name, _, value = argument[2:].partition("=")
            found[name] = value
    return found


def is_server_class(argument):
    # Since 8.0 the class is named within its module: org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch
    return argument == SERVER_CLASS or argument.endswith("/" + SERVER_CLASS)


def find_server(port=None, pid=None):
    """The server JVM that is meant, None where none runs.

    port: one that it listens on, None where it is the host's only one; pid: that very process, None once it has ended
    Raises NotTold where that does not say which; Unseen where others' processes are hidden: not seen is not absent.
    """
    found, hidden = servers()
    for server in found:
        server.others = len(found) - 1
    if pid is not None:
        return next((server for server in found if server.pid == pid), None)
    meant = found if port is None else [server for server in found if port in ports(server)]
    if not meant and hidden:
        raise Unseen("/proc hides other users' processes from %s (hidepid)" % user_name(os.geteuid()), SUDO)
    if len(meant) == 1 or not found:
        return meant[0] if meant else None
    run = "; ".join(map(described, found))
    if port is None:
        raise NotTold(
            "%d Elasticsearch processes run on this host: %s" % (len(found), run),
            "give each a node of its own in the inventory: preflight_es_port names the port that it listens on",
        )
    if meant:
        raise NotTold("which Elasticsearch process listens on port %d may not be seen: %s" % (port, run), SUDO)
    raise NotTold(
        "no Elasticsearch process on this host listens on port %d: %s" % (port, run),
        "start that node, or correct its preflight_es_port",
    )


def servers():
    """Every server JVM that may be seen, by its number, and whether others may be hidden."""
    found, hidden = [], not os.path.isdir(PROC + "/1")
    for name in os.listdir(PROC):
        if not name.isdigit():
            continue
        try:
            arguments = arguments_of(int(name))
            if arguments and os.path.basename(arguments[0]) == "java" and any(map(is_server_class, arguments)):
                found.append(Server(int(name), arguments))
        except PermissionError:
            hidden = True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return sorted(found, key=lambda server: server.pid), hidden


def ports(server):
    try:
        return sorted({int(listener.rpartition(":")[2]) for listener in listeners(server)})
    except (FileNotFoundError, ProcessLookupError):
        return []


def described(server):
    """ "4711 of elasticsearch listens on 9200 and 9300"."""
    text = " and ".join(map(str, ports(server)))
    return "%d of %s listens on %s" % (server.pid, user_name(server.uid), text or "nothing")


def process(look):
    server = look.server()
    if server is None:
        return None
    try:
        environment = server.environment()
        return {
            "pid": server.pid,
            "user": user_name(server.uid),
            "started": started(server),
            "environment": sorted(name for name in environment if VARIABLES.fullmatch(name)),
            "properties": sorted(name for name in server.own_options if PROPERTIES.fullmatch(name)),
            "region_environment": region(environment.get("AWS_REGION")),
            "region_property": region(server.own_options.get("aws.region")),
            "listeners": listeners(server),
            "own_network_namespace": own_network_namespace(server),
            "addresses": addresses_within(look),
            "unit": unit_of(server),
            "others": server.others,
        }
    except (FileNotFoundError, ProcessLookupError):
        raise Unseen("the Elasticsearch process %d ended while it was looked at" % server.pid, "run again")


def region(value):
    """A region's name as given; anything that can't be one is said to be so and not shown."""
    if not value:
        return None
    return value if REGION.fullmatch(value) else "(not a region's name)"


def started(server):
    # The name in field 2 may hold blanks and brackets; field 22 is the start in clock ticks since boot.
    ticks = int(server.read("stat").rpartition(")")[2].split()[19])
    with open(PROC + "/stat") as file:
        boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
    return boot + float(ticks) / os.sysconf("SC_CLK_TCK")


def listeners(server):
    """What it listens on, "address:port". Where its descriptors may not be read: what its user listens on there."""
    own = own_sockets(server)
    found = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = server.read(table).splitlines()[1:]
        except (PermissionError, FileNotFoundError):
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and (int(fields[7]) == server.uid if own is None else fields[9] in own):
                found.add(socket_address(fields[1]))
    return sorted(found)


def own_sockets(server):
    try:
        names = os.listdir(server.folder + "/fd")
    except PermissionError:
        return None
    found = set()
    for name in names:
        try:
            target = os.readlink(server.folder + "/fd/" + name)
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def socket_address(text):
    """ "0100007F:23F0" -> "127.0.0.1:9200": the kernel prints 32-bit words in the machine's own byte order."""
    import socket
    import struct

    words, port = text.split(":")
    octets = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    if octets[:12] == b"\0" * 10 + b"\xff\xff":
        octets = octets[12:]
    if len(octets) == 4:
        return "%s:%d" % (socket.inet_ntop(socket.AF_INET, octets), int(port, 16))
    return "[%s]:%d" % (socket.inet_ntop(socket.AF_INET6, octets), int(port, 16))


def unit_of(server):
    """The systemd unit that its control group belongs to, None where none is seen."""
    try:
        match = UNIT.search(server.read("cgroup"))
    except OSError:
        return None
    return match.group(1) if match else None


def own_network_namespace(server):
    try:
        return os.readlink(server.folder + "/ns/net") != os.readlink("/proc/self/ns/net")
    except PermissionError:
        return None
