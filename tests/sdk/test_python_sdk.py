"""The official Python SDK against a running vault, with nothing set but `client.chat.base_url`.

`tests/sdk/run` starts the vault and says in the environment where it is and who may call.
"""

import json
import os
import re
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

URL = os.environ["PUSHVAULT_URL"]
ACCOUNT_SID = os.environ["TWILIO_ACCOUNT_SID"]
AUTH_TOKEN = os.environ["TWILIO_AUTH_TOKEN"]
API_KEY_SID = os.environ["PUSHVAULT_API_KEY_SID"]
API_KEY_SECRET = os.environ["PUSHVAULT_API_KEY_SECRET"]

DATA = Path(__file__).parent.parent / "data"
# Certificate and key with the text that openssl writes around them, as people paste it.
APNS_PAIR = (DATA / "apns-pair.pem").read_text(encoding="ascii")
SERVICE_ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "project_id": "example-app",
        "private_key": APNS_PAIR,
        "client_email": "push+test@example-app.iam.gserviceaccount.com",
    }
)
NOBODY = "CR" + 32 * "0"


def client_of(user_name, password):
    client = Client(user_name, password, account_sid=ACCOUNT_SID)
    client.chat.base_url = URL
    return client


class Resource:
    """What every caller can do. The classes below say who calls."""

    user_name = None
    password = None

    def setUp(self):
        self.credentials = client_of(self.user_name, self.password).chat.v2.credentials
        self.addCleanup(self.delete_all)

    def delete_all(self):
        for credential in self.credentials.list():
            credential.delete()

    def fcm(self, name):
        return self.credentials.create(type="fcm", friendly_name=name, secret="s")

    def assert_refused(self, status, code, call, *arguments, **parameters):
        with self.assertRaises(TwilioRestException) as caught:
            call(*arguments, **parameters)
        self.assertEqual((caught.exception.status, caught.exception.code), (status, code))
        return caught.exception.msg

    def test_apn_with_a_real_pair(self):
        before = datetime.now(timezone.utc) - timedelta(seconds=2)
        created = self.credentials.create(
            type="apn", friendly_name="Größe & +1", certificate=APNS_PAIR, private_key=APNS_PAIR, sandbox=True
        )
        self.assertRegex(created.sid, "^CR[0-9a-f]{32}$")
        self.assertEqual(created.account_sid, ACCOUNT_SID)
        self.assertEqual((created.type, created.friendly_name, created.sandbox), ("apn", "Größe & +1", "True"))
        self.assertEqual(created.url, f"{URL}/v2/Credentials/{created.sid}")
        # A date that the SDK cannot read stays a text.
        for date in (created.date_created, created.date_updated):
            self.assertIsInstance(date, datetime)
            self.assertLess(before, date)
            self.assertLess(date, before + timedelta(minutes=1))
        self.assertEqual(created.date_created, created.date_updated)

    def test_gcm_with_an_api_key(self):
        created = self.credentials.create(type="gcm", api_key="canary-key")
        self.assertEqual((created.type, created.friendly_name, created.sandbox), ("gcm", None, "False"))
        self.assertNotIn("canary", repr(vars(created)))

    def test_fcm_with_a_service_account(self):
        created = self.credentials.create(type="fcm", friendly_name="app", secret=SERVICE_ACCOUNT)
        self.assertEqual((created.type, created.friendly_name, created.sandbox), ("fcm", "app", "False"))

    def test_fetch(self):
        created = self.fcm("fetched")
        fetched = self.credentials(created.sid).fetch()
        for name in ("sid", "account_sid", "friendly_name", "type", "sandbox", "date_created", "date_updated", "url"):
            self.assertEqual(getattr(fetched, name), getattr(created, name), name)

    def test_an_empty_list(self):
        self.assertEqual(self.credentials.list(), [])

    def test_list_over_several_pages(self):
        newest_first = [self.fcm(f"n{number}").sid for number in range(7)][::-1]

        def sids(found):
            return [credential.sid for credential in found]

        self.assertEqual(sids(self.credentials.list()), newest_first)
        self.assertEqual(sids(self.credentials.list(page_size=2)), newest_first)
        self.assertEqual(sids(self.credentials.list(limit=5, page_size=2)), newest_first[:5])
        self.assertEqual(sids(self.credentials.list(limit=3)), newest_first[:3])
        self.assertEqual(sids(self.credentials.list(limit=5000)), newest_first)
        self.assertEqual(sids(self.credentials.stream(page_size=3)), newest_first)
        stream = self.credentials.stream(limit=4, page_size=1)
        self.assertEqual(next(stream).sid, newest_first[0])
        self.assertEqual(sids(stream), newest_first[1:4])

    def test_pages_forward_and_back(self):
        newest_first = [self.fcm(f"n{number}").sid for number in range(5)][::-1]
        first = self.credentials.page(page_size=2)
        first_url = first.next_page_url
        self.assertEqual([credential.sid for credential in first], newest_first[:2])
        second = first.next_page()
        self.assertEqual([credential.sid for credential in second], newest_first[2:4])
        third = second.next_page()
        self.assertEqual([credential.sid for credential in third], newest_first[4:])
        self.assertIsNone(third.next_page())
        back = third.previous_page()
        self.assertEqual([credential.sid for credential in back], newest_first[2:4])
        # A page asked for by its address, as a program does that keeps it between two runs.
        again = self.credentials.get_page(first_url)
        self.assertEqual([credential.sid for credential in again], newest_first[2:4])

    def test_update(self):
        created = self.credentials.create(
            type="apn", friendly_name="before", certificate=APNS_PAIR, private_key=APNS_PAIR
        )
        updated = created.update(friendly_name="after", sandbox=True)
        self.assertEqual((updated.sid, updated.type), (created.sid, "apn"))
        self.assertEqual((updated.friendly_name, updated.sandbox), ("after", "True"))
        self.assertIsInstance(updated.date_updated, datetime)
        self.assertGreaterEqual(updated.date_updated, created.date_updated)
        self.assertEqual(updated.date_created, created.date_created)
        renewed = self.credentials(created.sid).update(certificate=APNS_PAIR, private_key=APNS_PAIR)
        self.assertEqual((renewed.friendly_name, renewed.sandbox), ("after", "True"))
        self.assertEqual(self.credentials(created.sid).update(friendly_name="").friendly_name, None)

    def test_update_of_the_other_secrets(self):
        for parameters, secret in ({"type": "fcm"}, "secret"), ({"type": "gcm"}, "api_key"):
            created = self.credentials.create(**parameters, **{secret: "first"})
            updated = created.update(**{secret: SERVICE_ACCOUNT})
            self.assertEqual(updated.sid, created.sid)

    def test_delete(self):
        created = self.fcm("deleted")
        # The SDK answers the body, if there is one, and True only if there is none.
        self.assertIs(created.delete(), True)
        self.assert_refused(404, 20404, self.credentials(created.sid).fetch)
        self.assert_refused(404, 20404, created.delete)
        self.assertEqual(self.credentials.list(), [])

    def test_what_does_not_exist(self):
        message = self.assert_refused(404, 20404, self.credentials(NOBODY).fetch)
        self.assertIn(f"The requested resource /v2/Credentials/{NOBODY} was not found", message)
        self.assert_refused(404, 20404, self.credentials(NOBODY).update, friendly_name="x")
        self.assert_refused(404, 20404, self.credentials("no-sid").fetch)

    def test_bad_parameters_are_named(self):
        create = self.credentials.create
        self.assertIn("Type", self.assert_refused(400, 20001, create, type="wns"))
        self.assertIn("FriendlyName", self.assert_refused(400, 20001, create, type="fcm", friendly_name=65 * "n"))
        self.assertIn("Secret", self.assert_refused(400, 20001, create, type="apn", secret="canary"))
        message = self.assert_refused(400, 20001, create, type="apn", certificate="canary", private_key=APNS_PAIR)
        self.assertIn("Could not parse certificate", message)
        self.assertNotIn("canary", message)
        self.assertEqual(self.credentials.list(), [])

    def test_a_wrong_secret(self):
        wrong = client_of(self.user_name, 32 * "x").chat.v2.credentials
        message = self.assert_refused(401, 20003, wrong.create, type="fcm", secret="s")
        self.assertIn("Authenticate", message)
        self.assert_refused(401, 20003, wrong(NOBODY).fetch)
        # For a list the SDK has only the plainer of its two errors, with the answer as its text.
        with self.assertRaises(TwilioException) as caught:
            wrong.list()
        self.assertRegex(str(caught.exception), re.compile("401.*20003", re.DOTALL))


class ByAuthToken(Resource, unittest.TestCase):
    user_name, password = ACCOUNT_SID, AUTH_TOKEN


class ByApiKey(Resource, unittest.TestCase):
    user_name, password = API_KEY_SID, API_KEY_SECRET

    def test_what_a_key_makes_belongs_to_the_account(self):
        created = self.fcm("of the account")
        by_token = client_of(ACCOUNT_SID, AUTH_TOKEN).chat.v2.credentials
        self.assertEqual(by_token(created.sid).fetch().friendly_name, "of the account")


class TheOldWay(unittest.TestCase):
    def test_the_shortcut_without_a_version_still_leads_here(self):
        client = client_of(ACCOUNT_SID, AUTH_TOKEN)
        with self.assertWarns(DeprecationWarning):
            credentials = client.chat.credentials
        created = credentials.create(type="gcm", api_key="k")
        self.assertTrue(credentials(created.sid).delete())


if __name__ == "__main__":
    unittest.main(verbosity=2)
