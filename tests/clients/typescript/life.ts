// The life of what the API keeps, by a client typed from the OpenAPI document.
//
// Run by .ci/clients: API_URL and API_KEY name a server that has had a call, SCHEMA the document.
// Fails at an operation that no step has brought to succeed.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./api.js";

type Api = Client<paths>;
type Body = components["schemas"]["TwilioConfigBodyRequest"];
type TheirBody = components["schemas"]["DailyBotsBodyRequest"];
type PageQuery = { name: string; page_size: number; cursor?: string };
type Document = { paths: Record<string, Record<string, { operationId: string }>> };

// Operations that no client can bring to succeed here, each with the reason.
const NOT_CALLED: Record<string, string> = {};

// Of the simulator's people: one who answers after two seconds, and one to put them through to.
const CALLEE = "+14155550108";
const HUMAN = "+14155550101";
const PATIENCE_MS = 30_000;

const body = (name: string, voice = "heart", prompt = "You are the front desk."): Body => ({
  name,
  config: { llm: { prompt }, tts: { provider: "local", voice } },
});

const theirBody = (prompt: string): TheirBody => ({
  bot_profile: "twilio_ws_voice_2024_09",
  services: { llm: "openai", tts: "cartesia" },
  config: [
    {
      service: "llm",
      options: [{ name: "initial_messages", value: [{ role: "system", content: prompt }] }],
    },
  ],
});

const made = async (api: Api, whole: Body) =>
  answered(await api.POST("/twilio-config", { body: whole }), 201);

const bearing = (key: string) => ({ headers: { Authorization: `Bearer ${key}` } });

// Create, list, read, patch, replace, delete; and what the API refuses on the way.
async function configs(api: Api): Promise<void> {
  const config = await made(api, body("Front desk"));
  assert.equal(config.version, 1);
  assert.match(config.twiml, /<Connect /);

  const query = { page_size: 5 };
  const page = answered(await api.GET("/twilio-config", { params: { query } }), 200);
  assert.ok(page.results.some((found) => found.id === config.id));

  const path = { id: config.id };
  const read = await api.GET("/twilio-config/{id}", { params: { path } });
  assert.deepEqual(answered(read, 200), config);
  const first = etag(read.response);

  const patched = await api.PATCH("/twilio-config/{id}", {
    params: { path },
    headers: { "Content-Type": "application/merge-patch+json" },
    body: { name: null, config: { turns: { stop_secs: 0.5 } } },
  });
  const changed = answered(patched, 200);
  assert.deepEqual([changed.name, changed.version, changed.twiml], ["", 2, config.twiml]);
  assert.equal(changed.config.turns?.stop_secs, 0.5);

  const replace = (tag: string) =>
    api.PUT("/twilio-config/{id}", {
      params: { path, header: { "If-Match": tag } },
      body: body("Night desk"),
    });
  assert.equal(answered(await replace(etag(patched.response)), 200).name, "Night desk");
  assert.equal(refused(await replace(first), 412).error, "precondition-failed-error");

  const deleted = await api.DELETE("/twilio-config/{id}", { params: { path } });
  assert.equal(deleted.response.status, 204);
  const gone = await api.GET("/twilio-config/{id}", { params: { path } });
  assert.equal(refused(gone, 404).error, "not-found-error");
}

// A body that the types let through, but not the rules; a key that is none.
async function refusals(api: Api): Promise<void> {
  const bad = refused(await api.POST("/twilio-config", { body: body("Bad", "nobody") }), 400);
  assert.equal(bad.error, "invalid-request-error");
  assert.match(bad.fields["config.tts.voice"]?.[0] ?? "", /^Unknown voice/);
  assert.ok(bad.request_id);

  const denied = refused(await api.GET("/twilio-config", bearing("bc_no_key")), 401);
  assert.equal(denied.error, "authentication-error");
}

// A draft that is published, an older version that is restored, and the history of both.
async function versions(api: Api): Promise<void> {
  const { id } = await made(api, body("Versions"));
  const numbered = (number: number) => ({ params: { path: { id, number } } });
  const drafts = { path: { id }, query: { draft: true } };
  const patched = await api.PATCH("/twilio-config/{id}", {
    params: drafts,
    headers: { "Content-Type": "application/merge-patch+json" },
    body: { name: "Draft" },
  });
  const draft = answered(patched, 200);
  assert.deepEqual([draft.version, draft.status, draft.published_version], [2, "draft", 1]);
  const standing = await api.GET("/twilio-config/{id}", { params: { path: { id } } });
  assert.equal(answered(standing, 200).name, "Versions");
  const latest = await api.GET("/twilio-config/{id}", { params: drafts });
  assert.equal(answered(latest, 200).name, "Draft");

  const publish = (number: number) =>
    api.POST("/twilio-config/{id}/versions/{number}/publish", numbered(number));
  assert.equal(answered(await publish(2), 200).published_version, 2);
  assert.equal(refused(await publish(1), 409).error, "conflict-error");
  const restored = await api.POST("/twilio-config/{id}/versions/{number}/restore", numbered(1));
  const config = answered(restored, 201);
  assert.deepEqual([config.name, config.version], ["Versions", 3]);

  const history = await api.GET("/twilio-config/{id}/versions", { params: { path: { id } } });
  const found = answered(history, 200).results;
  assert.deepEqual(
    found.map(({ number, status }) => [number, status]),
    [
      [3, "published"],
      [2, "superseded"],
      [1, "superseded"],
    ],
  );
  assert.deepEqual(
    found[0]?.changes.map(({ path }) => path),
    ["name"],
  );
  const first = await api.GET("/twilio-config/{id}/versions/{number}", numbered(1));
  assert.equal(answered(first, 200).content.name, "Versions");
}

// A tool's webhook, asked as in a call; at an address that this server does not ask.
async function tools(api: Api): Promise<void> {
  const whole = body("Tools");
  whole.config.llm.tools = [{ name: "book" }];
  whole.webhook_tools = { book: { url: "http://127.0.0.1:9/book" } };
  const { id } = await made(api, whole);
  const test = (name: string) =>
    api.POST("/twilio-config/{id}/tools/{name}/test", {
      params: { path: { id, name } },
      body: { arguments: { day: "Monday" } },
    });
  const outcome = answered(await test("book"), 200);
  assert.deepEqual([outcome.ok, outcome.response], [false, null]);
  assert.equal(outcome.request.method, "POST");
  assert.match(outcome.error, /PRIVATE_ADDRESSES/);
  assert.match(refused(await test("look"), 404).info, /book/);
}

// What a caller would get, before and after the stream's token is another one.
async function rendered(api: Api): Promise<void> {
  const whole = body("Rendered", "heart", "You speak to {{guest}}.");
  whole.config.variables = { guest: { default: "a guest" } };
  const config = await made(api, whole);
  const path = { id: config.id };
  const query = { from: "+4930123456", variables: JSON.stringify({ guest: "Ann" }) };
  const asked = await api.GET("/twilio-config/{id}/render", { params: { path, query } });
  const shown = answered(asked, 200);
  assert.equal(shown.config.llm.prompt, "You speak to Ann.");
  assert.equal(shown.variables["guest"]?.source, "given");

  const rotated = await api.POST("/twilio-config/{id}/rotate-token", {
    params: { path },
    body: { grace_seconds: 0 },
  });
  assert.notEqual(answered(rotated, 200).twiml, config.twiml);
}

// A POST that is sent again with its Idempotency-Key makes nothing more.
async function once(api: Api): Promise<void> {
  const name = `Once ${randomUUID()}`;
  const params = { header: { "Idempotency-Key": randomUUID() } };
  const create = (whole: Body) => api.POST("/twilio-config", { params, body: whole });
  const first = await create(body(name));
  const second = await create(body(name));
  assert.deepEqual(answered(first, 201), answered(second, 201));
  assert.equal(first.response.headers.get("Idempotency-Replayed"), null);
  assert.equal(second.response.headers.get("Idempotency-Replayed"), "true");
  const named = await api.GET("/twilio-config", { params: { query: { name } } });
  assert.equal(answered(named, 200).results.length, 1);
  assert.equal(refused(await create(body("Another")), 422).error, "unprocessable-error");
}

// A list from end to end, by the cursor of each page's next.
async function pages(api: Api): Promise<void> {
  const name = `Page ${randomUUID()}`;
  const ids: string[] = [];
  for (let count = 0; count < 3; count += 1) ids.unshift((await made(api, body(name))).id);
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const query: PageQuery = { name, page_size: 2, ...(cursor === null ? {} : { cursor }) };
    const page = answered(await api.GET("/twilio-config", { params: { query } }), 200);
    found.push(...page.results.map(({ id }) => id));
    cursor = page.next && new URL(page.next).searchParams.get("cursor");
  } while (cursor !== null);
  assert.deepEqual(found, ids);
  const bad = await api.GET("/twilio-config", { params: { query: { cursor: "none" } } });
  assert.ok(refused(bad, 400).fields["cursor"]);
}

// A key of one scope; its successor, which works beside it; and the end of both.
async function keys(api: Api): Promise<void> {
  const wanted = { name: "reports", scopes: ["calls:read" as const] };
  const key = answered(await api.POST("/api-keys", { body: wanted }), 201);
  const page = answered(await api.GET("/api-keys"), 200);
  assert.ok(page.results.some(({ id }) => id === key.id));

  const lacking = refused(await api.GET("/twilio-config", bearing(key.key)), 403);
  assert.equal(lacking.error, "forbidden-error");
  assert.match(lacking.info, /configs:read/);

  const rotated = await api.POST("/api-keys/{id}/rotate", {
    params: { path: { id: key.id } },
    body: { grace_seconds: 3600 },
  });
  const successor = answered(rotated, 201);
  for (const either of [key, successor])
    answered(await api.GET("/calls", bearing(either.key)), 200);
  const old = await api.GET("/api-keys/{id}", { params: { path: { id: key.id } } });
  assert.ok(answered(old, 200).expires_at);
  assert.equal(answered(old, 200).revoked_at, null);

  for (const { id } of [key, successor]) {
    const revoked = await api.DELETE("/api-keys/{id}", { params: { path: { id } } });
    assert.equal(revoked.response.status, 204);
  }
  refused(await api.GET("/calls", bearing(key.key)), 401);
  const query = { action: "api_key.rotate", target_id: key.id, since: key.created_at };
  const told = answered(await api.GET("/audit-log", { params: { query } }), 200).results;
  assert.deepEqual(
    told.map(({ after }) => after["successor"]),
    [successor.id],
  );
}

// A vendor's key, written and forgotten. Nobody can be asked about this vendor's for free.
async function credentials(api: Api): Promise<void> {
  const named = { params: { path: { provider: "rime" } } };
  const secret = { api_key: "not-a-key-of-abcd" };
  const put = await api.PUT("/credentials/{provider}", { ...named, body: secret });
  assert.equal(answered(put, 200).last4, "…abcd");
  const listed = answered(await api.GET("/credentials"), 200);
  assert.ok(listed.results.some(({ provider }) => provider === "rime"));
  assert.equal(answered(await api.GET("/credentials/{provider}", named), 200).provider, "rime");
  const tested = answered(await api.POST("/credentials/{provider}/test", named), 200);
  assert.deepEqual([tested.ok, tested.reason], [null, "untestable"]);
  const deleted = await api.DELETE("/credentials/{provider}", named);
  assert.equal(deleted.response.status, 204);
  const gone = await api.GET("/credentials/{provider}", named);
  assert.equal(refused(gone, 404).error, "not-found-error");
}

// An endpoint that nobody answers at: its secret, a ping, the log of it, and replays.
async function webhooks(api: Api): Promise<void> {
  const url = "https://hooks.invalid/in";
  const made = await api.POST("/webhooks", { body: { url, kinds: ["call.ended"] } });
  const hook = answered(made, 201);
  const one = { params: { path: { id: hook.id } } };
  const page = answered(await api.GET("/webhooks"), 200);
  assert.ok(page.results.some(({ id }) => id === hook.id));
  const more = { kinds: [], description: "CRM" };
  const changed = answered(await api.PATCH("/webhooks/{id}", { ...one, body: more }), 200);
  assert.deepEqual([changed.url, changed.kinds, changed.description], [url, [], "CRM"]);
  const grace = { ...one, body: { grace_seconds: 60 } };
  const rotated = answered(await api.POST("/webhooks/{id}/rotate-secret", grace), 200);
  assert.notEqual(rotated.secret, hook.secret);
  assert.ok(answered(await api.GET("/webhooks/{id}", one), 200).previous_secret_until);

  const pinged = answered(await api.POST("/webhooks/{id}/ping", one), 200);
  assert.deepEqual([pinged.ok, pinged.attempt.status], [false, null]);
  const pings = { params: { ...one.params, query: { kind: "ping" as const } } };
  const log = answered(await api.GET("/webhooks/{id}/deliveries", pings), 200);
  const sent = { params: { path: { id: hook.id, delivery_id: pinged.delivery_id } } };
  assert.deepEqual(log.results.map(({ id }) => id), [pinged.delivery_id]);
  const path = "/webhooks/{id}/deliveries/{delivery_id}";
  assert.equal(answered(await api.GET(path, sent), 200).payload.type, "ping");
  assert.ok(answered(await api.POST(`${path}/replay`, sent), 202).next_attempt_at);
  const since = { ...one, body: { since: hook.created_at, status: "all" as const } };
  const replayed = answered(await api.POST("/webhooks/{id}/replay", since), 202);
  assert.equal(replayed.next_since, null);
  assert.ok(answered(await api.GET("/webhooks/kinds"), 200).results.length);
  assert.equal((await api.DELETE("/webhooks/{id}", one)).response.status, 204);
  const inside = await api.POST("/webhooks", { body: { url: "https://10.0.0.1/in" } });
  assert.match(refused(inside, 400).fields["url"]?.[0] ?? "", /PRIVATE_ADDRESSES/);
}

// The same bots in Daily Bots' form, with its own error.
async function dailyBots(api: Api): Promise<void> {
  const create = (whole: TheirBody) => api.POST("/v1/twilio-config", { body: whole });
  const bot = answered(await create(theirBody("Answer.")), 200);
  assert.match(bot.twiml, /<Connect /);
  const one = { params: { path: { id: bot.id } } };
  assert.deepEqual(answered(await api.GET("/v1/twilio-config/{id}", one), 200), bot);
  const every = answered(await api.GET("/v1/twilio-config"), 200);
  assert.ok(every.data.some(({ id }) => id === bot.id));
  const updated = await api.POST("/v1/twilio-config/{id}", { ...one, body: theirBody("Ask.") });
  assert.notDeepEqual(answered(updated, 200).config, bot.config);

  const voiceless = refused(await create({ ...theirBody(""), services: { llm: "openai" } }), 400);
  assert.match(voiceless.info, /services\.tts/);
  const deleted = await api.DELETE("/v1/twilio-config/{id}", one);
  assert.equal(answered(deleted, 200).deleted, true);
  const missing = await api.GET("/v1/twilio-config/{id}", one);
  assert.equal(refused(missing, 404).error, "not-found-error");
}

// The call that was made before this ran, with its words.
async function calls(api: Api): Promise<void> {
  const page = answered(await api.GET("/calls"), 200);
  const id = page.results.at(-1)?.id ?? "";
  const call = answered(await api.GET("/calls/{id}", { params: { path: { id } } }), 200);
  assert.equal(call.turns[0]?.text_heard, "Hello.");
  assert.equal(call.error, null);
  const ended = await api.POST("/calls/{id}/hangup", { params: { path: { id } } });
  assert.equal(answered(ended, 200).status, call.status);

  const body = { config_id: call.config_id, to: "+14158675309", from: "+14155550100" };
  assert.match(refused(await api.POST("/calls", { body }), 409).info, /connection/);
  const wrong = refused(await api.POST("/calls", { body: { ...body, to: "030123456" } }), 400);
  assert.match(wrong.fields["to"]?.[0] ?? "", /\+4930123456/);
}

// The catalogue.
async function providers(api: Api): Promise<void> {
  const { results } = answered(await api.GET("/providers"), 200);
  assert.ok(results.some((found) => found.kind === "tts" && found.name === "local"));
}

// The account's settings, and hours that are none.
async function account(api: Api): Promise<void> {
  const hours = { from: "09:00", until: "20:00", timezone: "callee" };
  const patch = { calls_per_second: 2, calling_hours: hours };
  const changed = answered(await api.PATCH("/account", { body: patch }), 200);
  assert.equal(changed.calling_hours.until, "20:00");
  const bad = { calling_hours: { until: "08:00" } };
  assert.ok(refused(await api.PATCH("/account", { body: bad }), 400).fields["calling_hours.until"]);
  answered(await api.PATCH("/account", { body: { calling_hours: null } }), 200);
  assert.deepEqual(answered(await api.GET("/account"), 200).calling_hours, {});
}

// A connection to the simulator; one of its numbers is answered by a bot, and by none again.
async function phones(api: Api): Promise<void> {
  const credentials = {
    account_sid: required("TWILIO_ACCOUNT_SID"),
    auth_token: required("TWILIO_AUTH_TOKEN"),
  };
  const wrong = { ...credentials, auth_token: "0".repeat(32) };
  const error = refused(await api.POST("/twilio-connections", { body: wrong }), 400);
  assert.equal(error.twilio_code, 20003);
  const created = await api.POST("/twilio-connections", { body: credentials });
  const connection = answered(created, 201);
  const one = { params: { path: { id: connection.id } } };
  const name = { ...one, body: { name: "Main" } };
  const patched = answered(await api.PATCH("/twilio-connections/{id}", name), 200);
  assert.equal(patched.name, "Main");
  const checked = answered(await api.POST("/twilio-connections/{id}/check", one), 200);
  assert.equal(checked.check_error, "");
  const below = answered(await api.GET("/twilio-connections/{id}/subaccounts", one), 200);
  assert.deepEqual(below.results, []);
  assert.equal(answered(await api.GET("/twilio-connections"), 200).results.length, 1);
  assert.ok(answered(await api.GET("/twilio-connections/{id}", one), 200).friendly_name);

  const config = await made(api, body("Answers the phone"));
  const query = { refresh: true };
  const page = answered(await api.GET("/phone-numbers", { params: { query } }), 200);
  const number = { params: { path: { sid: page.results[0]?.sid ?? "" } } };
  const assign = { ...number, body: { config_id: config.id } };
  const assigned = answered(await api.PUT("/phone-numbers/{sid}", assign), 200);
  assert.equal(assigned.actual["voice_url"], config.voice_url);
  answered(await api.POST("/phone-numbers/{sid}/repair", { ...number, body: {} }), 200);
  const none = { ...number, body: { config_id: null } };
  answered(await api.PUT("/phone-numbers/{sid}", none), 200);
  assert.equal(answered(await api.GET("/phone-numbers/{sid}", number), 200).config_id, null);
  await dialled(api);
  assert.equal((await api.DELETE("/twilio-connections/{id}", one)).response.status, 204);
}

// A call: words, keys, a transfer and its end; then what was recorded of it.
async function dialled(api: Api): Promise<void> {
  const page = answered(await api.GET("/calls"), 200);
  const config_id = page.results.at(-1)?.config_id ?? "";
  const wish = { config_id, to: CALLEE, from: "+12025550100", record: true };
  const { id } = answered(await api.POST("/calls", { body: wish }), 201);
  const one = { params: { path: { id } } };
  const text = "One moment.";
  const said = await inTime(() => api.POST("/calls/{id}/say", { ...one, body: { text } }));
  answered(said, 202);
  const digits = "1#";
  const pressed = await inTime(() => api.POST("/calls/{id}/dtmf", { ...one, body: { digits } }));
  answered(pressed, 202);
  // The keys have left the stream for a moment.
  const to = HUMAN;
  const through = await inTime(() => api.POST("/calls/{id}/transfer", { ...one, body: { to } }));
  answered(through, 202);
  answered(await api.POST("/calls/{id}/hangup", one), 200);
  const path = "/calls/{id}/recording";
  const sound = await inTime(() => api.GET(path, { ...one, parseAs: "blob" }));
  assert.ok(answered(sound, 200).size > 44);
  assert.equal((await api.DELETE(path, one)).response.status, 204);
  assert.equal(answered(await api.GET("/calls/{id}", one), 200).direction, "outbound");
}

// Asks again while it is a conflict: the call, or its recording, is not that far yet.
async function inTime<A extends { response: Response }>(ask: () => Promise<A>): Promise<A> {
  const end = Date.now() + PATIENCE_MS;
  let answer = await ask();
  while (answer.response.status === 409 && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    answer = await ask();
  }
  return answer;
}

const STEPS = [
  ...[configs, refusals, versions, rendered, tools, once, pages],
  ...[keys, credentials, dailyBots, calls, webhooks, providers],
  ...[account, phones],
];

type Answer<Data, Failure> = { data?: Data; error?: Failure; response: Response };

function answered<Data>(answer: Answer<Data, unknown>, status: number): NonNullable<Data> {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error));
  assert.ok(answer.data);
  return answer.data;
}

function refused<Failure>(answer: Answer<unknown, Failure>, status: number): NonNullable<Failure> {
  assert.equal(answer.response.status, status, JSON.stringify(answer.data));
  assert.ok(answer.error);
  return answer.error;
}

function etag(response: Response): string {
  const found = response.headers.get("ETag");
  assert.ok(found);
  return found;
}

// Which operations of the document have succeeded.
class Coverage {
  readonly #operations = new Map<string, string>();
  readonly #done = new Set<string>();

  constructor(document: Document) {
    for (const [path, methods] of Object.entries(document.paths))
      for (const [method, operation] of Object.entries(methods))
        this.#operations.set(`${method.toUpperCase()} ${path}`, operation.operationId);
  }

  readonly middleware: Middleware = {
    onResponse: ({ request, response, schemaPath }) => {
      const name = this.#operations.get(`${request.method} ${schemaPath}`);
      if (response.ok && name) this.#done.add(name);
    },
  };

  complaints(): string[] {
    const missing = [...this.#operations.values()].filter((name) => !this.#done.has(name));
    return [
      ...missing
        .filter((name) => !(name in NOT_CALLED))
        .map((name) => `No step brings ${name} to succeed.`),
      ...Object.keys(NOT_CALLED)
        .filter((name) => !missing.includes(name))
        .map((name) => `NOT_CALLED excuses ${name} for nothing.`),
    ];
  }
}

function required(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const coverage = new Coverage(JSON.parse(readFileSync(required("SCHEMA"), "utf8")) as Document);
const api = createClient<paths>({
  baseUrl: required("API_URL"),
  headers: { Authorization: `Bearer ${required("API_KEY")}` },
});
api.use(coverage.middleware);
for (const step of STEPS) {
  await step(api);
  console.log(`${step.name}: as described`);
}
const complaints = coverage.complaints();
console.log(complaints.join("\n") || "every operation has succeeded");
process.exitCode = complaints.length ? 1 : 0;
