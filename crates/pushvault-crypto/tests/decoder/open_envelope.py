#!/usr/bin/env python3
"""Opens the frozen envelopes of format 1 without a line of pushvault's own code.

Written from docs/crypto.md, with the Python package `cryptography` (45 or newer) for the primitives:

    pip install cryptography
    python3 open_envelope.py [FILE.json | DIRECTORY]...

Without arguments it reads ../data. For every file it recomputes the id of the root key and the digest
of the envelope, unwraps the account key and opens the envelope. A file must give exactly the
plaintexts it names, and one whose name begins with `fail_` exactly the error it names. The exit code
is 0 if all did, and 1 otherwise.
"""

import hashlib
import hmac
import json
import pathlib
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = 1
SUITE = 1
STEP = 4096
MAX_PADDED_LENGTH = 16 * STEP
COLUMNS = ("certificate", "private_key", "api_key", "secret")


class Refused(Exception):
    """An envelope that does not open; its text is the name of the error."""


def field(data: bytes) -> bytes:
    return struct.pack(">Q", len(data)) + data


def fields(*items) -> bytes:
    return b"".join(field(item.encode() if isinstance(item, str) else item) for item in items)


def u32(number: int) -> bytes:
    return struct.pack(">I", number)


def hkdf(key: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=None, info=info).derive(key)


def kek_id(kek: bytes) -> str:
    return "kek_" + hkdf(kek, fields("pushvault/v1/kek-id"), 8).hex()


def gcm_open(key: bytes, aad: bytes, sealed: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)
    except InvalidTag:
        raise Refused("Authentication") from None


def unwrap_account_key(vector: dict) -> bytes:
    kek = bytes.fromhex(vector["kek"])
    account_key = vector["account_key"]
    wrapped = bytes.fromhex(account_key["wrapped"])
    if len(wrapped) != 60:
        raise Refused("MalformedWrappedKey")
    aad = fields(
        "pushvault/v1/account-key",
        bytes.fromhex(vector["context"]["deployment_id"]),
        account_key["account_sid"],
        u32(account_key["version"]),
        kek_id(kek),
    )
    return gcm_open(kek, aad, wrapped)


def parse_header(header: bytes):
    if len(header) < 4 or header[:2] != b"PV":
        raise Refused("MalformedEnvelope")
    if header[2:4] != bytes([FORMAT, SUITE]):
        raise Refused("UnsupportedFormat")
    if len(header) != 100:
        raise Refused("MalformedEnvelope")
    return header[4:8], header[8:68], header[68:100]


def unpad(padded: bytes) -> bytes:
    (length,) = struct.unpack(">I", padded[:4])
    expected = (4 + length + STEP - 1) // STEP * STEP
    if len(padded) != expected or any(padded[4 + length :]):
        raise Refused("MalformedEnvelope")
    return padded[4 : 4 + length]


def open_envelope(account_key: bytes, context: dict, header: bytes, columns: dict) -> dict:
    account_key_version, wrapped_dek, commitment = parse_header(header)
    for column in columns.values():
        if column is not None:
            padded_length = len(column) - 12 - 16
            if not 0 < padded_length <= MAX_PADDED_LENGTH or padded_length % STEP:
                raise Refused("MalformedEnvelope")
    binding = fields(
        "pushvault/v1/envelope",
        bytes([FORMAT]),
        bytes([SUITE]),
        bytes.fromhex(context["deployment_id"]),
        context["account_sid"],
        context["credential_sid"],
        context["push_service"],
        bytes([context["sandbox"]]),
        u32(context["version"]),
    )
    present = sum(1 << i for i, name in enumerate(COLUMNS) if columns[name] is not None)
    dek = gcm_open(account_key, binding + fields(account_key_version, "dek"), wrapped_dek)

    def derive(tag: str) -> bytes:
        return hkdf(dek, fields(tag) + binding + fields(bytes([present])), 32)

    if not hmac.compare_digest(derive("pushvault/v1/commitment"), commitment):
        raise Refused("WrongCommitment")
    key = derive("pushvault/v1/encryption-key")
    return {
        name: None if column is None else unpad(gcm_open(key, binding + fields(b"", name), column))
        for name, column in columns.items()
    }


def digest(header: bytes, columns: dict) -> str:
    data = fields("pushvault/v1/envelope-digest", header)
    for name in COLUMNS:
        data += b"\x00" if columns[name] is None else b"\x01" + field(columns[name])
    return hashlib.sha256(data).hexdigest()


def decoded(columns: dict) -> dict:
    if set(columns) != set(COLUMNS):
        raise ValueError("not the four columns")
    return {name: None if columns[name] is None else bytes.fromhex(columns[name]) for name in COLUMNS}


def check(path: pathlib.Path) -> str | None:
    """Returns what is wrong with a file, or nothing."""
    vector = json.loads(path.read_text(encoding="utf-8"))
    must_fail = path.name.startswith("fail_")
    if must_fail != (vector["error"] is not None) or must_fail != (vector["plaintexts"] is None):
        return "its name and its expectation disagree"
    header, columns = bytes.fromhex(vector["dek_envelope"]), decoded(vector["columns"])
    if kek_id(bytes.fromhex(vector["kek"])) != vector["kek_id"]:
        return "another key id"
    if digest(header, columns) != vector["digest"]:
        return "another digest"
    try:
        opened = open_envelope(unwrap_account_key(vector), vector["context"], header, columns)
    except Refused as refused:
        if str(refused) != vector["error"]:
            return f"{refused} instead of {vector['error'] or 'plaintexts'}"
        return None
    if must_fail:
        return f"it opened, and should have failed with {vector['error']}"
    return None if opened == decoded(vector["plaintexts"]) else "other plaintexts"


def main(arguments: list[str]) -> int:
    data = pathlib.Path(__file__).resolve().parent.parent / "data"
    paths = []
    for argument in map(pathlib.Path, arguments or [data]):
        paths += sorted(argument.glob("*.json")) if argument.is_dir() else [argument]
    wrong = 0
    for path in paths:
        problem = check(path)
        if problem is not None:
            wrong += 1
            print(f"{path.name}: {problem}")
    print(f"{len(paths)} files, {wrong} wrong")
    return 1 if wrong or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
