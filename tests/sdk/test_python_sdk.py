"""The official Python SDK against a running vault: one journey, on every surface that the SDK has.

Nothing of a client is changed but the base URL of a domain, such as `client.chat.base_url`. `tests/sdk/run` starts the
vault and says in the environment where it is and who may call.
"""

import json
import os
import re
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import twilio
from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

ORIGIN = os.environ["PUSHVAULT_URL"]
ACCOUNT_SID = os.environ["TWILIO_ACCOUNT_SID"]
AUTH_TOKEN = os.environ["TWILIO_AUTH_TOKEN"]
API_KEY_SID = os.environ["PUSHVAULT_API_KEY_SID"]
API_KEY_SECRET = os.environ["PUSHVAULT_API_KEY_SECRET"]

DATA = Path(__file__).parent.parent / "data"
# Certificate and key with the text that openssl writes around them, as people paste it.
APNS_PAIR = (DATA / "apns-pair.pem").read_text(encoding="ascii")
# What Google's console hands out, around a key that is in the repository for everybody to read.
SERVICE_ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "project_id": "example-app",
        "private_key_id": 40 * "0",
        "private_key": (DATA / "rsa-pkcs1-key.pem").read_text(encoding="ascii"),
        "client_email": "push+test@example-app.iam.gserviceaccount.com",
        "client_id": 21 * "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    },
    indent=2,
)
NOBODY = "CR" + 32 * "0"
FIELDS = ("sid", "account_sid", "friendly_name", "type", "sandbox", "date_created", "date_updated")


class Surface(NamedTuple):
    domain: str
    version: str
    prefix: str
    max_page_size: int = 1000

    @property
    def path(self):
        return f"{self.prefix}/{self.version}/Credentials"

    @property
    def url(self):
        return ORIGIN + self.path

    def client(self, user_name=ACCOUNT_SID, password=AUTH_TOKEN):
        client = Client(user_name, password, account_sid=ACCOUNT_SID)
        getattr(client, self.domain).base_url = ORIGIN + self.prefix
        return client

    def credentials(self, *caller):
        return getattr(getattr(self.client(*caller), self.domain), self.version).credentials


SURFACES = (
    Surface("chat", "v1", "/chat"),
    Surface("chat", "v2", "/chat"),
    Surface("ip_messaging", "v1", "/ip-messaging"),
    Surface("ip_messaging", "v2", "/ip-messaging"),
    Surface("notify", "v1", "/notify"),
    Surface("conversations", "v1", "/conversations", max_page_size=100),
)
# On a bare origin, as the README has it, /v2 is chat and /v1 is notify.
BARE = (Surface("chat", "v2", ""), Surface("notify", "v1", ""))


def sids(found):
    return [credential.sid for credential in found]


class Vault(unittest.TestCase):
    """What the tests below share: an empty vault before each, and the SDK's errors in full."""

    def setUp(self):
        self.addCleanup(self.delete_all)
        self.assertEqual(SURFACES[0].credentials().list(), [], "an earlier test left credentials")

    def delete_all(self):
        for credential in SURFACES[0].credentials().list():
            credential.delete()

    def assert_refused(self, status, code, message, call, *arguments, **parameters):
        """The SDK raises an error with this status and code, whose text is what was tried and then the vault's own."""
        with self.assertRaises(TwilioRestException) as caught:
            call(*arguments, **parameters)
        error = caught.exception
        self.assertEqual((error.status, error.code), (status, code), error.msg)
        self.assertRegex(error.msg, f"^Unable to (create|fetch|update|delete) record: {re.escape(message)}")
        return error

    def assert_not_found(self, surface, sid, call, **parameters):
        message = f"The requested resource {surface.path}/{sid} was not found"
        error = self.assert_refused(404, 20404, message, call, **parameters)
        self.assertTrue(error.msg.endswith(message), error.msg)


class Journey:
    """What a client does on one surface. The classes that are made from this one say on which, and who calls."""

    surface = None
    caller = (ACCOUNT_SID, AUTH_TOKEN)

    def setUp(self):
        super().setUp()
        self.credentials = self.surface.credentials(*self.caller)

    def fcm(self, name):
        return self.credentials.create(type="fcm", friendly_name=name, secret=SERVICE_ACCOUNT)

    def apn(self, name):
        return self.credentials.create(
            type="apn", friendly_name=name, certificate=APNS_PAIR, private_key=APNS_PAIR, sandbox=True
        )

    def assert_url_of_page(self, url, page_size, page):
        self.assertRegex(
            url, rf"^{re.escape(self.surface.url)}\?PageSize={page_size}&Page={page}&PageToken=[A-Za-z0-9_-]+$"
        )

    def test_create_apn_with_a_real_pair(self):
        before = datetime.now(timezone.utc) - timedelta(seconds=2)
        created = self.apn("Größe & +1")
        self.assertRegex(created.sid, "^CR[0-9a-f]{32}$")
        self.assertEqual(created.account_sid, ACCOUNT_SID)
        self.assertEqual((created.type, created.friendly_name, created.sandbox), ("apn", "Größe & +1", "True"))
        self.assertEqual(created.url, f"{self.surface.url}/{created.sid}")
        # A date that the SDK cannot read stays a text.
        self.assertIsInstance(created.date_created, datetime)
        self.assertLess(before, created.date_created)
        self.assertLess(created.date_created, before + timedelta(minutes=1))
        self.assertEqual(created.date_updated, created.date_created)

    def test_create_gcm_with_an_api_key(self):
        created = self.credentials.create(type="gcm", api_key="canary-key")
        self.assertEqual((created.type, created.friendly_name, created.sandbox), ("gcm", None, "False"))
        self.assertEqual(created.url, f"{self.surface.url}/{created.sid}")
        self.assertNotIn("canary", repr(vars(created)))

    def test_create_fcm_with_a_service_account(self):
        created = self.fcm("app")
        self.assertEqual((created.type, created.friendly_name, created.sandbox), ("fcm", "app", "False"))
        self.assertEqual(created.url, f"{self.surface.url}/{created.sid}")
        self.assertNotIn("PRIVATE KEY", repr(vars(created)))

    def test_fetch(self):
        created = self.apn("fetched")
        fetched = self.credentials(created.sid).fetch()
        for name in (*FIELDS, "url"):
            self.assertEqual(getattr(fetched, name), getattr(created, name), name)

    def test_list_over_several_pages(self):
        newest_first = [self.fcm(f"n{number}").sid for number in range(7)][::-1]
        self.assertEqual(sids(self.credentials.list()), newest_first)
        self.assertEqual(sids(self.credentials.list(page_size=2)), newest_first)
        self.assertEqual(sids(self.credentials.list(limit=5, page_size=2)), newest_first[:5])
        self.assertEqual(sids(self.credentials.list(limit=3)), newest_first[:3])
        self.assertEqual(sids(self.credentials.list(limit=5000)), newest_first)

    def test_stream(self):
        newest_first = [self.fcm(f"n{number}").sid for number in range(5)][::-1]
        self.assertEqual(sids(self.credentials.stream(page_size=3)), newest_first)
        stream = self.credentials.stream(limit=4, page_size=1)
        self.assertEqual(next(stream).sid, newest_first[0])
        self.assertEqual(sids(stream), newest_first[1:4])

    def test_pages_forward_and_back(self):
        newest_first = [self.fcm(f"n{number}").sid for number in range(5)][::-1]
        first = self.credentials.page(page_size=2)
        first_next = first.next_page_url
        self.assertEqual(sids(first), newest_first[:2])
        self.assertIsNone(first.previous_page_url)
        self.assert_url_of_page(first_next, page_size=2, page=1)
        second = first.next_page()
        self.assertEqual(sids(second), newest_first[2:4])
        self.assert_url_of_page(second.next_page_url, page_size=2, page=2)
        self.assert_url_of_page(second.previous_page_url, page_size=2, page=0)
        third = second.next_page()
        self.assertEqual(sids(third), newest_first[4:])
        self.assertIsNone(third.next_page_url)
        self.assertIsNone(third.next_page())
        back = third.previous_page()
        self.assertEqual(sids(back), newest_first[2:4])
        self.assertEqual(sids(back.previous_page()), newest_first[:2])
        # A page asked for by its address, as a program does that keeps it between two runs; and by what is in it.
        self.assertEqual(sids(self.credentials.get_page(first_next)), newest_first[2:4])
        token = first_next.partition("PageToken=")[2]
        again = self.credentials.page(page_size=2, page_number=1, page_token=token)
        self.assertEqual(sids(again), newest_first[2:4])

    def test_meta_of_an_empty_list(self):
        answer = self.surface.client(*self.caller).request("GET", self.surface.url)
        first = f"{self.surface.url}?PageSize=50&Page=0"
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(
            json.loads(answer.text),
            {
                "credentials": [],
                "meta": {
                    "page": 0,
                    "page_size": 50,
                    "first_page_url": first,
                    "previous_page_url": None,
                    "url": first,
                    "next_page_url": None,
                    "key": "credentials",
                },
            },
        )

    def test_update(self):
        created = self.apn("before")
        updated = created.update(friendly_name="after", sandbox=False)
        self.assertEqual((updated.sid, updated.type, updated.url), (created.sid, "apn", created.url))
        self.assertEqual((updated.friendly_name, updated.sandbox), ("after", "False"))
        self.assertIsInstance(updated.date_updated, datetime)
        self.assertGreaterEqual(updated.date_updated, created.date_created)
        self.assertEqual(updated.date_created, created.date_created)
        renewed = self.credentials(created.sid).update(certificate=APNS_PAIR, private_key=APNS_PAIR)
        self.assertEqual((renewed.friendly_name, renewed.sandbox), ("after", "False"))
        self.assertIsNone(self.credentials(created.sid).update(friendly_name="").friendly_name)
        unchanged = self.credentials(created.sid).update()
        self.assertEqual((unchanged.friendly_name, unchanged.sandbox), (None, "False"))

    def test_update_of_the_other_secrets(self):
        for kind, secret in ("fcm", "secret"), ("gcm", "api_key"):
            created = self.credentials.create(type=kind, **{secret: "first"})
            updated = created.update(**{secret: SERVICE_ACCOUNT})
            self.assertEqual((updated.sid, updated.type), (created.sid, kind))

    def test_delete(self):
        created = self.fcm("deleted")
        # The SDK answers the body, if there is one, and True only if there is none.
        self.assertIs(created.delete(), True)
        self.assert_not_found(self.surface, created.sid, self.credentials(created.sid).fetch)
        self.assert_not_found(self.surface, created.sid, created.delete)
        self.assertEqual(self.credentials.list(), [])

    def test_what_does_not_exist(self):
        for sid in (NOBODY, "no-sid"):
            self.assert_not_found(self.surface, sid, self.credentials(sid).fetch)
            self.assert_not_found(self.surface, sid, self.credentials(sid).update, friendly_name="x")
            self.assert_not_found(self.surface, sid, self.credentials(sid).delete)

    def test_bad_parameters_are_named(self):
        create = self.credentials.create
        invalid = "Invalid value for parameter"
        missing = "Missing required parameter Type in the post body"
        self.assert_refused(400, 20001, missing, create, type=values.unset, secret="canary")
        self.assert_refused(400, 20001, f"{invalid} Type: ", create, type="wns")
        self.assert_refused(400, 20001, f"{invalid} FriendlyName: ", create, type="fcm", friendly_name=65 * "n")
        self.assert_refused(400, 20001, f"{invalid} Secret: ", create, type="apn", secret="canary")
        unread = {"type": "apn", "certificate": "canary", "private_key": APNS_PAIR}
        error = self.assert_refused(400, 20001, "Could not parse certificate", create, **unread)
        self.assertNotIn("canary", error.msg)
        self.assertEqual(self.credentials.list(), [])

    def test_a_wrong_secret(self):
        created = self.fcm("untouched")
        wrong = self.surface.credentials(self.caller[0], 32 * "x")
        self.assert_refused(401, 20003, "Authenticate", wrong.create, type="fcm", secret="s")
        for call in (wrong(created.sid).fetch, wrong(created.sid).update, wrong(created.sid).delete):
            self.assert_refused(401, 20003, "Authenticate", call)
        # For a list the SDK has only the plainer of its two errors, with the answer as its text.
        for call in (wrong.list, wrong.page):
            with self.assertRaises(TwilioException) as caught:
                call()
            self.assertRegex(str(caught.exception), re.compile("Unable to fetch page.*401.*20003", re.DOTALL))
        self.assertEqual(sids(self.credentials.list()), [created.sid])


class OneStore(Vault):
    """What is behind the surfaces is one and the same."""

    def test_the_table_has_every_surface_of_the_sdk(self):
        files = (Path(twilio.__file__).parent / "rest").glob("*/v*/credential.py")
        of_the_sdk = {file.parts[-3:-1] for file in files}
        self.assertEqual({(surface.domain, surface.version) for surface in SURFACES}, of_the_sdk)

    def test_what_is_made_on_one_surface_is_read_and_changed_on_every_other(self):
        for maker in SURFACES + BARE:
            created = maker.credentials().create(type="gcm", friendly_name=maker.domain, api_key="k")
            for reader in SURFACES + BARE:
                fetched = reader.credentials()(created.sid).fetch()
                for name in FIELDS:
                    self.assertEqual(getattr(fetched, name), getattr(created, name), (maker, reader, name))
                self.assertEqual(fetched.url, f"{reader.url}/{created.sid}")
                listed = reader.credentials().list()
                self.assertEqual([(row.sid, row.url) for row in listed], [(created.sid, fetched.url)])
                updated = reader.credentials()(created.sid).update(friendly_name=reader.path)
                self.assertEqual(maker.credentials()(created.sid).fetch().friendly_name, reader.path)
                created = updated
            self.assertTrue(BARE[0].credentials()(created.sid).delete())
            for reader in SURFACES + BARE:
                self.assert_not_found(reader, created.sid, reader.credentials()(created.sid).fetch)

    def test_what_a_key_makes_belongs_to_the_account(self):
        by_key = SURFACES[0].credentials(API_KEY_SID, API_KEY_SECRET)
        created = by_key.create(type="fcm", friendly_name="of the account", secret="s")
        self.assertEqual(created.account_sid, ACCOUNT_SID)
        self.assertEqual(SURFACES[0].credentials()(created.sid).fetch().friendly_name, "of the account")

    def test_a_page_holds_no_more_than_its_surface_allows(self):
        create = SURFACES[0].credentials().create
        newest_first = [create(type="gcm", api_key="k").sid for _ in range(101)][::-1]
        for surface in SURFACES + BARE:
            with self.subTest(surface=surface):
                # The SDK asks for pages as large as its limit; it is for the vault to make less of it.
                self.assertEqual(sids(surface.credentials().list(limit=5000)), newest_first)
                self.assertEqual(sids(surface.credentials().list(limit=101)), newest_first)
                page = surface.credentials().page(page_size=5000)
                self.assertEqual(sids(page), newest_first[: surface.max_page_size])
                answer = surface.client().request("GET", f"{surface.url}?PageSize=5000")
                meta = json.loads(answer.text)["meta"]
                self.assertEqual(meta["page_size"], surface.max_page_size)
                self.assertEqual(meta["url"], f"{surface.url}?PageSize={surface.max_page_size}&Page=0")

    def test_the_shortcuts_without_a_version_still_lead_here(self):
        for domain, version in ("chat", "v2"), ("ip_messaging", "v2"), ("notify", "v1"), ("conversations", "v1"):
            surface = next(surface for surface in SURFACES if surface[:2] == (domain, version))
            with self.assertWarns(DeprecationWarning):
                credentials = getattr(surface.client(), domain).credentials
            created = credentials.create(type="gcm", api_key="k")
            self.assertEqual(created.url, f"{surface.url}/{created.sid}")
            self.assertEqual(sids(credentials.list()), [created.sid])
            self.assertTrue(credentials(created.sid).delete())


def make_journey(name, surface, caller=Journey.caller):
    """Puts a class into this module, where unittest finds it by its name."""
    globals()[name] = type(name, (Journey, Vault), {"surface": surface, "caller": caller})


for row in SURFACES:
    make_journey(f"On_{row.domain}_{row.version}", row)
for row in BARE:
    make_journey(f"On_a_bare_{row.version}", row)
make_journey("By_an_API_key", SURFACES[1], (API_KEY_SID, API_KEY_SECRET))

if __name__ == "__main__":
    unittest.main(verbosity=2)
