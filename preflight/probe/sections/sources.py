"""Section `sources`: which lines on disk hand Elasticsearch credentials or a region when it starts next.

Also the line that names the file with its keystore's password. Names and line numbers; of a value no more than the four
letters that say what kind of access key id it is.
"""

import glob
import os
import re
import shlex

from .base import Unseen, read_text, status_of
from .install import DEFAULTS
from .process import unit_of

# In the order systemd looks: of a unit's own file the first counts, of drop-ins all do.
UNIT_FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
PACKAGED_UNIT = "elasticsearch.service"
AWS_NAME = re.compile(r"AWS_[A-Z0-9_]{1,60}")
AWS_OPTION = re.compile(r"-D((?:aws|com\.amazonaws)\.[A-Za-z0-9.]{1,80})(?:=(.*))?", re.S)
INSECURE_OPTION = re.compile(r"-D(es\.allow_insecure_settings)=true", re.I)
# JvmOptionsParser: an option may be for some versions of Java only.
JVM_LINE = re.compile(r"(?:\d+(?:-\d*)?:)?(-D.*)", re.S)
ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.S)
PASSPHRASE_FILE = "ES_KEYSTORE_PASSPHRASE_FILE"
KEY_ID = re.compile(r"(AKIA|ASIA)[A-Z0-9]")


def sources(look):
    place = look.place()
    if place is None:
        raise Unseen("no Elasticsearch was found on this host: none runs, and none is in /usr/share/elasticsearch")
    reading = Reading()
    conf = place["path_conf"]
    reading.jvm_options(place["root"], conf + "/jvm.options")
    for path in names_in_folder(place["root"] + conf + "/jvm.options.d", ".options"):
        reading.jvm_options(place["root"], conf + "/jvm.options.d/" + path)
    if place["root"]:
        return reading.value()
    for layout, path in DEFAULTS:
        if layout == place["layout"]:
            reading.variables(path)
    for unit in units(look, place):
        reading.unit(unit)
    return reading.value()


class Reading(object):
    """The files as they are read, each once."""

    def __init__(self):
        self.files, self.found, self.unset, self.modified = [], [], set(), {}

    def value(self):
        kept = [
            entry
            for entry in self.found
            if entry["kind"] == "jvm-options" or (entry["through"] or entry["name"]) not in self.unset
        ]
        return {"files": self.files, "found": kept, "modified": self.modified}

    def text(self, root, path):
        """Its content, None where there is none or it was read before. Raises Unseen where it may not be read."""
        state = status_of(root + path)
        if path in self.files or state is None or os.path.isdir(root + path):
            return None
        try:
            content = read_text(root + path)
        except FileNotFoundError:
            return None
        self.files.append(path)
        self.modified[path] = state.st_mtime
        return content

    def keep(self, kind, path, line, name, value, through=None):
        prefix = KEY_ID.match(value.strip("\"' ")) if name in ("AWS_ACCESS_KEY_ID", "aws.accessKeyId") else None
        self.found.append(
            {
                "kind": kind,
                "path": path,
                "line": line,
                "name": name,
                "through": through,
                "key_prefix": prefix.group(1) if prefix else None,
            }
        )

    def jvm_options(self, root, path):
        for number, line in enumerate((self.text(root, path) or "").splitlines(), 1):
            match = JVM_LINE.fullmatch(line.strip())
            if match:
                self.option("jvm-options", path, number, match.group(1))

    def option(self, kind, path, line, text, through=None):
        match = AWS_OPTION.fullmatch(text) or INSECURE_OPTION.fullmatch(text)
        if match:
            value = match.group(2) if match.re is AWS_OPTION else None
            self.keep(kind, path, line, match.group(1), value or "", through)

    def variable(self, kind, path, line, name, value):
        """One assignment, its own quotes taken off or not."""
        value = value.strip()
        if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
            value = value[1:-1]
        if name == "ES_JAVA_OPTS":
            for word in shell_words(value):
                self.option(kind, path, line, word, name)
        elif (name == PASSPHRASE_FILE or AWS_NAME.fullmatch(name)) and value:
            self.keep(kind, path, line, name, value)

    def variables(self, path):
        """A file of NAME=value lines, as systemd and the packages' start script read it."""
        for number, line in logical_lines(self.text("", path) or ""):
            match = ASSIGNMENT.fullmatch(line)
            if match:
                self.variable("variables", path, number, match.group(1), match.group(2))

    def unit(self, unit):
        files = []
        for name in unit_names(unit):
            own = [folder + "/" + name for folder in UNIT_FOLDERS if status_of(folder + "/" + name) is not None]
            files += own[:1]
        drop_ins = {}
        for folder in reversed(UNIT_FOLDERS):
            for name in ["service"] + unit_names(unit):
                for path in names_in_folder("%s/%s.d" % (folder, name), ".conf"):
                    drop_ins[path] = "%s/%s.d/%s" % (folder, name, path)
        for path in files + [drop_ins[name] for name in sorted(drop_ins)]:
            self.unit_file(path, unit)

    def unit_file(self, path, unit):
        section = ""
        for number, line in logical_lines(self.text("", path) or ""):
            text = line.strip()
            if text.startswith("["):
                section = text
            key, _, value = text.partition("=")
            key, value = key.strip(), value.strip()
            if section != "[Service]":
                continue
            if key == "Environment":
                if not value:
                    self.found = [entry for entry in self.found if entry["kind"] != "unit"]
                for word in shell_words(value):
                    match = ASSIGNMENT.fullmatch(word)
                    if match:
                        self.variable("unit", path, number, match.group(1), match.group(2))
            elif key == "UnsetEnvironment":
                self.unset.update(word.partition("=")[0] for word in shell_words(value))
            elif key == "EnvironmentFile" and value:
                self.environment_file(value.lstrip("-").strip("\"'"), path, number, unit)

    def environment_file(self, pattern, path, number, unit):
        instance = unit.partition("@")[2].rpartition(".")[0]
        pattern = pattern.replace("%i", instance).replace("%I", instance).replace("%n", unit)
        if "%" in pattern:
            raise Unseen("line %d of %s names an environment file by what only systemd knows" % (number, path))
        for found in sorted(glob.glob(pattern)):
            self.variables(found)


def units(look, place):
    """Names of the units that may start it: its control group's own, and the package's."""
    server = look.server()
    own = unit_of(server) if server is not None else None
    packaged = place["layout"] in ("deb", "rpm") and own != PACKAGED_UNIT
    # Beside other Elasticsearch processes the package's unit may be one of theirs.
    if packaged and not (own and server.others):
        return [PACKAGED_UNIT] + [own] * bool(own)
    return [own] * bool(own)


def unit_names(unit):
    """The unit and, for elasticsearch@a.service, its template."""
    if "@" not in unit:
        return [unit]
    return [unit.partition("@")[0] + "@.service", unit]


def names_in_folder(folder, ending):
    """Names of its files, sorted. Raises Unseen where it may not be listed."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(ending) and not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        status_of(folder + "/.")
        raise Unseen("%s may not be listed" % folder, "use --sudo")


def logical_lines(text):
    """(number of its first line, text) with lines that a backslash continues joined and comments left out."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not joined:
            first = number
            if line.strip()[:1] in ("#", ";"):
                continue
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        if (joined + line).strip():
            yield first, joined + line
        joined = ""
    if joined.strip():
        yield first, joined


def shell_words(text):
    """Split as a shell would; by blanks alone where its quotes do not match."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
