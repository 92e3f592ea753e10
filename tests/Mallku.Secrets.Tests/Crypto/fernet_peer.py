"""The Python side of FernetPythonTests: a request on each line, its answer on each line.

Keys and tokens stand as they are; plaintexts are base64.
"""
import base64
import sys

from cryptography.fernet import Fernet, InvalidToken


def answer(verb, key, text):
    fernet = Fernet(key)
    if verb == "encrypt":
        return fernet.encrypt(base64.b64decode(text)).decode()
    try:
        return base64.b64encode(fernet.decrypt(text)).decode()
    except InvalidToken:
        return "refused"


for line in sys.stdin:
    print(answer(*line.rstrip("\n").split(" ")), flush=True)
