"""One record sealed as docs/formats/secured-model-v1.md says, written from that page alone. Prints the document and its terms."""
import base64, datetime, hashlib, hmac, json, uuid
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

INDEX, DATA = bytes(range(0, 32)), bytes(range(32, 64))
STORE, KIND, ID, BOUND, KEY, MODEL = "store-1", "secret", "0a1b2c", b"\1\2\3", "k1", "head"


def parts(*items):
    encoded = [item if isinstance(item, bytes) else item.encode() for item in items]
    return b"".join(len(item).to_bytes(4, "big") + item for item in encoded)


def keyed(*items):
    return hmac.new(INDEX, parts(*items), hashlib.sha256).digest()[:16]


def field_id(name):
    value = bytearray(keyed("mallku/v1/field-uuid", MODEL, name))
    value[6], value[8] = value[6] & 0x0F | 0x80, value[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(value))


def ordered(number):
    return format((number + (1 << 63)) % (1 << 64), "016x")


def ticks(time):
    delta = datetime.datetime.fromisoformat(time) - datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc)
    return (delta.days * 86400 + delta.seconds) * 10**7 + delta.microseconds * 10


LARGEST = 3650 * 86400 * 10**7
OFFSET = int.from_bytes(keyed("mallku/v1/time-offset"), "big") % (2 * LARGEST + 1) - LARGEST
nonces = iter(range(1, 100))


def seal(plaintext, *belonging):
    nonce = next(nonces).to_bytes(12, "big")
    return base64.b64encode(nonce + AESGCM(DATA).encrypt(nonce, plaintext, b"".join(belonging))).decode()


def belonging(label, member):
    return parts(label, STORE, KIND, ID, BOUND, member, KEY)


def canonical(value):
    if isinstance(value, dict):
        return parts("{%d" % len(value)) + b"".join(parts(name) + canonical(value[name]) for name in sorted(value))
    if isinstance(value, str):
        return parts('"' + value)
    digits = str(value).rstrip("0")
    return parts("#%se%d" % (digits, len(str(value)) - len(digits)))


def encrypted(name, json_text):
    member = str(field_id(name))
    document[member] = seal(json_text.encode(), belonging("mallku/v1/secured-field", member))


def blind(label, *items):
    return keyed(label, *items).hex()


document = {"$format": 1, "$key": KEY}
encrypted("name", '"openai_api_key"')
encrypted("owner", '"ana \\u2602"')
encrypted("reviewer", '"ana \\u2602"')
document[str(field_id("generation"))] = 7
created = ordered(ticks("2026-11-24T10:00:00+00:00") + OFFSET)
document[str(field_id("created"))] = created
encrypted("due", '"2026-12-24T00:00:00+00:00"')
encrypted("size", "-3")
document["engine"] = "postgres ü"
document["share"] = 1500
encrypted("plan", '{"rotator":"generate","grace":86400}')
document["$seal"] = seal(b"", belonging("mallku/v1/secured-document", ""), canonical(document))

day = 86400 * 10**7
person = blind("mallku/v1/index-deterministic", "people", "text", "ana ☂")
ids = {name: field_id(name).hex for name in ("name", "owner", "reviewer", "generation", "created", "due", "size")}
terms = [
    ids["name"] + "." + blind("mallku/v1/index-blind", ids["name"], "text", "openai_api_key"),
    ids["owner"] + "." + person,
    ids["reviewer"] + "." + person,
    ids["generation"] + "." + ordered(7),
    ids["created"] + "." + created,
    ids["due"] + "." + blind("mallku/v1/index-bucket", ids["due"], str(day), str(ticks("2026-12-24T00:00:00+00:00") // day)),
    ids["size"] + "." + blind("mallku/v1/index-bucket", ids["size"], "10", str(-3 // 10)),
]
print(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
print("\n".join(terms))
