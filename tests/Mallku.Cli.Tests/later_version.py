"""Adds an entry of a kind that nobody knows to a vault's ledger, by nothing but docs/formats/ledger-v1.md."""

import base64
import hashlib
import json
import os
import sys

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\x01", root(leaves[:half]), root(leaves[half:]))


def right_edge(leaves):
    whole = []
    while leaves:
        size = 1 << (len(leaves).bit_length() - 1)
        whole.append(root(leaves[:size]))
        leaves = leaves[size:]
    return whole


def text(raw):
    return base64.b64encode(raw).decode()


folder, kind = sys.argv[1:]
with open(f"{folder}/.encryption.key") as file:
    key = Fernet(file.read())
with open(f"{folder}/mallku-secrets.json.encrypted", "rb") as file:
    link = json.loads(key.decrypt(file.read()))["$mallku"]["ledger"]

segment = f"{folder}/ledger/{0:020}.jsonl"
with open(segment, "rb") as file:
    lines = file.read().splitlines()
leaves = [sha256(b"\x00", line) for line in lines]
entry = {
    "index": len(lines),
    "previous": text(leaves[-1]),
    "time": "2026-11-24T19:52:25.403Z",
    "kind": kind,
    "secret": "a",
    "strands": [1, {"of": 2}],
    "actor": {"user": "ana", "host": "mercury", "process": "later", "pid": 1, "shift": "night"},
    "count": 3,
}
line = json.dumps(entry, separators=(",", ":")).encode()
leaves.append(sha256(b"\x00", line))
with open(segment, "ab") as file:
    file.write(line + b"\n")

with open(f"{folder}/ledger/checkpoint") as file:
    step = file.read().split("\n")[3].split(" ")[3:5]
edge = [text(node) for node in right_edge(leaves)]
extension = ["mallku-ledger/v1", "0", str(os.path.getsize(segment)), *step, text(leaves[-1]), *edge]
origin = link["origin"]
note = f"{origin}\n{len(leaves)}\n{text(root(leaves))}\n{' '.join(extension)}\n"
signer = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(link["seed"]))
public = signer.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
key_id = sha256(origin.encode(), b"\n\x01", public)[:4]
with open(f"{folder}/ledger/checkpoint", "w") as file:
    file.write(f"{note}\n\u2014 {origin} {text(key_id + signer.sign(note.encode()))}\n")
