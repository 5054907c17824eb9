"""The md5crypt hash (`$1$`), which the Whatsminer API derives its keys by. Written from its published description.

Not for storing passwords: it is what the device demands on the wire.
"""

import hashlib
from typing import Final

_ALPHABET: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ROUNDS: Final = 1_000
_MAX_SALT_CHARS: Final = 8
_ORDER: Final = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))


def md5crypt(password: str, salt: str) -> str:
    """The 22 characters after `$1$salt$`."""
    secret, seasoning = password.encode(), salt[:_MAX_SALT_CHARS].encode()
    digest = _md5(secret + b"$1$" + seasoning + _mixed(secret, seasoning))
    for turn in range(_ROUNDS):
        digest = _md5(_turn(turn, secret, seasoning, digest))
    return _text(digest)


def _mixed(secret: bytes, seasoning: bytes) -> bytes:
    alternate = _md5(secret + seasoning + secret)
    length = len(secret)
    mixed = (alternate * (length // 16 + 1))[:length]
    bits = length
    while bits:
        mixed += b"\x00" if bits & 1 else secret[:1]
        bits >>= 1
    return mixed


def _turn(turn: int, secret: bytes, seasoning: bytes, digest: bytes) -> bytes:
    odd = turn & 1
    parts = secret if odd else digest
    parts += seasoning if turn % 3 else b""
    parts += secret if turn % 7 else b""
    return parts + (digest if odd else secret)


def _text(digest: bytes) -> str:
    text = ""
    for high, middle, low in _ORDER:
        text += _base64(digest[high] << 16 | digest[middle] << 8 | digest[low], 4)
    return text + _base64(digest[11], 2)


def _base64(value: int, characters: int) -> str:
    text = ""
    for _ in range(characters):
        text += _ALPHABET[value & 0x3F]
        value >>= 6
    return text


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
