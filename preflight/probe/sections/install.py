"""Section `install`: where the Elasticsearch that runs here (else the packaged one) has its files."""

import os
import re

from .base import OPEN_UP, Unseen, read_text, status_of, user_name

PACKAGED_HOME = "/usr/share/elasticsearch"
PACKAGED_CONF = "/etc/elasticsearch"
DEFAULTS = (("deb", "/etc/default/elasticsearch"), ("rpm", "/etc/sysconfig/elasticsearch"))
SERVER_JAR = re.compile(r"elasticsearch-(\d+\.\d+\.\d+(?:-[A-Za-z0-9.-]+)?)\.jar")


def install(look):
    """The section's value, None where nothing is installed."""
    place = look.place()
    if place is None:
        return None
    return {key: place[key] for key in ("layout", "home", "path_conf", "version", "service_user", "java_home")}


def find_place(server, port=None):
    """The installation: the section's fields and "root", to be put before its paths. None where there is none.

    port: one that the server listens on where it runs, None where the host has one installation
    """
    if server is None:
        if port is not None:
            raise Unseen("where the Elasticsearch of port %d is installed is not known while it does not run" % port)
        return packaged()
    root = server.root()
    home = server.options.get("es.path.home") or home_of(server)
    conf = server.options.get("es.path.conf") or conf_of(server, root, home)
    return {
        "layout": layout(root, home, server.options.get("es.distribution.type")),
        "home": home,
        "path_conf": conf,
        "version": version(root + home),
        "service_user": user_name(server.uid),
        "java_home": java_home(server, home),
        "root": root,
    }


def packaged():
    if status_of(PACKAGED_HOME + "/bin") is None:
        return None
    return {
        "layout": layout("", PACKAGED_HOME, None),
        "home": PACKAGED_HOME,
        "path_conf": default_conf("") or PACKAGED_CONF,
        "version": version(PACKAGED_HOME),
        "service_user": service_user(),
        "java_home": None,
        "root": "",
    }


def java_home(server, home):
    """Where the JVM is that it was started with, None where that is its own."""
    folder, _, name = server.arguments[0].rpartition("/bin/")
    return folder if folder.startswith("/") and name == "java" and folder != home + "/jdk" else None


def home_of(server):
    """A detached server has no launcher left to ask: its module or class path names HOME/lib."""
    for argument in server.arguments:
        match = re.match(r"(?:--module-path=)?(/[^:]*)/lib(?:/[^/:]*)?(?::|$)", argument)
        if match and "/jdk" not in match.group(1):
            return match.group(1)
    try:
        return os.readlink(server.folder + "/cwd")
    except PermissionError:
        raise Unseen(
            "the home of the Elasticsearch process %d cannot be told from its command line" % server.pid, OPEN_UP
        )


def conf_of(server, root, home):
    given = server.environment().get("ES_PATH_CONF")
    if given:
        return given
    if home == PACKAGED_HOME:
        conf = default_conf(root) or PACKAGED_CONF
        if status_of(root + conf) is not None:
            return conf
    return home + "/config"


def default_conf(root):
    """ES_PATH_CONF of the file the package's service reads, None where there is none."""
    for _, path in DEFAULTS:
        try:
            lines = read_text(root + path).splitlines()
        except FileNotFoundError:
            continue
        for line in reversed(lines):
            match = re.match(r"\s*(?:export\s+)?ES_PATH_CONF=(.+)", line)
            if match:
                return match.group(1).strip().strip("\"'")
    return None


def layout(root, home, told):
    """told: -Des.distribution.type, which the start scripts of every package set."""
    if told in ("deb", "rpm", "docker"):
        return told
    if root:
        return "docker"
    if home == PACKAGED_HOME:
        if status_of("/var/lib/dpkg/info/elasticsearch.list") is not None:
            return "deb"
        for name, path in DEFAULTS:
            if status_of(path) is not None:
                return name
    return "tar"


def version(home):
    try:
        names = os.listdir(home + "/lib")
    except OSError:
        return None
    found = [match.group(1) for match in map(SERVER_JAR.fullmatch, names) if match]
    return found[0] if len(found) == 1 else None


def service_user():
    state = status_of("/var/lib/elasticsearch")
    if state is not None and state.st_uid != 0:
        return user_name(state.st_uid)
    import pwd

    try:
        return pwd.getpwnam("elasticsearch").pw_name
    except KeyError:
        return None
