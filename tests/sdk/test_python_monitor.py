"""The official Python SDK reads the audit trail as Twilio's Monitor events.

Nothing of a client is changed but `client.monitor.base_url`. `tests/sdk/run` starts the vault and makes the keys.
"""

import os
import unittest
from datetime import datetime, timedelta, timezone

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from test_python_sdk import ACCOUNT_SID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, NOBODY, ORIGIN, SURFACES, Vault

AUDIT_KEY = (os.environ["PUSHVAULT_AUDIT_KEY_SID"], os.environ["PUSHVAULT_AUDIT_KEY_SECRET"])
API_KEY = (API_KEY_SID, API_KEY_SECRET)
ACCOUNT = (ACCOUNT_SID, AUTH_TOKEN)
# With the product in the path, and as Twilio's own host has it.
PREFIXES = ("/monitor", "")


def events(caller=ACCOUNT, prefix="/monitor"):
    client = Client(*caller, account_sid=ACCOUNT_SID)
    client.monitor.base_url = ORIGIN + prefix
    return client.monitor.v1.events


def types(found):
    return [event.event_type for event in found]


class Monitor(Vault):
    def setUp(self):
        super().setUp()
        self.before = datetime.now(timezone.utc) - timedelta(seconds=2)
        credentials = SURFACES[0].credentials(*API_KEY)
        self.sid = credentials.create(type="fcm", friendly_name="first", secret="canary-secret").sid
        credentials(self.sid).update(friendly_name="second", secret="another canary-secret")
        credentials(self.sid).delete()

    def test_the_history_of_a_credential(self):
        for caller in (ACCOUNT, AUDIT_KEY):
            for prefix in PREFIXES:
                found = events(caller, prefix).list(resource_sid=self.sid)
                self.assertEqual(types(found), ["credential.deleted", "credential.updated", "credential.created"])
                for event in found:
                    self.assertEqual((event.account_sid, event.resource_sid), (ACCOUNT_SID, self.sid))
                    self.assertEqual((event.actor_sid, event.actor_type), (API_KEY_SID, "api-key"))
                    self.assertEqual((event.resource_type, event.source), ("credential", "api"))
                    self.assertEqual(event.source_ip_address, "127.0.0.1")
                    self.assertEqual(event.url, f"{ORIGIN}{prefix}/v1/Events/{event.sid}")
                    self.assertEqual(event.links, {"resource": f"{ORIGIN}/chat/v2/Credentials/{self.sid}"})
                    # A date that the SDK cannot read stays a text.
                    self.assertIsInstance(event.event_date, datetime)
                    self.assertLess(self.before, event.event_date)
                    self.assertNotIn("canary", repr(vars(event)))
                self.assertEqual(
                    found[1].event_data["resource_properties"],
                    {"friendly_name": {"previous": "first", "updated": "second"}},
                )
                self.assertEqual(found[1].event_data["changed_fields"], ["FriendlyName", "Secret"])

    def test_fetch(self):
        for caller in (ACCOUNT, AUDIT_KEY):
            for prefix in PREFIXES:
                listed = events(caller, prefix).list(resource_sid=self.sid, limit=1)[0]
                fetched = events(caller, prefix)(listed.sid).fetch()
                for name in vars(listed):
                    if not name.startswith("_"):
                        self.assertEqual(getattr(fetched, name), getattr(listed, name), name)
        for sid in ("AE" + 32 * "0", NOBODY, "no-sid"):
            with self.assertRaises(TwilioRestException) as caught:
                events()(sid).fetch()
            self.assertEqual((caught.exception.status, caught.exception.code), (404, 20404))

    def test_stream_and_pages(self):
        everything = [event.sid for event in events().list()]
        self.assertEqual([event.sid for event in events().stream(page_size=2)], everything)
        found = events().stream(resource_sid=self.sid, page_size=1)
        self.assertEqual(types(found), ["credential.deleted", "credential.updated", "credential.created"])
        first = events().page(resource_sid=self.sid, page_size=2)
        second = first.next_page()
        self.assertEqual(types(second), ["credential.created"])
        self.assertIsNone(second.next_page_url)
        self.assertEqual(types(second.previous_page()), ["credential.deleted", "credential.updated"])

    def test_filters(self):
        now = datetime.now(timezone.utc)
        of_it = {"resource_sid": self.sid}
        self.assertEqual(types(events().list(event_type="credential.created", **of_it)), ["credential.created"])
        self.assertEqual(len(events().list(actor_sid=API_KEY_SID, **of_it)), 3)
        self.assertEqual(events().list(actor_sid=ACCOUNT_SID, **of_it), [])
        self.assertEqual(len(events().list(source_ip_address="127.0.0.1", **of_it)), 3)
        self.assertEqual(len(events().list(start_date=self.before, end_date=now, **of_it)), 3)
        self.assertEqual(events().list(start_date=now + timedelta(minutes=1), **of_it), [])
        self.assertEqual(events().list(end_date=self.before, **of_it), [])

    def test_a_key_without_the_right_is_told_which_one_and_stands_in_the_trail(self):
        newest = events().list(limit=1)[0]
        with self.assertRaises(TwilioRestException) as caught:
            events(API_KEY)(newest.sid).fetch()
        self.assertEqual((caught.exception.status, caught.exception.code), (403, 20403))
        self.assertIn("does not have the right audit:read", caught.exception.msg)
        # For a list the SDK has only the plainer of its two errors, with the answer as its text.
        with self.assertRaisesRegex(TwilioException, "(?s)Unable to fetch page.*403.*20403"):
            events(API_KEY).list(limit=1)
        refused = events(AUDIT_KEY).list(actor_sid=API_KEY_SID, limit=2)
        self.assertEqual(types(refused), ["audit-event.list.denied", "audit-event.fetch.denied"])
        self.assertEqual(refused[1].resource_sid, newest.sid)

    def test_a_key_for_the_trail_alone_reads_no_credentials(self):
        with self.assertRaisesRegex(TwilioException, "(?s)403.*20403.*credentials:read"):
            SURFACES[0].credentials(*AUDIT_KEY).list()


if __name__ == "__main__":
    unittest.main(verbosity=2)
