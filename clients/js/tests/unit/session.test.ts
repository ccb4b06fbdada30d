import { expect, test, vi } from "vitest";
import { ID, Shown, Wire } from "../wire.js";

test("says nothing but a ping before the node has answered it", () => {
  const wire = new Wire();
  wire.session.serve(new Shown({}).served);
  wire.session.requests.start({ method: "GET /ping", params: "[]", result: vi.fn(), fault: vi.fn() });
  wire.attach();
  expect([wire.take().method, wire.take().method]).toEqual(["lambda.open", "GET /ping"]);
});

test("is ready when every lambda was answered for", () => {
  const wire = new Wire();
  wire.session.serve(new Shown({}).served);
  wire.attach();
  expect(wire.readies).toBe(0);
  wire.answerOpen();
  expect(wire.readies).toBe(1);
});

test("an answer to a greeting of an earlier socket opens nothing", () => {
  const wire = new Wire();
  wire.session.attach(() => true);
  wire.session.detach();
  wire.answer(1, null);
  expect(wire.readies).toBe(0);
});

test("opens with the grace asked for, and with nothing else", () => {
  const wire = new Wire();
  wire.attach();
  wire.session.serve(new Shown({}, undefined, { graceS: 2 }).served);
  expect(wire.take().params).toEqual({ grace_s: 2 });
});

test("a call is answered under its id", async () => {
  const wire = new Wire();
  wire.attach();
  wire.open({ test: (body: unknown) => ({ echo: body }) });
  wire.call("test", { hello: "world" }, 1);
  expect(await wire.next()).toEqual({ jsonrpc: "2.0", id: `${ID}.1`, result: { echo: { hello: "world" } } });
});

test("what a caller names a method cannot pass for a word of the node", async () => {
  const wire = new Wire();
  wire.attach();
  const shown = wire.open({ "lambda.closed": () => "mine" });
  wire.call("lambda.closed", { id: ID, code: 4410, reason: "" }, undefined);
  wire.call("$/ping", null, 1);
  expect((await wire.next()).error).toMatchObject({ code: -32601 });
  wire.call("lambda.closed", null, 2);
  expect(await wire.next()).toMatchObject({ id: `${ID}.2`, result: "mine" });
  expect(shown.closing).toBeUndefined();
});

test("lambda.closed ends that lambda alone, and it is not opened again", () => {
  const wire = new Wire();
  wire.attach();
  const shown = wire.open({});
  wire.say({ method: "lambda.closed", params: { id: ID, code: 4410, reason: "deleted" } });
  expect(shown.closing).toEqual({ code: 4410, reason: "deleted" });
  expect(shown.served.state).toBe("closed");
  wire.detach();
  wire.attach();
  expect(wire.unread).toEqual([]);
});

test("close tells the node and ends the calls", () => {
  const wire = new Wire();
  wire.attach();
  let signal: AbortSignal | undefined;
  const shown = wire.open({
    wait: (_: unknown, context: { signal: AbortSignal }) => ((signal = context.signal), new Promise(() => {})),
  });
  wire.call("wait", null, 1);
  const closed = vi.fn();
  wire.session.close(shown.served, closed);
  expect(signal?.aborted).toBe(true);
  const asked = wire.take("lambda.close");
  expect(asked.params).toEqual({ id: ID });
  expect(closed).not.toHaveBeenCalled();
  wire.answer(asked.id, {});
  expect(closed).toHaveBeenCalledOnce();
});

test("a lambda closed while it was being opened is closed at the node too", () => {
  const wire = new Wire();
  wire.attach();
  const shown = new Shown({});
  wire.session.serve(shown.served);
  wire.session.close(shown.served, vi.fn());
  wire.answerOpen();
  expect(wire.take("lambda.close").params).toEqual({ id: ID });
  expect(shown.openings).toBe(0);
});

test("a first opening that is refused is told, and not tried again", () => {
  const wire = new Wire();
  wire.attach();
  const shown = new Shown({});
  wire.session.serve(shown.served);
  wire.refuse(wire.take("lambda.open").id, 429, "overloaded");
  expect(shown.error).toMatchObject({ code: "overloaded", status: 429, delivered: "no", retryable: true });
  wire.detach();
  wire.attach();
  expect(wire.unread).toEqual([]);
});

test("an opening whose socket ended is asked for again", () => {
  const wire = new Wire();
  wire.attach();
  const shown = new Shown({});
  wire.session.serve(shown.served);
  wire.take("lambda.open");
  wire.detach();
  expect(shown.closing).toBeUndefined();
  wire.attach();
  wire.answerOpen();
  expect(shown.openings).toBe(1);
});

test.each([429, 502, 503, 504])("a re-opening that the node puts off (%i) is tried later", (status) => {
  const wire = new Wire();
  wire.attach();
  const shown = wire.open({});
  wire.detach();
  wire.attach();
  wire.refuse(wire.take("lambda.open").id, status, "recovering");
  expect(wire.putOff).toEqual([shown.served]);
  expect(wire.readies).toBe(2);
  wire.session.open(shown.served);
  expect(wire.take("lambda.open").params).toMatchObject({ id: ID });
});

test.each([403, 404, 410])("a re-opening that is refused for good (%i) ends the lambda", (status) => {
  const wire = new Wire();
  wire.attach();
  const shown = wire.open({});
  wire.detach();
  wire.attach();
  wire.refuse(wire.take("lambda.open").id, status, "forbidden");
  expect(shown.closing).toEqual({ code: 4000 + status, reason: "forbidden" });
});

test.each([
  [403, "forbidden"],
  [502, "peer_unreachable"],
])("an id of an earlier page that is refused (%i %s) gives way to a new one", (status, code) => {
  const wire = new Wire();
  wire.attach();
  const shown = new Shown({}, { id: "an-old-id", key: "its-key" });
  wire.session.serve(shown.served);
  const first = wire.take("lambda.open");
  expect(first.params).toMatchObject({ id: "an-old-id", key: "its-key", keep: [] });
  wire.refuse(first.id, status, code);
  expect(wire.take("lambda.open").params).toEqual({});
  expect(shown.closing).toBeUndefined();
});

test("asks of the node are answered", () => {
  const wire = new Wire();
  wire.attach();
  wire.say({ id: 7, method: "$/ping", params: [] });
  expect(wire.take()).toEqual({ jsonrpc: "2.0", id: 7, result: null });
  wire.say({ id: 8, method: "constructor" });
  expect(wire.take().error).toMatchObject({ code: -32601 });
});

test("a call for a lambda that has closed is answered, and so is a message that is none ignored", () => {
  const wire = new Wire();
  wire.attach();
  wire.call("test", null, 1);
  expect(wire.take().error).toBeDefined();
  for (const text of ["", "[]", "null", "1", "{", '{"method":"constructor"}', '{"method":5,"id":1}', "{}"])
    wire.session.receive(text);
  expect(wire.unread).toEqual([]);
});

test("the end of a session ends its lambdas and its requests", () => {
  const wire = new Wire();
  wire.attach();
  const shown = wire.open({});
  const opening = new Shown({});
  wire.session.serve(opening.served);
  wire.session.end({ code: 4403, reason: "forbidden" });
  expect(shown.closing).toEqual({ code: 4403, reason: "forbidden" });
  expect(opening.closing).toEqual({ code: 4403, reason: "forbidden" });
  const fault = vi.fn();
  wire.session.requests.start({ method: "GET /ping", params: "[]", result: vi.fn(), fault });
  expect(fault.mock.calls[0]![0]).toMatchObject({ code: "closed", delivered: "no" });
});
