"""Keystore files in any format, encrypted by another implementation (cryptography) than the reader's."""

from __future__ import annotations

import hashlib
import struct
import zlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CANARY = "canary-VALUE-that-must-stay-on-the-node"


def body_of(names, version=7, values=None):
    parts = [struct.pack(">i", len(names))]
    for name in names:
        parts += [struct.pack(">H", len(name)), name.encode()]
        if version == 3:
            parts += [struct.pack(">H", 6), b"STRING"]
        value = (values or {}).get(name, CANARY).encode()
        parts += [struct.pack(">i", len(value)), value]
    return b"".join(parts)


def keystore_file(
    body: bytes, version: int, *, protected: int = 0, key_size: int | None = None, password: str = ""
) -> bytes:
    order = "<" if version >= 5 else ">"
    salt, nonce = bytes(range(64)), bytes(range(12))
    rounds = 210000 if version >= 6 else 10000
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, key_size or (32 if version >= 7 else 16))
    parts = [salt, nonce, AESGCM(key).encrypt(nonce, body, salt)]
    inner = b"".join(struct.pack(order + "i", len(part)) + part for part in parts)
    content = struct.pack(">I", 0x3FD76C17) + b"\x16elasticsearch.keystore" + struct.pack(">i", version)
    content += bytes([protected]) + struct.pack(order + "i", len(inner)) + inner
    return closed(content)


def closed(content: bytes) -> bytes:
    """With Lucene's footer, whose checksum is right."""
    content += struct.pack(">II", 0x3FD76C17 ^ 0xFFFFFFFF, 0)
    return content + struct.pack(">Q", zlib.crc32(content))
