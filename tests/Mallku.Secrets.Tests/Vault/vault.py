"""A plain Python program that keeps its secrets in the folder, as the Python system does.

    vault.py write FOLDER               the JSON object on stdin, over whatever was there
    vault.py read FOLDER                the JSON object to stdout
    vault.py secret-file FOLDER NAME    the JSON value on stdin, into NAME.secret
    vault.py update FOLDER              loads key and object once; then for each line on stdin
                                        {"set": {...}, "remove": [...]} writes what it remembers
"""
import json
import os
import sys

from cryptography.fernet import Fernet

command, folder = sys.argv[1:3]
vault = os.path.join(folder, "mallku-secrets.json.encrypted")
key_file = os.path.join(folder, ".encryption.key")


def store(path, content):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o600)


def load_fernet():
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if not os.path.exists(key_file):
        store(key_file, Fernet.generate_key())
    with open(key_file, "rb") as file:
        return Fernet(file.read())


def dump(path, value):
    store(path, fernet.encrypt(json.dumps(value).encode()))


def load():
    with open(vault, "rb") as file:
        return json.loads(fernet.decrypt(file.read()))


fernet = load_fernet()
if command == "write":
    dump(vault, json.load(sys.stdin))
elif command == "read":
    print(json.dumps(load()))
elif command == "secret-file":
    dump(os.path.join(folder, sys.argv[3] + ".secret"), json.load(sys.stdin))
elif command == "update":
    remembered = load()
    print("loaded", flush=True)
    for line in sys.stdin:
        change = json.loads(line)
        remembered.update(change.get("set", {}))
        for name in change.get("remove", []):
            del remembered[name]
        dump(vault, remembered)
        print("written", flush=True)
else:
    sys.exit("no such command: " + command)
