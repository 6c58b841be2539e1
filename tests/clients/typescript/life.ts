// The life of what the API keeps, by a client typed from the OpenAPI document.
//
// Run by .ci/clients: API_URL and API_KEY name a server that has had a call, SCHEMA the document.
// Fails at an operation that no step has brought to succeed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./api.js";

type Api = Client<paths>;
type Body = components["schemas"]["TwilioConfigBodyRequest"];
type Document = { paths: Record<string, Record<string, { operationId: string }>> };

// Operations that no client can bring to succeed here, each with the reason.
const NOT_CALLED: Record<string, string> = {};

const body = (name: string, voice = "heart"): Body => ({
  name,
  config: {
    llm: { prompt: "You are the front desk." },
    tts: { provider: "local", voice },
  },
});

// Create, list, read, patch, replace, delete; and what the API refuses on the way.
async function configs(api: Api): Promise<void> {
  const made = await api.POST("/twilio-config", { body: body("Front desk") });
  const config = answered(made, 201);
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

  const headers = { Authorization: "Bearer bc_no_key" };
  const denied = refused(await api.GET("/twilio-config", { headers }), 401);
  assert.equal(denied.error, "authentication-error");
}

// The call that was made before this ran, with its words.
async function calls(api: Api): Promise<void> {
  const page = answered(await api.GET("/calls"), 200);
  const id = page.results[0]?.id ?? "";
  const call = answered(await api.GET("/calls/{id}", { params: { path: { id } } }), 200);
  assert.equal(call.turns[0]?.text_heard, "Hello.");
}

// The catalogue.
async function providers(api: Api): Promise<void> {
  const { results } = answered(await api.GET("/providers"), 200);
  assert.ok(results.some((found) => found.kind === "tts" && found.name === "local"));
}

const STEPS = [configs, refusals, calls, providers];

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
