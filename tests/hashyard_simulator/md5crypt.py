"""The `$1$` password hash (MD5-crypt), which Whatsminers derive keys and tokens from."""

import hashlib

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ROUNDS = 1000
_ORDER = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))


def md5_crypt(password: str, salt: str) -> str:
    """The 22 characters behind `$1$salt$`."""
    word, seasoning = password.encode(), salt.encode()[:8]
    inner = _md5(word + seasoning + word)
    start = word + b"$1$" + seasoning + (inner * (len(word) // 16 + 1))[: len(word)]
    bits = len(word)
    while bits:
        start += b"\x00" if bits & 1 else word[:1]
        bits >>= 1
    digest = _md5(start)
    for turn in range(_ROUNDS):
        material = word if turn & 1 else digest
        material += seasoning if turn % 3 else b""
        material += word if turn % 7 else b""
        material += digest if turn & 1 else word
        digest = _md5(material)
    return _encode(digest)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _encode(digest: bytes) -> str:
    text = ""
    for a, b, c in _ORDER:
        text += _characters(digest[a] << 16 | digest[b] << 8 | digest[c], 4)
    return text + _characters(digest[11], 2)


def _characters(value: int, count: int) -> str:
    text = ""
    for _ in range(count):
        text += _ALPHABET[value & 0x3F]
        value >>= 6
    return text
