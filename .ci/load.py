"""Sends creates and reads to a vault for as long as a file says, and then looks for every credential that was acknowledged.

    load.py ORIGIN CURL_SETTINGS PROGRESS STOP PATIENCE_S

CURL_SETTINGS holds `user = "SID:TOKEN"`. PROGRESS gets a line for each acknowledged create. The load ends when the file STOP
is there, or after three minutes or 4000 creates, whichever comes first. A request that got no answer, or 502, 503 or 504, is sent
again, a create with its Idempotency-Key: once at least, and for so many seconds. What fails to the end fails the run.
"""

import base64
import http.client
import json
import os
import sys
import threading
import time
import urllib.parse
import uuid

CALLERS = 4
MOST_CREATES = 4000
LONGEST_S = 180
# Both together stay below what one replica lets one account do in a second.
PAUSE_S = 0.04


class Load:
    """What the callers share."""

    def __init__(self, origin, settings, progress, stop, patience_s):
        self.address = urllib.parse.urlsplit(origin).netloc
        with open(settings, encoding="utf-8") as file:
            user = file.read().split('"')[1]
        self.authorization = "Basic " + base64.b64encode(user.encode()).decode()
        self.progress = open(progress, "w", encoding="utf-8", buffering=1)
        self.stop = stop
        self.patience_s = float(patience_s)
        self.deadline = time.monotonic() + LONGEST_S
        self.lock = threading.Lock()
        self.acknowledged = set()
        self.sent_again = 0
        self.failures = []

    def goes_on(self):
        with self.lock:
            enough = len(self.acknowledged) >= MOST_CREATES or self.failures
        return not enough and not os.path.exists(self.stop) and time.monotonic() < self.deadline

    def created(self, sid):
        with self.lock:
            self.acknowledged.add(sid)
            self.progress.write(sid + "\n")


def attempt(load, method, path, body, headers):
    """One request on a connection of its own: the status and the body, or why there is none."""
    connection = http.client.HTTPConnection(load.address, timeout=15)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return None, type(error).__name__.encode()
    finally:
        connection.close()


def request(load, method, path, expected, fields=None):
    """The body of the answer, or None if the last try failed too."""
    headers = {"Authorization": load.authorization}
    body = None
    if fields is not None:
        body = urllib.parse.urlencode(fields)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Idempotency-Key"] = str(uuid.uuid4())
    end, tries = time.monotonic() + load.patience_s, 0
    while True:
        status, answer = attempt(load, method, path, body, headers)
        tries += 1
        if status == expected:
            return json.loads(answer)
        is_over = tries > 1 and time.monotonic() > end
        if is_over or status not in (None, 502, 503, 504):
            with load.lock:
                load.failures.append(f"{method} {path.split('?')[0]}: {status} {answer[:200]!r}")
            return None
        with load.lock:
            load.sent_again += 1
        time.sleep(PAUSE_S)


def call(load):
    while load.goes_on():
        created = request(
            load, "POST", "/v2/Credentials", 201, {"Type": "fcm", "FriendlyName": "load", "Secret": "load"}
        )
        if created:
            load.created(created["sid"])
            request(load, "GET", "/v2/Credentials/" + created["sid"], 200)
        time.sleep(PAUSE_S)


def stored(load):
    """The SIDs of all credentials named `load`, page by page, or None."""
    found, page = set(), 0
    path = "/v2/Credentials?PageSize=100"
    while path:
        document = request(load, "GET", path, 200)
        if document is None or page > MOST_CREATES:
            return None
        found |= {one["sid"] for one in document["credentials"] if one["friendly_name"] == "load"}
        following = document["meta"]["next_page_url"]
        path = following and following[following.index("/v2/") :]
        page += 1
    return found


def main():
    load = Load(*sys.argv[1:])
    callers = [threading.Thread(target=call, args=(load,)) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    found = stored(load)
    lost = load.acknowledged - (found or set())
    besides = (found or set()) - load.acknowledged
    print(
        f"{len(load.acknowledged)} creates acknowledged and read, {load.sent_again} requests sent again, "
        f"{len(load.failures)} failed, {len(lost)} lost, {len(besides)} made besides"
    )
    for failure in load.failures[:10]:
        print(failure)
    return 1 if load.failures or lost or besides or not load.acknowledged else 0


if __name__ == "__main__":
    sys.exit(main())
