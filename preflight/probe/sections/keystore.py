"""Section `keystore`: what elasticsearch.keystore holds, read without a JVM where that is certain.

An unprotected keystore is encrypted under a key derived from the empty password: whoever can read the file can read
it. Its names are told. Of its values, those of access keys leave this file as an HMAC under the run's own key and the
four letters that say what kind of key it is; all others are stepped over.
"""

import os
import re
import struct

from .base import OPEN_UP, Unseen, decoded, finish, group_name, read_octets, start, status_of, tool, user_name
from .gcm import Forged, gcm_decrypt

MAGIC = 0x3FD76C17
NAME = re.compile(r"[A-Za-z0-9_\-.]+")
ACCESS_KEY = re.compile(r"s3\.client\.[^.]+\.access_key")
PASSWORD_OPTION = "--keystore-password-file=FILE, or preflight_keystore_password_file in the inventory"
ALWAYS_THERE = "keystore.seed"
# Beyond this the plain AES takes seconds, and the tool is the better reader.
MOST = 256 << 10


class Doubt(Exception):
    """The file is not, to the last byte, what this reader knows; str() says where."""


def keystore(look):
    place = look.place()
    if place is None:
        raise Unseen("no Elasticsearch was found on this host: none runs, and none is in /usr/share/elasticsearch")
    path = place["path_conf"] + "/elasticsearch.keystore"
    if status_of(place["root"] + place["path_conf"]) is None:
        raise Unseen("the configuration folder %s does not exist" % place["path_conf"])
    state = status_of(place["root"] + path)
    value = {
        "path": path,
        "exists": state is not None,
        "settings": [],
        "format": None,
        "owner": None,
        "group": None,
        "mode": None,
        "modified": None,
        "read_by": None,
        "readable_by_service": None,
        "creatable_by_service": None,
        "access_keys": None,
        "protected": False,
    }
    service = Service(place, look.server())
    value["creatable_by_service"] = service.may(place, place["path_conf"], 3)
    if state is None:
        return value
    value["readable_by_service"] = service.may(place, path, 4)
    value["owner"], value["group"] = user_name(state.st_uid), group_name(state.st_gid)
    value["mode"], value["modified"] = "%04o" % (state.st_mode & 0o7777), state.st_mtime
    try:
        opened = Opened(read_octets(place["root"] + path), look.keystore_password)
        value["format"], value["settings"], value["read_by"] = opened.format, sorted(opened.held), "file"
        value["protected"] = opened.protected
        value["access_keys"] = fingerprints(opened.held, look.fingerprint_key)
    except FileNotFoundError:
        raise Unseen("%s was replaced while it was looked at" % path, "run again")
    except Doubt as doubt:
        value["settings"] = names_by_tool(look, place, path, str(doubt))
        value["read_by"] = "elasticsearch-keystore"
    return value


class Service(object):
    """Who Elasticsearch is when it starts, as the kernel asks.

    uid: None where it is not known here; groups: of the running process and, on this host, of the user database
    """

    def __init__(self, place, server):
        import pwd

        self.uid, self.groups = None, set()
        if server is not None:
            self.uid = server.uid
            try:
                lines = server.read("status").splitlines()
            except OSError:
                lines = []  # it has ended; the user database below is left
            status = dict(line.split(":", 1) for line in lines if ":" in line)
            self.groups = set(map(int, status.get("Gid", "").split()[1:2] + status.get("Groups", "").split()))
        if place["root"] or place["service_user"] is None:
            return  # a container has a user database of its own
        try:
            user = pwd.getpwnam(place["service_user"])
        except KeyError:
            return
        self.uid = user.pw_uid
        self.groups |= {user.pw_gid} | set(os.getgrouplist(user.pw_name, user.pw_gid))

    def may(self, place, path, bits):
        """Whether it may read (4), write (2) or search (1) there, every folder on the way included.

        None where mode, owner and group do not decide it: an access control list, a user not known here.
        """
        if self.uid is None:
            return None
        if self.uid == 0:
            return True
        root, paths = place["root"], [path]
        if not root and os.path.realpath(path) != path:
            paths.append(os.path.realpath(path))
        answers = [self.allows(root + path, bits)]
        for one in paths:
            while one not in ("/", ""):
                one = os.path.dirname(one)
                answers.append(self.allows(root + one, 1))
        return False if False in answers else None if None in answers else True

    def allows(self, path, bits):
        try:
            state = os.stat(path)
        except OSError:
            return None
        try:
            listed = "system.posix_acl_access" in os.listxattr(path)
        except OSError:
            listed = False  # a file system without them
        if state.st_uid == self.uid:
            return (state.st_mode >> 6) & bits == bits
        if listed:
            return None  # the group's bits are then the list's mask
        return (state.st_mode >> (3 if state.st_gid in self.groups else 0)) & bits == bits


class Cursor(object):
    """Reads on through bytes and never past their end. order: of its integers, ">" or "<"."""

    def __init__(self, content, order=">"):
        self.content, self.at, self.order = content, 0, order

    def take(self, count):
        if count < 0 or self.at + count > len(self.content):
            raise Doubt("it ends early")
        self.at += count
        return self.content[self.at - count : self.at]

    def number(self, code="i"):
        return struct.unpack(self.order + code, self.take(struct.calcsize(code)))[0]

    def text(self):
        return self.take(self.number("H")).decode("ascii", "replace")

    def ended(self):
        return self.at == len(self.content)


class Opened(object):
    """A keystore of format 3 to 7, opened with its password, the empty one where it has none.

    format; protected: it has a password; held: setting name -> the access key id's octets, None for all other settings
    Raises Doubt for anything else, Unseen for a password that is missing or not its own. What vouches for the names:
    the file's checksum, GCM's tag under the key of its format, a body that parses to its last byte, and keystore.seed
    among them.
    """

    def __init__(self, content, password=None):
        import zlib

        if len(content) > MOST:
            raise Doubt("it is larger than %d KiB" % (MOST >> 10))
        head = Cursor(content)
        if head.number("I") != MAGIC or head.take(head.take(1)[0]) != b"elasticsearch.keystore":
            raise Doubt("it does not begin as a keystore")
        version = head.number()
        if not 3 <= version <= 7:
            raise Doubt("its format is %d" % version)
        flag = head.take(1)[0]
        foot = Cursor(content[-16:])
        magic, zero, checksum = foot.number("I"), foot.number("I"), foot.number("Q")
        if (magic, zero) != (MAGIC ^ 0xFFFFFFFF, 0) or checksum != zlib.crc32(content[:-8]):
            raise Doubt("its checksum is wrong")
        if flag not in (0, 1):
            raise Doubt("its password flag is %d" % flag)
        if flag and not password:
            raise Unseen("the keystore is password-protected, and no password was given", PASSWORD_OPTION)
        self.format, self.protected = version, flag == 1
        head.order = "<" if version >= 5 else ">"
        length = head.number()
        if length != len(content) - head.at - 16:
            raise Doubt("its length is wrong")
        salt = head.take(head.number())
        nonce = head.take(head.number())
        body = head.take(head.number())
        if head.at != len(content) - 16 or len(nonce) != 12 or len(body) < 16:
            raise Doubt("its parts do not add up")
        # javax.crypto's PBKDF2 takes a password's characters as UTF-8.
        secret = password.encode("utf-8") if self.protected else b""
        try:
            plain = gcm_decrypt(derived(version, secret, salt), nonce, body[:-16], body[-16:], salt)
        except Forged:
            if self.protected:
                raise Unseen(
                    "the keystore is password-protected, and the given password is not its own", PASSWORD_OPTION
                )
            raise Doubt("it does not decrypt")
        self.held = body_settings(plain, version)


def derived(version, password, salt):
    import hashlib

    rounds = 210000 if version >= 6 else 10000
    try:
        return hashlib.pbkdf2_hmac("sha512", password, salt, rounds, 32 if version >= 7 else 16)
    except (AttributeError, ValueError):
        # A FIPS build may refuse an empty password.
        raise Doubt("this Python derives no key from the password")


def body_settings(plain, version):
    body = Cursor(plain)
    names, held = [], {}
    for _ in range(body.number()):
        name = body.text()
        names.append(name)
        if version == 3:
            body.text()
        value = body.take(body.number())
        held[name] = value if ACCESS_KEY.fullmatch(name) else None
    if not body.ended():
        raise Doubt("something follows its last setting")
    checked(names)
    return held


def fingerprints(held, key):
    """Access key setting -> what may be told of its value. None without a key for the run: then nothing may."""
    import hashlib
    import hmac

    if not key:
        return None
    found = {}
    for name, value in held.items():
        if value is not None:
            prefix = decoded(value[:4])
            found[name] = {
                "prefix": prefix if prefix in ("AKIA", "ASIA") else None,
                "fingerprint": hmac.new(bytes.fromhex(key), value, hashlib.sha256).hexdigest()[:32],
            }
    return found


def checked(names):
    """The names, sorted. Raises Doubt where they can't be a keystore's."""
    if not all(NAME.fullmatch(name) for name in names) or len(set(names)) != len(names):
        raise Doubt("it holds what is no setting name")
    if ALWAYS_THERE not in names:
        raise Doubt("it holds no %s" % ALWAYS_THERE)
    return sorted(names)


def names_by_tool(look, place, path, why):
    """The names as `elasticsearch-keystore list` prints them. Raises Unseen with both readers' reasons."""
    before = "%s cannot be read without Elasticsearch's tool (%s), and " % (path, why)
    remedy = "sudo ES_PATH_CONF=%s %s/bin/elasticsearch-keystore list, on that node" % (
        place["path_conf"],
        place["home"],
    )
    command = place["home"] + "/bin/elasticsearch-keystore"
    if place["root"]:
        raise Unseen(before + "that is inside a container", remedy)
    if not os.access(command, os.X_OK):
        raise Unseen(before + "%s may not be run here" % command, OPEN_UP)
    arguments = [command, "list"]
    runuser = tool("runuser")
    if os.geteuid() == 0 and place["service_user"] not in (None, "root"):
        # Never as root: the service's user chose where the tool is, and its JVM would leave root's files in /tmp.
        if runuser is None:
            raise Unseen(before + "there is no runuser to start it as %s" % place["service_user"], remedy)
        arguments = [runuser, "-u", place["service_user"], "--"] + arguments
    status, output, errors = finish(
        start(arguments, tool_environment(look, place)), max(look.deadline.left(25) - 0.5, 0.1)
    )
    if "password" in (output + errors).lower():
        raise Unseen("the keystore is password-protected, and Elasticsearch's tool alone could read it", remedy)
    if status != 0:
        raise Unseen(before + "that ended with exit status %d" % status, remedy)
    # JVM warnings can come before the names on standard output.
    names = [line.strip() for line in output.splitlines() if NAME.fullmatch(line.strip())]
    try:
        return checked(names)
    except Doubt as doubt:
        raise Unseen(before + "that printed no list of names: " + str(doubt), remedy)


def tool_environment(look, place):
    """What the tool needs to find its configuration and the JVM that the server runs on."""
    variables = {"ES_PATH_CONF": place["path_conf"]}
    server = look.server()
    if server is not None:
        try:
            given = server.environment()
        except Unseen:
            given = {}
        variables.update({name: given[name] for name in ("ES_JAVA_HOME", "JAVA_HOME") if name in given})
    return variables
