"""Section `config`: elasticsearch.yml. Every name, and the values that matter here and can be no secret."""

import re

from .base import Unseen, read_octets, status_of

# A value is read only where its name is here; a name with one of SECRET's words never is.
SHOWN = re.compile(
    r"s3\.client\.[^.]+\.(?:region|endpoint|protocol|path_style_access|disable_chunked_encoding|signer_override"
    r"|max_retries|max_connections|read_timeout|proxy\.(?:host|port|scheme))"
    r"|(?:cloud\.aws|repositories\.s3)\.(?:.*\.)?region"
    r"|discovery\.(?:ec2\.(?:endpoint|protocol|groups|availability_zones|tag\..+)|seed_providers|seed_hosts|type)"
    r"|cluster\.(?:name|initial_master_nodes)|path\.data|node\.(?:name|roles|master|data|ingest|voting_only)"
    r"|(?:network|http|transport)\.[a-z0-9_.]+"
    r"|xpack\.security\.enabled|xpack\.security\.(?:http|transport)\.ssl\.enabled"
    r"|xpack\.security\.http\.ssl\.(?:certificate|certificate_authorities|keystore\.path|truststore\.path)"
)
SECRET = re.compile(r"password|passphrase|secret|token|access_key|api_key|credential", re.I)
PLAIN_KEY = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.*/-]*)[ ]*:(?:[ ]+(.*))?")
QUOTED_KEY = re.compile(r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*')[ ]*:(?:[ ]+(.*))?")


class BadLine(Exception):
    """A line this reader does not understand. number: counted from 1; reason: without its content"""

    def __init__(self, number, reason="is not understood"):
        Exception.__init__(self, number)
        self.number, self.reason = number, reason


def config(look):
    place = look.place()
    if place is None:
        raise Unseen("no Elasticsearch was found on this host: none runs, and none is in /usr/share/elasticsearch")
    path = place["path_conf"] + "/elasticsearch.yml"
    state = status_of(place["root"] + path)
    try:
        content = read_octets(place["root"] + path)
    except FileNotFoundError:
        raise Unseen("%s does not exist" % path)
    try:
        settings = parse(content)
    except BadLine as bad:
        raise Unseen("line %d of %s %s" % (bad.number, path, bad.reason), "write that line more simply: name: value")
    shown = {
        name: masked(value) for name, value in settings.items() if SHOWN.fullmatch(name) and not SECRET.search(name)
    }
    return {"path": path, "modified": state.st_mtime, "settings": shown, "names": sorted(settings)}


def masked(value):
    """Without the user and password that a URL may carry."""
    return re.sub(r"//[^/\s]*@", "//", value)


def parse(content):
    """Flat setting name -> value as text, lists joined by commas, nothing as "". Raises BadLine."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadLine(content.count(b"\n", 0, error.start) + 1, "is not UTF-8")
    return Reader(text).settings()


class Reader(object):
    """The YAML that elasticsearch.yml is written in: block mappings, lists of scalars, quotes, flow style, comments.

    Anchors, tags, complex keys, scalars over several lines and anything doubtful are a BadLine.
    """

    def __init__(self, text):
        self.lines = re.split(r"\r\n|\n|\r", text)
        self.at = 0
        self.found = {}

    def settings(self):
        levels = []  # (indent, prefix of the names at it)
        opened = None  # (indent, name) of a key whose value may follow on deeper lines
        items = None  # (indent, name) of the list that is being read
        ended = False
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            body = line.strip(" ")
            if not body or body.startswith("#"):
                continue
            indent = len(line) - len(line.lstrip(" "))
            if ended or "\t" in line[: len(line) - len(line.lstrip())] or "\0" in line:
                raise BadLine(self.at)
            if re.match(r"(?:---|\.\.\.)(?:\s|$)", line):
                if re.search(r"[^\s]", re.sub(r"\s#.*", "", line[3:])) or (
                    line.startswith("---") and (levels or opened)
                ):
                    raise BadLine(self.at)
                ended = line.startswith("...")
                continue
            if body == "-" or body.startswith("- "):
                if opened and indent >= opened[0]:
                    items, opened = (indent, opened[1]), None
                    self.keep(items[1], [])
                if items is None or indent != items[0] or PLAIN_KEY.fullmatch(body[1:].strip()):
                    raise BadLine(self.at)
                self.found[items[1]].append(self.scalar(body[1:].strip(" ")))
                continue
            items = None
            if opened:
                if indent > opened[0]:
                    levels.append((indent, opened[1] + "."))
                else:
                    self.keep(opened[1], "")
                opened = None
            while levels and levels[-1][0] > indent:
                levels.pop()
            if not levels and not self.found:
                levels.append((indent, ""))
            if not levels or levels[-1][0] != indent:
                raise BadLine(self.at)
            opened = self.entry(body, indent, levels[-1][1])
        if opened:
            self.keep(opened[1], "")
        return {name: ",".join(value) if isinstance(value, list) else value for name, value in self.found.items()}

    def entry(self, body, indent, prefix):
        """Keep `key: value`; (indent, name) where the value may follow."""
        match = PLAIN_KEY.fullmatch(body) or QUOTED_KEY.fullmatch(body)
        if not match:
            raise BadLine(self.at)
        key = match.group(1)
        name = prefix + (self.quoted(key) if key[0] in "\"'" else key)
        value = (match.group(2) or "").strip(" ")
        if not value or value.startswith("#"):
            return indent, name
        if value[0] in "|>":
            self.block(value, indent)
            self.keep(name, "")
        elif value[0] in "[{":
            self.flow(name, value)
        else:
            self.keep(name, self.scalar(value))
        return None

    def keep(self, name, value):
        if name in self.found:
            raise BadLine(self.at, "repeats a setting, with which Elasticsearch does not start")
        self.found[name] = value

    def scalar(self, text):
        """One value on one line, its comment gone; "" for nothing."""
        if text[:1] in ('"', "'"):
            match = re.match(r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*')(?:\s*|\s+#.*)$", text)
            if not match:
                raise BadLine(self.at)
            return self.quoted(match.group(1))
        if text.startswith("#"):
            return ""
        text = re.sub(r"\s+#.*", "", text).rstrip()
        if text[:1] and text[0] in "&*!%@`|>[]{},?" or ": " in text or text.endswith(":") or text.startswith("- "):
            raise BadLine(self.at)
        return "" if text in ("null", "~") else text

    def quoted(self, text):
        if text[0] == "'":
            return text[1:-1].replace("''", "'")
        inner = text[1:-1]
        if re.search(r"\\[^\"\\/]", inner):
            raise BadLine(self.at)
        return re.sub(r"\\(.)", r"\1", inner)

    def block(self, header, indent):
        """Step over a block scalar: none of the values shown is written so."""
        if not re.match(r"[|>][-+0-9]*(?:\s*|\s+#.*)$", header):
            raise BadLine(self.at)
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.strip() and len(line) - len(line.lstrip(" ")) <= indent:
                return
            self.at += 1

    def flow(self, name, text):
        """`[a, b]` and `{a: b}`, over as many lines as its brackets need."""
        began, tokens = self.at, self.tokens(text)
        while tokens.count("[") + tokens.count("{") > tokens.count("]") + tokens.count("}"):
            if self.at == len(self.lines):
                raise BadLine(began)
            self.at += 1
            tokens += self.tokens(self.lines[self.at - 1])
        self.flow_value(name, tokens)
        if tokens:
            raise BadLine(self.at)

    def tokens(self, text):
        found, at = [], 0
        text = text.strip()
        while at < len(text):
            match = re.compile(
                r"\s*(?:([\[\]{},])|(\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*')(\s*:(?=\s))?"
                r"|([^\s\[\]{},\"'#&*!|>%@`][^\[\]{},#]*?)(\s*:(?=\s|$)|(?=\s*[\[\]{},]|\s*$|\s+#))|(#.*))"
            ).match(text, at)
            if not match or (match.group(6) and at and not text[at - 1].isspace() and not match.group(0)[0].isspace()):
                raise BadLine(self.at)
            at = match.end()
            if match.group(1):
                found.append(match.group(1))
            elif match.group(2):
                found.append(("key" if match.group(3) else "value", self.quoted(match.group(2))))
            elif match.group(4):
                found.append(("key" if match.group(5) else "value", match.group(4).strip()))
        return found

    def flow_value(self, name, tokens):
        """Take one value off the front of the tokens and keep it under the name."""
        first = self.next(tokens)
        if first == "{":
            while self.peek(tokens) != "}":
                kind, key = self.pair(tokens)
                if kind != "key":
                    raise BadLine(self.at)
                self.flow_value(name + "." + key, tokens)
                self.comma(tokens, "}")
            tokens.pop(0)
        elif first == "[":
            items = []
            while self.peek(tokens) != "]":
                kind, item = self.pair(tokens)
                if kind != "value":
                    raise BadLine(self.at)
                items.append(item)
                self.comma(tokens, "]")
            tokens.pop(0)
            self.keep(name, items)
        elif isinstance(first, tuple) and first[0] == "value":
            self.keep(name, first[1])
        else:
            raise BadLine(self.at)

    def next(self, tokens):
        if not tokens:
            raise BadLine(self.at)
        return tokens.pop(0)

    def peek(self, tokens):
        if not tokens:
            raise BadLine(self.at)
        return tokens[0]

    def pair(self, tokens):
        token = self.next(tokens)
        if not isinstance(token, tuple):
            raise BadLine(self.at)
        return token

    def comma(self, tokens, closing):
        token = self.peek(tokens)
        if token == ",":
            tokens.pop(0)
        elif token != closing:
            raise BadLine(self.at)
