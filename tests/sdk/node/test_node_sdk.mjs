// The official Node SDK against a running vault: one journey, on every surface that the SDK has.
//
// Nothing of a client is changed but the base URL of a domain, such as `client.chat.baseUrl`. `tests/sdk/run` starts
// the vault, says in the environment where it is and who may call, and names the directory of the SDK in NODE_PATH.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";

// NODE_PATH counts for require, and not for import.
const require = createRequire(import.meta.url);
const twilio = require("twilio");

const ORIGIN = setting("PUSHVAULT_URL");
const ACCOUNT_SID = setting("TWILIO_ACCOUNT_SID");
const BY_TOKEN = [ACCOUNT_SID, setting("TWILIO_AUTH_TOKEN")];
const BY_KEY = [setting("PUSHVAULT_API_KEY_SID"), setting("PUSHVAULT_API_KEY_SECRET")];

// Certificate and key with the text that openssl writes around them, as people paste it.
const APNS_PAIR = data("apns-pair.pem");
// What Google's console hands out, around a key that is in the repository for everybody to read.
const SERVICE_ACCOUNT = JSON.stringify(
  {
    type: "service_account",
    project_id: "example-app",
    private_key_id: "0".repeat(40),
    private_key: data("rsa-pkcs1-key.pem"),
    client_email: "push+test@example-app.iam.gserviceaccount.com",
    client_id: "1".repeat(21),
    token_uri: "https://oauth2.googleapis.com/token",
  },
  null,
  2,
);
const NOBODY = "CR" + "0".repeat(32);
const FIELDS = ["sid", "accountSid", "friendlyName", "type", "sandbox", "dateCreated", "dateUpdated"];

const SURFACES = [
  surface("chat", "v1", "/chat"),
  surface("chat", "v2", "/chat"),
  surface("ipMessaging", "v1", "/ip-messaging"),
  surface("ipMessaging", "v2", "/ip-messaging"),
  surface("notify", "v1", "/notify"),
  surface("conversations", "v1", "/conversations", 100),
];
// On a bare origin, as the README has it, /v2 is chat and /v1 is notify.
const BARE = [surface("chat", "v2", ""), surface("notify", "v1", "")];

function setting(name) {
  assert.ok(process.env[name], `${name} is not set`);
  return process.env[name];
}

function data(name) {
  return readFileSync(new URL(`../../data/${name}`, import.meta.url), "ascii");
}

function surface(domain, version, prefix, maxPageSize = 1000) {
  const path = `${prefix}/${version}/Credentials`;
  return { domain, version, prefix, path, url: ORIGIN + path, maxPageSize };
}

function clientOf(surface, [userName, password] = BY_TOKEN) {
  const client = twilio(userName, password, { accountSid: ACCOUNT_SID });
  client[surface.domain].baseUrl = ORIGIN + surface.prefix;
  return client;
}

function credentialsOf(surface, caller) {
  return clientOf(surface, caller)[surface.domain][surface.version].credentials;
}

function sids(found) {
  return found.map((credential) => credential.sid);
}

// Creates so many credentials, one after the other, and answers their SIDs, the newest first.
async function createSome(credentials, count) {
  const created = [];
  for (let number = 0; number < count; number += 1) {
    created.unshift(await credentials.create({ type: "gcm", friendlyName: `n${number}`, apiKey: "k" }));
  }
  return sids(created);
}

// The SDK raises an error with exactly this status, code and page of the documentation, and with a text like this.
async function assertRefused(promise, status, code, message) {
  const moreInfo = `https://www.twilio.com/docs/errors/${code}`;
  await assert.rejects(promise, (error) => {
    assert.deepEqual([error.status, error.code, error.moreInfo], [status, code, moreInfo], error.message);
    assert.ok(message instanceof RegExp ? message.test(error.message) : message === error.message, error.message);
    return true;
  });
}

async function assertNotFound(surface, sid, promise) {
  await assertRefused(promise, 404, 20404, `The requested resource ${surface.path}/${sid} was not found`);
}

beforeEach(async () => {
  assert.deepEqual(sids(await credentialsOf(SURFACES[0]).list()), [], "an earlier test left credentials");
});

afterEach(async () => {
  const credentials = credentialsOf(SURFACES[0]);
  for (const sid of sids(await credentials.list())) {
    await credentials(sid).remove();
  }
});

function journey(title, surface, caller) {
  describe(title, () => {
    const credentials = credentialsOf(surface, caller);
    const createApn = (friendlyName) =>
      credentials.create({
        type: "apn",
        friendlyName,
        certificate: APNS_PAIR,
        privateKey: APNS_PAIR,
        sandbox: true,
      });
    const createFcm = (friendlyName) => credentials.create({ type: "fcm", friendlyName, secret: SERVICE_ACCOUNT });

    function assertUrlOfPage(url, pageSize, page) {
      const begin = `${surface.url}?PageSize=${pageSize}&Page=${page}&PageToken=`;
      assert.ok(url.startsWith(begin), `${url} does not begin with ${begin}`);
      assert.match(url.slice(begin.length), /^[A-Za-z0-9_-]+$/);
    }

    it("creates apn with a real pair", async () => {
      const before = Date.now() - 2000;
      const created = await createApn("Größe & +1");
      assert.match(created.sid, /^CR[0-9a-f]{32}$/);
      assert.equal(created.accountSid, ACCOUNT_SID);
      assert.deepEqual([created.type, created.friendlyName, created.sandbox], ["apn", "Größe & +1", "True"]);
      assert.equal(created.url, `${surface.url}/${created.sid}`);
      // A date that the SDK cannot read is no Date.
      assert.ok(created.dateCreated instanceof Date);
      assert.ok(before < created.dateCreated && created.dateCreated < before + 60_000);
      assert.deepEqual(created.dateUpdated, created.dateCreated);
    });

    it("creates gcm with an API key", async () => {
      const created = await credentials.create({ type: "gcm", apiKey: "canary-key" });
      assert.deepEqual([created.type, created.friendlyName, created.sandbox], ["gcm", null, "False"]);
      assert.equal(created.url, `${surface.url}/${created.sid}`);
      assert.doesNotMatch(JSON.stringify(created), /canary/);
    });

    it("creates fcm with a service account", async () => {
      const created = await createFcm("app");
      assert.deepEqual([created.type, created.friendlyName, created.sandbox], ["fcm", "app", "False"]);
      assert.equal(created.url, `${surface.url}/${created.sid}`);
      assert.doesNotMatch(JSON.stringify(created), /PRIVATE KEY/);
    });

    it("fetches what was created", async () => {
      const created = await createApn("fetched");
      const fetched = await credentials(created.sid).fetch();
      for (const name of [...FIELDS, "url"]) {
        assert.deepEqual(fetched[name], created[name], name);
      }
    });

    it("lists over several pages", async () => {
      const newestFirst = await createSome(credentials, 7);
      assert.deepEqual(sids(await credentials.list()), newestFirst);
      assert.deepEqual(sids(await credentials.list({ pageSize: 2 })), newestFirst);
      assert.deepEqual(sids(await credentials.list({ limit: 5, pageSize: 2 })), newestFirst.slice(0, 5));
      assert.deepEqual(sids(await credentials.list({ limit: 3 })), newestFirst.slice(0, 3));
      assert.deepEqual(sids(await credentials.list({ limit: 5000 })), newestFirst);
    });

    it("streams", async () => {
      const newestFirst = await createSome(credentials, 5);
      const seen = [];
      await credentials.each({ limit: 4, pageSize: 1 }, (credential) => seen.push(credential.sid));
      assert.deepEqual(seen, newestFirst.slice(0, 4));
      const first = [];
      await credentials.each({ pageSize: 3 }, (credential, done) => {
        first.push(credential.sid);
        if (first.length === 2) done();
      });
      assert.deepEqual(first, newestFirst.slice(0, 2));
    });

    it("pages forward and back", async () => {
      const newestFirst = await createSome(credentials, 5);
      const first = await credentials.page({ pageSize: 2 });
      assert.deepEqual(sids(first.instances), newestFirst.slice(0, 2));
      assert.equal(first.previousPageUrl, undefined);
      assertUrlOfPage(first.nextPageUrl, 2, 1);
      const second = await first.nextPage();
      assert.deepEqual(sids(second.instances), newestFirst.slice(2, 4));
      assertUrlOfPage(second.nextPageUrl, 2, 2);
      assertUrlOfPage(second.previousPageUrl, 2, 0);
      const third = await second.nextPage();
      assert.deepEqual(sids(third.instances), newestFirst.slice(4));
      assert.equal(third.nextPageUrl, undefined);
      assert.equal(third.nextPage(), undefined);
      const back = await third.previousPage();
      assert.deepEqual(sids(back.instances), newestFirst.slice(2, 4));
      assert.deepEqual(sids((await back.previousPage()).instances), newestFirst.slice(0, 2));
      // A page asked for by its address, as a program does that keeps it between two runs; and by what is in it.
      const again = await credentials.getPage(first.nextPageUrl);
      assert.deepEqual(sids(again.instances), newestFirst.slice(2, 4));
      const pageToken = new URL(first.nextPageUrl).searchParams.get("PageToken");
      const byToken = await credentials.page({ pageSize: 2, pageNumber: 1, pageToken });
      assert.deepEqual(sids(byToken.instances), newestFirst.slice(2, 4));
    });

    it("updates", async () => {
      const created = await createApn("before");
      // In 6.2.0 only a credential that was fetched knows how to change itself.
      const fetched = await credentials(created.sid).fetch();
      const updated = await fetched.update({ friendlyName: "after", sandbox: false });
      assert.deepEqual([updated.sid, updated.type, updated.url], [created.sid, "apn", created.url]);
      assert.deepEqual([updated.friendlyName, updated.sandbox], ["after", "False"]);
      assert.ok(updated.dateUpdated instanceof Date && updated.dateUpdated >= created.dateCreated);
      assert.deepEqual(updated.dateCreated, created.dateCreated);
      const renewed = await credentials(created.sid).update({ certificate: APNS_PAIR, privateKey: APNS_PAIR });
      assert.deepEqual([renewed.friendlyName, renewed.sandbox], ["after", "False"]);
      // The SDK sends an empty value for null, and that clears the name.
      assert.equal((await credentials(created.sid).update({ friendlyName: null })).friendlyName, null);
      const unchanged = await credentials(created.sid).update();
      assert.deepEqual([unchanged.friendlyName, unchanged.sandbox], [null, "False"]);
    });

    it("updates the other secrets", async () => {
      for (const [type, secret] of [["fcm", "secret"], ["gcm", "apiKey"]]) {
        const created = await credentials.create({ type, [secret]: "first" });
        const updated = await credentials(created.sid).update({ [secret]: SERVICE_ACCOUNT });
        assert.deepEqual([updated.sid, updated.type], [created.sid, type]);
      }
    });

    it("removes", async () => {
      const created = await createFcm("removed");
      const fetched = await credentials(created.sid).fetch();
      assert.equal(await fetched.remove(), true);
      await assertNotFound(surface, created.sid, credentials(created.sid).fetch());
      await assertNotFound(surface, created.sid, fetched.remove());
      assert.deepEqual(await credentials.list(), []);
      const other = await createFcm("removed too");
      // The SDK says true here for 204 alone.
      const answer = await credentials(other.sid).removeWithHttpInfo();
      assert.deepEqual([answer.statusCode, answer.body], [204, true]);
    });

    it("says what does not exist", async () => {
      for (const sid of [NOBODY, "no-sid"]) {
        await assertNotFound(surface, sid, credentials(sid).fetch());
        await assertNotFound(surface, sid, credentials(sid).update({ friendlyName: "x" }));
        await assertNotFound(surface, sid, credentials(sid).remove());
      }
    });

    it("names bad parameters", async () => {
      const refused = (parameters, message) => assertRefused(credentials.create(parameters), 400, 20001, message);
      // Without any `type` the SDK does not even ask.
      await refused({ type: "", secret: "canary" }, "Missing required parameter Type in the post body");
      await refused({ type: "wns" }, /^Invalid value for parameter Type: /);
      await refused({ type: "fcm", friendlyName: "n".repeat(65) }, /^Invalid value for parameter FriendlyName: /);
      await refused({ type: "apn", secret: "canary" }, /^Invalid value for parameter Secret: (?!.*canary)/);
      await refused(
        { type: "apn", certificate: "canary", privateKey: APNS_PAIR },
        /^Could not parse certificate(?!.*canary)/,
      );
      assert.deepEqual(await credentials.list(), []);
    });

    it("refuses a wrong secret", async () => {
      const created = await createFcm("untouched");
      const wrong = credentialsOf(surface, [(caller ?? BY_TOKEN)[0], "x".repeat(32)]);
      for (const call of [
        () => wrong.create({ type: "fcm", secret: "s" }),
        () => wrong(created.sid).fetch(),
        () => wrong(created.sid).update({ friendlyName: "x" }),
        () => wrong(created.sid).remove(),
        () => wrong.page(),
        () => wrong.list(),
      ]) {
        await assertRefused(call(), 401, 20003, "Authenticate");
      }
      const left = await credentials.list();
      assert.deepEqual(left.map((row) => [row.sid, row.friendlyName]), [[created.sid, "untouched"]]);
    });
  });
}

for (const surface of SURFACES) {
  journey(`${surface.domain} ${surface.version}`, surface);
}
for (const surface of BARE) {
  journey(`a bare ${surface.version}`, surface);
}
journey("by an API key", SURFACES[1], BY_KEY);

describe("one store", () => {
  it("is behind every surface of the SDK", () => {
    const rest = join(dirname(require.resolve("twilio")), "rest");
    const ofTheSdk = [];
    for (const domain of readdirSync(rest, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
      for (const version of readdirSync(join(rest, domain.name)).filter((name) => /^v\d+$/.test(name))) {
        if (readdirSync(join(rest, domain.name, version)).includes("credential.js")) {
          ofTheSdk.push(`${domain.name} ${version}`);
        }
      }
    }
    // In `accounts` the word means public keys and AWS keys, which are another resource.
    const expected = ["accounts v1", ...SURFACES.map(({ domain, version }) => `${domain} ${version}`)];
    assert.deepEqual(ofTheSdk.sort(), expected.sort());
  });

  it("has what is made on one surface for every other", async () => {
    for (const maker of [...SURFACES, ...BARE]) {
      let created = await credentialsOf(maker).create({ type: "gcm", friendlyName: maker.domain, apiKey: "k" });
      for (const reader of [...SURFACES, ...BARE]) {
        const fetched = await credentialsOf(reader)(created.sid).fetch();
        for (const name of FIELDS) {
          assert.deepEqual(fetched[name], created[name], `${maker.path} ${reader.path} ${name}`);
        }
        assert.equal(fetched.url, `${reader.url}/${created.sid}`);
        const listed = await credentialsOf(reader).list();
        assert.deepEqual(listed.map((row) => [row.sid, row.url]), [[created.sid, fetched.url]]);
        created = await credentialsOf(reader)(created.sid).update({ friendlyName: reader.path });
        assert.equal((await credentialsOf(maker)(created.sid).fetch()).friendlyName, reader.path);
      }
      assert.equal(await credentialsOf(maker)(created.sid).remove(), true);
      for (const reader of [...SURFACES, ...BARE]) {
        await assertNotFound(reader, created.sid, credentialsOf(reader)(created.sid).fetch());
      }
    }
  });

  it("answers no larger pages than a surface allows", async () => {
    const newestFirst = await createSome(credentialsOf(SURFACES[0]), 101);
    for (const surface of [...SURFACES, ...BARE]) {
      const credentials = credentialsOf(surface);
      // The SDK asks for pages as large as its limit; it is for the vault to make less of it.
      assert.deepEqual(sids(await credentials.list({ limit: 5000 })), newestFirst, surface.path);
      assert.deepEqual(sids(await credentials.list({ limit: 101 })), newestFirst, surface.path);
      const page = await credentials.page({ pageSize: 5000 });
      assert.deepEqual(sids(page.instances), newestFirst.slice(0, surface.maxPageSize), surface.path);
    }
  });

  it("is behind the shortcuts without a version", async () => {
    const current = { chat: "v2", ipMessaging: "v2", notify: "v1", conversations: "v1" };
    for (const [domain, version] of Object.entries(current)) {
      const surface = SURFACES.find((row) => row.domain === domain && row.version === version);
      const { credentials } = clientOf(surface)[domain];
      const created = await credentials.create({ type: "gcm", apiKey: "k" });
      assert.equal(created.url, `${surface.url}/${created.sid}`);
      assert.deepEqual(sids(await credentials.list()), [created.sid]);
      assert.equal(await credentials(created.sid).remove(), true);
    }
  });
});
