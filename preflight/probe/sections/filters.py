"""Question `filters`: the packet filter's rules that could decide about some connections; nothing is loaded for it.

Only what is there already is read: iptables' tables where the kernel names them, for its tools would make them anew;
nftables' where nf_tables is in the kernel, for a question alone would load it.
"""

import os
import re

from .base import SUDO, Unseen, finish, read_text, start, tool
from .process import PROC, own_network_namespace

MOST_RULES = 300
MOST_TEXT = 32 << 20
BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
NOT_TCP = re.compile(
    r"^(?:udp|udplite|icmp|icmpv6|sctp|dccp|igmp|esp|ah|comp) |\b(?:meta l4proto|ip6? (?:protocol|nexthdr)) "
    r"(?!tcp|6\b|!|\{|@|&|vmap)|(?<!!) -p (?!tcp|6\b|all|0\b)"
)
SOURCES = r"(?:\bip6? saddr|(?<!!) -s) (\{[^}]*\}|[0-9a-f]\S*[.:]\S*)"
PORTS = re.compile(r"(?:\b(?:tcp|th) dport|(?<!!) --dports?) (\{[^}]*\}|[0-9]\S*)")
TARGETS = re.compile(r"(?:\b(?:jump|goto)| -[jg]) ([^\s,}]+)")


class Concern(object):
    """The connections in question. Says what of a rule set surely has nothing to do with them; doubt keeps it.

    translated: behind a NAT they go to other addresses than these
    """

    def __init__(self, addresses, ports, translated=False):
        import ipaddress

        self.where = re.compile(SOURCES if translated else SOURCES.replace("saddr", "[sd]addr").replace("-s", "-[sd]"))

        self.address, self.network = ipaddress.ip_address, ipaddress.ip_network
        self.addresses, self.ports = [self.address(address) for address in addresses], ports

    def kept(self, text):
        text = re.sub(r'"[^"]*"', '""', text)
        return not NOT_TCP.search(text) and all(
            any(map(one, value.strip("{}").split(",")))
            for pattern, one in ((self.where, self.has_address), (PORTS, self.has_port))
            for value in pattern.findall(text)
        )

    def has_address(self, text):
        try:
            first, _, last = text.strip().partition("-")
            if not last:
                network = self.network(first, strict=False)
                return any(address in network for address in self.addresses)
            low, high = self.address(first), self.address(last)
            return any(low <= a <= high for a in self.addresses if a.version == low.version)
        except ValueError:
            return True

    def has_port(self, text):
        try:
            ends = [int(end) for end in re.split("[-:]", text.strip())]
        except ValueError:
            return True
        return any(ends[0] <= port <= ends[-1] for port in self.ports)

    def elements(self, texts):
        """Those of a set's elements that may matter; None where they are neither addresses nor ports."""
        found = []
        for text in texts:
            key = re.split(r" (?:timeout|expires|counter|comment|:) ", text + " ")[0].strip()
            if not re.match(r"[0-9a-f.:/-]+$", key):
                return None
            if (self.has_port if re.match("[0-9-]+$", key) else self.has_address)(key):
                found.append(text)
        return found


def filters(asked, look):
    """Tables of rules, and why others could not be read.

    asked: addresses and ports of the connections in question
    """
    if os.geteuid():
        raise Unseen("the packet filter's rules are shown to root alone", SUDO.partition(" (")[0])
    spaces = [("probe", "self", [])]
    try:
        server = look.server()
        if server is not None and own_network_namespace(server):
            if tool("nsenter") is None:
                raise Unseen("Elasticsearch's network namespace is another one, and there is no nsenter command")
            spaces.append(("process", str(server.pid), [tool("nsenter"), "-t", str(server.pid), "-n"]))
        unread = []
    except Unseen as unseen:
        unread = [unseen.reason]
    concern, tables = Concern(asked["addresses"], asked["ports"], len(spaces) > 1), []
    for namespace, pid, enter in spaces:
        for read in (legacy, nftables):
            try:
                for table in read(pid, enter, look.deadline):
                    shortened(table, concern)
                    if table["chains"]:
                        tables.append(dict(table, namespace=namespace))
            except Unseen as unseen:
                unread.append(unseen.reason)
    return {"tables": tables, "unread": unread}


def shown(arguments, deadline):
    """(what a tool prints, its complaints)"""
    status, output, errors = finish(start(arguments), deadline.left(20))
    command = " ".join(arguments)
    if status != 0:
        raise Unseen("%s ended with exit status %d: %s" % (command, status, errors.strip()[:200]))
    if len(output) > MOST_TEXT:
        raise Unseen("%s prints more than %d MiB" % (command, MOST_TEXT >> 20))
    return output, errors


def legacy(pid, enter, deadline):
    for family in ("ip", "ip6"):
        try:
            loaded = read_text("%s/%s/net/%s_tables_names" % (PROC, pid, family)).split()
        except FileNotFoundError:
            continue
        if loaded:
            command = saving(family, "legacy")
            if command is None:
                raise Unseen("%stables are in use, and there is no %stables-save for them" % (family, family))
            for table in saved(shown(enter + [tool(command + "-save")], deadline)[0], family, command):
                yield table


def saving(family, kind):
    """ "iptables" or "iptables-legacy": what speaks to that kind of tables here, None where nothing does."""
    for command in (family + "tables-" + kind, family + "tables"):
        path = tool(command + "-save")
        if path and (kind == "nft") == os.path.realpath(path).endswith("nft-multi"):
            return command
    return None


def nftables(pid, enter, deadline):
    if not has_nftables():
        return
    own, errors, families = [], "", ("ip", "ip6")
    if tool("nft"):
        text, errors = shown(enter + [tool("nft"), "-s", "-a", "list", "ruleset"], deadline)
        for table in listed_tables(text):
            if table["family"] in families and any(chain["name"] in BUILT_IN for chain in table["chains"]):
                own.append(table)
            else:
                yield table
        families = sorted({table["family"] for table in own})
    # Of what iptables has put there nft leaves out whatever it lacks the libraries for, as if it were no condition.
    for family in families:
        command = saving(family, "nft")
        text = shown(enter + [tool(command + "-save")], deadline)[0] if command else ""
        if command and "is incompatible" not in text:
            tables = saved(text, family, command)
        elif own and "XT " not in errors:
            tables = [table for table in own if table["family"] == family]
        else:
            made = "%stables, which has made some of the rules," % family
            raise Unseen("%s is not on this node" % (made if own else "the nft command"))
        for table in tables:
            yield table


def has_nftables():
    try:
        loaded = read_text(PROC + "/modules")
    except FileNotFoundError:  # such a kernel loads none
        return True
    if re.search("^nf_tables ", loaded, re.M):
        return True
    try:
        return "/nf_tables.ko" in read_text("/lib/modules/%s/modules.builtin" % os.uname().release)
    except FileNotFoundError:
        raise Unseen("whether this kernel has nf_tables built in is not told (no modules.builtin)")


def new_table(family, name, command):
    return {"family": family, "name": name, "command": command, "chains": [], "sets": {}}


def new_chain(name, hook=None, policy=None):
    return {"name": name, "hook": hook, "policy": policy, "rules": []}


def saved(text, family, command):
    """Tables as iptables-save prints them; of nat none, where nothing is dropped."""
    tables, chains = [], {}
    for line in text.splitlines():
        word = line.split(" ", 2)
        if line.startswith("*"):
            tables.append(new_table(family, line[1:], command))
            chains = {}
        elif line.startswith(":"):
            chain = new_chain(word[0][1:])
            if word[1] != "-":
                chain["hook"], chain["policy"] = chain["name"].lower(), word[1].lower()
            chains[chain["name"]] = chain
            tables[-1]["chains"].append(chain)
        elif line.startswith("-A "):
            add_rule(chains[word[1]], line, None)
    return [table for table in tables if table["name"] != "nat"]


def add_rule(chain, text, handle):
    chain["rules"].append({"text": text, "number": len(chain["rules"]) + 1, "handle": handle})


def listed_tables(text):
    """Tables as `nft -a list ruleset` prints them, without those that are switched off; no hook for nat's chains."""
    tables, block, chain, elements = [], "", None, None
    for line in text.splitlines():
        line, handle = re.match(r"(.*?)(?: # handle (\d+))?$", line.strip()).groups()
        word = line.split(" ")
        if elements is not None:
            elements += " " + line
        elif line == "}":
            block = "table" if block not in ("", "table") else ""
        elif block == "" and word[0] == "table":
            block = "table"
            tables.append(new_table(word[1], word[2], "nft"))
        elif block == "table" and line.endswith("{"):
            block, name = word[:2]
            if block == "chain":
                chain = new_chain(name)
                tables[-1]["chains"].append(chain)
            elif block in ("set", "map"):
                tables[-1]["sets"][name] = []
        elif word[0] == "flags" and "dormant" in line and block == "table":
            tables[-1]["dormant"] = True
        elif block == "chain":
            base = re.match(r"type (\w+) hook (\w+) .*?(?:policy (\w+);)?$", line)
            if base and base.group(1) != "nat":
                chain["hook"], chain["policy"] = base.group(2), base.group(3) or "accept"
            elif not base and word[0] != "comment":
                add_rule(chain, line, int(handle) if handle else None)
        elif line.startswith("elements = {"):
            elements = line[12:]
        if elements is not None and elements.endswith("}"):
            tables[-1]["sets"][name] = [element.strip() for element in elements[:-1].split(",")]
            elements = None
    return [table for table in tables if not table.pop("dormant", False)]


def shortened(table, concern):
    """Leave what may decide: rules that concern the connections, chains that packets come through, sets they use."""
    chains = {chain["name"]: chain for chain in table["chains"]}
    for chain in table["chains"]:
        chain["rules"] = [rule for rule in chain["rules"] if concern.kept(rule["text"])]
    reached = [chain for chain in table["chains"] if chain["hook"]]
    sets = {}
    for chain in reached:
        texts = [rule["text"] for rule in chain["rules"]]
        for name in re.findall(r"@([\w.-]+)", "\n".join(texts)):
            elements = concern.elements(table["sets"].get(name, ["?"]))
            if elements is not None and name not in sets:
                sets[name] = elements
                texts += elements
        for name in TARGETS.findall("\n".join(texts)):
            if name in chains and chains[name] not in reached:
                reached.append(chains[name])
    # A base chain that has nothing to say lets through.
    table["chains"] = [chain for chain in reached if chain["rules"] or chain["policy"] == "drop"]
    table["sets"] = sets
    if sum(len(chain["rules"]) for chain in reached) > MOST_RULES:
        table["chains"] = []
        raise Unseen("more than %d rules of table %s may concern these connections" % (MOST_RULES, table["name"]))
