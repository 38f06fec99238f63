"""Curl lines in the form that Twilio publishes, run as they stand against a running vault with only the host changed.

Each product's lines are run twice: with its name as a path prefix, and with its name as the first label of the host
(curl takes every name under `localhost` to this machine). `tests/sdk/run` starts the vault and says in the environment
where it is and who may call.
"""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path
from urllib.parse import urlsplit

ORIGIN = os.environ["PUSHVAULT_URL"]
ACCOUNT_SID = os.environ["TWILIO_ACCOUNT_SID"]
PUBLISHED = Path(__file__).parent / "published-curl.txt"
# What the pages print where a reader puts a SID of his own.
PLACEHOLDER = "CR" + 32 * "a"
# The versions of the pages, and the name that the update on the page leaves behind.
PRODUCTS = {"chat": ("v2", "FriendlyName"), "notify": ("v1", "FriendlyName"), "conversations": ("v1", None)}


def commands_of(product):
    blocks = PUBLISHED.read_text(encoding="ascii").split("\n\n")
    return [block for block in blocks if f"https://{product}.twilio.com" in block]


def by_path_prefix(product):
    return f"{ORIGIN}/{product}"


def by_label_of_the_host(product):
    return f"http://{product}.localhost:{urlsplit(ORIGIN).port}"


class PublishedLines(unittest.TestCase):
    def setUp(self):
        # The lines print no status, so curl is asked for it by its own settings file.
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        settings = 'silent\nshow-error\nwrite-out = "\\n%{http_code}"\n'
        (Path(place.name) / ".curlrc").write_text(settings, encoding="ascii")
        self.environment = {**os.environ, "CURL_HOME": place.name}

    def run_line(self, command, expected_status):
        done = subprocess.run(
            ["sh", "-c", command], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stderr}")
        body, _, status = done.stdout.rpartition("\n")
        self.assertEqual(int(status), expected_status, f"{command}\n{body}")
        return json.loads(body) if body else None

    def run_page(self, product, base):
        """Runs a page's five lines in their order, as a reader does who puts the SID in that the first one answered."""
        version, name = PRODUCTS[product]
        published = commands_of(product)
        self.assertEqual(len(published), 5)
        commands = [line.replace(f"https://{product}.twilio.com", base) for line in published]
        self.assertNotIn("twilio.com", "".join(commands))
        create, *others = commands

        created = self.run_line(create, 201)
        sid = created["sid"]
        self.assertRegex(sid, "^CR[0-9a-f]{32}$")
        url = f"{base}/{version}/Credentials/{sid}"
        self.assertEqual(
            {key: created[key] for key in ("account_sid", "friendly_name", "type", "sandbox", "url")},
            {"account_sid": ACCOUNT_SID, "friendly_name": None, "type": "apn", "sandbox": "False", "url": url},
        )
        fetch, read, update, delete = [line.replace(PLACEHOLDER, sid) for line in others]

        self.assertEqual(self.run_line(fetch, 200), created)

        page = self.run_line(read, 200)
        first = f"{base}/{version}/Credentials?PageSize=20&Page=0"
        self.assertEqual(page["credentials"], [created])
        self.assertEqual(page["meta"]["page_size"], 20)
        self.assertEqual((page["meta"]["url"], page["meta"]["first_page_url"]), (first, first))
        self.assertIsNone(page["meta"]["next_page_url"])

        updated = self.run_line(update, 200)
        self.assertEqual((updated["sid"], updated["url"], updated["friendly_name"]), (sid, url, name))

        self.assertIsNone(self.run_line(delete, 204))
        gone = self.run_line(fetch, 404)
        self.assertEqual(gone["code"], 20404)

    def test_with_the_product_as_a_path_prefix(self):
        for product in PRODUCTS:
            with self.subTest(product=product):
                self.run_page(product, by_path_prefix(product))

    def test_with_the_product_as_the_first_label_of_the_host(self):
        for product in PRODUCTS:
            with self.subTest(product=product):
                self.run_page(product, by_label_of_the_host(product))

    def test_the_lines_with_the_placeholder_as_it_is(self):
        for product, (version, _) in PRODUCTS.items():
            base = by_path_prefix(product)
            for line in commands_of(product):
                if PLACEHOLDER in line:
                    answer = self.run_line(line.replace(f"https://{product}.twilio.com", base), 404)
                    path = f"{urlsplit(base).path}/{version}/Credentials/{PLACEHOLDER}"
                    self.assertEqual(answer["message"], f"The requested resource {path} was not found")

    def test_every_line_of_the_file_is_run(self):
        lines = re.findall(r"^curl ", PUBLISHED.read_text(encoding="ascii"), re.MULTILINE)
        self.assertEqual(len(lines), sum(len(commands_of(product)) for product in PRODUCTS))


if __name__ == "__main__":
    unittest.main(verbosity=2)
