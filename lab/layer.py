"""The read-only layer of every lab host over the machine's own `/`: accounts, sshd, Elasticsearch laid out as a deb.

A directory of `/`'s own file system cannot be an overlay's layer over `/` (ELOOP); the layer is therefore built through
an overlay and then put into a file system image of its own, mounted read-only through a loop device.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

from . import names, requirements
from .errors import LabError
from .names import LAYER
from .processes import run

IMAGE = LAYER / "layer.img"
MOUNT = LAYER / "mounted"
UPPER = LAYER / "upper"
FILES = LAYER / "files"
ELASTICSEARCH = LAYER / "elasticsearch"
HOME = "/usr/share/elasticsearch"

TOP_LEVEL = frozenset(
    {"bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc", "root"}
    | {"run", "sbin", "srv", "sys", "tmp", "usr", "var"}
)
"""Top-level directories a Debian host has; whatever else lies in the machine's `/` a node does not see."""

EMPTIED = ("boot", "home", "media", "mnt", "opt", "root", "srv", "var/log", "var/tmp")
"""Directories whose content is the machine's own business."""

SSHD_CONFIG = """\
Include /etc/ssh/sshd_config.d/*.conf
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
"""

NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""


def unpack(distribution: Path, plugin: Path, java_home: Path) -> None:
    """Elasticsearch from its zip, changed to what the deb has where the two differ, with the s3 plugin installed."""
    with zipfile.ZipFile(distribution) as archive:
        archive.extractall(LAYER)
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            if stat.S_ISREG(mode) and mode & 0o111:
                (LAYER / entry.filename).chmod(0o755)
        (LAYER / archive.infolist()[0].filename.split("/")[0]).rename(ELASTICSEARCH)
    shutil.rmtree(ELASTICSEARCH / "logs", ignore_errors=True)
    run(
        ["env", f"ES_JAVA_HOME={java_home}", ELASTICSEARCH / "bin/elasticsearch-plugin", "install", "--batch",
         f"file://{plugin}"], timeout=120,
    )  # fmt: skip
    script = ELASTICSEARCH / "bin/elasticsearch-env"
    text = script.read_text()
    # The deb's own script reads /etc/default/elasticsearch and knows that it is the deb's.
    changed = re.sub(r"(?m)^ES_DISTRIBUTION_TYPE=.*$", "ES_DISTRIBUTION_TYPE=deb", text).replace(
        "set -e -o pipefail\n", "set -e -o pipefail\n\nsource /etc/default/elasticsearch\n", 1
    )
    if changed.count("deb") <= text.count("deb") or "source /etc/default" not in changed:
        raise LabError(f"{script.name} of this Elasticsearch is not as expected: the lab cannot lay it out as the deb")
    script.write_text(changed)
    options = ELASTICSEARCH / "config/jvm.options"
    text = re.sub(r"file=(logs/)?gc\.log", "file=/var/log/elasticsearch/gc.log", options.read_text())
    options.write_text(re.sub(r"ErrorFile=(logs/)?hs_err", "ErrorFile=/var/log/elasticsearch/hs_err", text))


def write_files(public_key: str, java_home: Path | None) -> None:
    """Stage what the layer takes as it is. java_home: None without Elasticsearch."""
    image = Path(__file__).parent / "image"
    texts = {
        "usr/bin/systemctl": (image / "systemctl").read_text(),
        "usr/sbin/lab-init": (image / "lab-init").read_text(),
        "etc/resolv.conf": f"nameserver {names.DNS}\nsearch {names.DOMAIN}\n",
        "etc/nsswitch.conf": NSSWITCH,
        "etc/environment": "",
        "etc/ssh/sshd_config": SSHD_CONFIG,
        "etc/sudoers.d/admin": f"{names.SSH_USER} ALL=(ALL) NOPASSWD:ALL\n",
        "etc/lab-authorized-keys": public_key,
    }
    if java_home is not None:
        texts["etc/default/elasticsearch"] = f"ES_JAVA_HOME={java_home}\nES_PATH_CONF=/etc/elasticsearch\n"
    for name, text in texts.items():
        (FILES / name).parent.mkdir(parents=True, exist_ok=True)
        (FILES / name).write_text(text)
    if java_home is not None and requirements.needs_shim():
        (FILES / "usr/lib/lab").mkdir(parents=True)
        run(["gcc", "-shared", "-fPIC", "-O1", "-o", FILES / "usr/lib/lab/nofile.so", image / "nofile.c"])


def build(authority: Path, java_home: Path | None) -> None:
    """Build the layer from what is staged and unpacked, and mount it."""
    if java_home is not None and java_home.parts[1] in EMPTIED and java_home.parts[1] != "opt":
        raise LabError(f"{java_home} is hidden from lab hosts: install a JDK under /usr/lib/jvm or /opt")
    for directory in (UPPER, LAYER / "work", LAYER / "root", MOUNT):
        directory.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).parent / "image/build"
    run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", script, LAYER, authority],
        timeout=120,
    )
    if ELASTICSEARCH.exists():
        ELASTICSEARCH.rename(UPPER / HOME.lstrip("/"))
    _hide(java_home)
    size = sum(path.lstat().st_size for path in UPPER.rglob("*"))
    with IMAGE.open("wb") as image:
        image.truncate(size + size // 5 + (32 << 20))
    run(["mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", "-d", UPPER, IMAGE], timeout=120)
    run(["mount", "-o", "loop,ro", IMAGE, MOUNT])
    for directory in (UPPER, FILES, LAYER / "staged", LAYER / "work", LAYER / "root"):
        shutil.rmtree(directory)


def uses_shim() -> bool:
    """Whether this lab's Elasticsearch is told a higher limit of open files than the machine's."""
    return (MOUNT / "usr/lib/lab/nofile.so").exists()


def unmount() -> None:
    """Unmount the layer; its loop device goes with it."""
    if MOUNT.is_mount():
        run(["umount", MOUNT])


def _hide(java_home: Path | None) -> None:
    for entry in sorted(Path("/").iterdir()):
        if entry.name not in TOP_LEVEL:
            _whiteout(UPPER / entry.name)
    for name in EMPTIED:
        if java_home is not None and java_home.is_relative_to(f"/{name}"):
            continue
        below, above = Path("/") / name, UPPER / name
        if below.is_dir():
            if not above.exists():
                above.mkdir()
                shutil.copystat(below, above)
            os.setxattr(above, "trusted.overlay.opaque", b"y")
    # What the machine's own sshd and sudo say must not hold for the hosts.
    _whiteouts(Path("/etc/ssh").glob("ssh_host_*"))
    _whiteouts(Path("/etc/ssh/sshd_config.d").glob("*"))
    _whiteouts([names.STATE, *Path("/etc/sudoers.d").glob("[!.]*")], keep={"admin", "README"})


def _whiteouts(paths: Iterable[Path], keep: Iterable[str] = ()) -> None:
    for path in paths:
        if path.name not in set(keep):
            _whiteout(UPPER / path.relative_to("/"))


def _whiteout(path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        for above in (path.parent, *path.parent.parents):
            if above == UPPER:
                break
            shutil.copystat(Path("/") / above.relative_to(UPPER), above)
    path.unlink(missing_ok=True)
    os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
