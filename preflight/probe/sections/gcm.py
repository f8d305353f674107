"""AES-GCM decryption in plain Python: for a keystore's few hundred bytes faster than starting openssl."""


class Forged(Exception):
    """The tag does not fit: another key, or changed bytes."""


def gcm_decrypt(key, nonce, body, tag, associated):
    """The plaintext. key: 16 or 32 bytes; nonce: 12 bytes. Raises Forged."""
    encrypt = aes(key)
    hash_key = int.from_bytes(encrypt(bytes(16)), "big")
    lengths = (8 * len(associated)).to_bytes(8, "big") + (8 * len(body)).to_bytes(8, "big")
    total = 0
    for part in (associated, body, lengths):
        for at in range(0, len(part), 16):
            total = gf_multiply(total ^ int.from_bytes(part[at : at + 16].ljust(16, b"\0"), "big"), hash_key)
    if xor(total.to_bytes(16, "big"), encrypt(nonce + b"\0\0\0\1")) != tag:
        raise Forged()
    blocks = (
        xor(body[at : at + 16], encrypt(nonce + (at // 16 + 2).to_bytes(4, "big"))) for at in range(0, len(body), 16)
    )
    return b"".join(blocks)


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def gf_multiply(left, right):
    """Product in GF(2^128), bits in GCM's order."""
    product = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (0xE1 << 120 if right & 1 else 0)
    return product


def aes(key):
    """A function that encrypts one block of 16 bytes (FIPS 197)."""
    box = substitution()
    double = [byte << 1 ^ (0x11B if byte & 0x80 else 0) for byte in range(256)]
    words = [list(key[at : at + 4]) for at in range(0, len(key), 4)]
    size, constant = len(words), 1
    rounds = size + 6
    for at in range(size, 4 * (rounds + 1)):
        word = words[-1]
        if at % size == 0:
            word = [box[byte] for byte in word[1:] + word[:1]]
            word[0] ^= constant
            constant = double[constant]
        elif size == 8 and at % size == 4:
            word = [box[byte] for byte in word]
        words.append([a ^ b for a, b in zip(words[-size], word)])
    keys = [sum(words[at : at + 4], []) for at in range(0, len(words), 4)]
    shift = [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11]

    def encrypt(block):
        state = [a ^ b for a, b in zip(block, keys[0])]
        for number in range(1, rounds + 1):
            moved = [box[state[at]] for at in shift]
            if number < rounds:
                state = []
                for at in (0, 4, 8, 12):
                    a, b, c, d = moved[at : at + 4]
                    every = a ^ b ^ c ^ d
                    state += [
                        a ^ every ^ double[a ^ b],
                        b ^ every ^ double[b ^ c],
                        c ^ every ^ double[c ^ d],
                        d ^ every ^ double[d ^ a],
                    ]
                moved = state
            state = [a ^ b for a, b in zip(moved, keys[number])]
        return bytes(state)

    return encrypt


def substitution():
    """The S-box: inverses in GF(2^8) by walking its powers of 3 and of 1/3 side by side, then the affine step."""
    box = [0x63] * 256
    power = inverse = 1
    while True:
        power ^= (power << 1 ^ (0x11B if power & 0x80 else 0)) & 0xFF
        inverse ^= inverse << 1
        inverse ^= inverse << 2
        inverse = (inverse ^ inverse << 4) & 0xFF
        if inverse & 0x80:
            inverse ^= 0x09
        spread = inverse * 0x101
        box[power] = (inverse ^ spread >> 7 ^ spread >> 6 ^ spread >> 5 ^ spread >> 4) & 0xFF ^ 0x63
        if power == 1:
            return box
