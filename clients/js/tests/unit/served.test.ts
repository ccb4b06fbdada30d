import { expect, test, vi } from "vitest";
import { ID, NOW, Shown, Wire } from "../wire.js";
import type { CallContext } from "../../src/index.js";
import { deferred } from "../deferred.js";

test("the context says what the node said", async () => {
  const wire = new Wire();
  wire.attach();
  let context: CallContext | undefined;
  wire.open({ test: (_: unknown, given: CallContext) => void (context = given) });
  wire.call("test", null, 1, {
    ray: "0057be39815282ea-MYH",
    traceparent: "00-aa-bb-01",
    sub: "anna",
    deadline_ms: 500,
  });
  expect(await wire.next()).toMatchObject({ result: null });
  expect(context).toMatchObject({
    ray: "0057be39815282ea-MYH",
    traceparent: "00-aa-bb-01",
    sub: "anna",
    lambda: ID,
    stream: false,
  });
  expect(context!.deadline!.getTime()).toBe(NOW + 500);
  expect(context!.signal.aborted).toBe(false);
});

test("a notification runs its handler and is not answered", async () => {
  const wire = new Wire();
  wire.attach();
  const seen = deferred<unknown>();
  wire.open({ seen: (body: unknown) => seen.resolve(body), test: () => 1 });
  wire.call("seen", 42, undefined);
  expect(await seen.promise).toBe(42);
  wire.call("test", null, 1);
  expect(await wire.next()).toMatchObject({ id: `${ID}.1`, result: 1 });
});

test("a cancelled call aborts its signal and is not answered", async () => {
  const wire = new Wire();
  wire.attach();
  const aborted = deferred<void>();
  wire.open({
    wait: (_: unknown, { signal }: CallContext) =>
      new Promise((resolve) => signal.addEventListener("abort", () => (resolve("late"), aborted.resolve()))),
    test: () => "next",
  });
  wire.call("wait", null, 1);
  wire.say({ method: "$/cancelRequest", params: { id: `${ID}.1` } });
  await aborted.promise;
  wire.call("test", null, 2);
  expect(await wire.next()).toMatchObject({ id: `${ID}.2`, result: "next" });
});

test("calls that still run are kept across sockets, and answered on the next", async () => {
  const wire = new Wire();
  wire.attach();
  const answers = [deferred<string>(), deferred<string>(), deferred<string>()];
  const signals: AbortSignal[] = [];
  wire.open({ test: (n: number, { signal }: CallContext) => (signals.push(signal), answers[n]!.promise) });
  for (const n of [0, 1, 2]) wire.call("test", n, n + 1);
  wire.detach();
  answers[0]!.resolve("finished while away");
  await answers[0]!.promise;
  wire.attach();
  expect(wire.take("lambda.open").params).toMatchObject({ id: ID, keep: [1, 2, 3] });
  wire.answer(4, { id: ID, resume_key: "newer", grace_s: 15, pending: [1, 2] });
  expect(wire.take()).toMatchObject({ id: `${ID}.1`, result: "finished while away" });
  expect(signals.map((signal) => signal.aborted)).toEqual([false, false, true]);
  answers[1]!.resolve("finished after");
  expect(await wire.next()).toMatchObject({ id: `${ID}.2`, result: "finished after" });
});

test("an answer waits until the node has opened the lambda again", async () => {
  const wire = new Wire();
  wire.attach();
  const answer = deferred<string>();
  wire.open({ test: () => answer.promise });
  wire.call("test", null, 1);
  wire.detach();
  wire.attach();
  answer.resolve("x");
  await answer.promise;
  await Promise.resolve();
  expect(wire.unread).toHaveLength(1);
  wire.answerOpen(ID, [1]);
  expect(wire.take()).toMatchObject({ id: `${ID}.1`, result: "x" });
  wire.detach();
  wire.attach();
  expect(wire.take("lambda.open").params).toMatchObject({ keep: [] });
});

test("an answer that the socket did not take is kept", async () => {
  const wire = new Wire();
  wire.attach();
  const answer = deferred<string>();
  const shown = wire.open({ test: () => answer.promise });
  wire.call("test", null, 1);
  wire.takes = false;
  answer.resolve("x");
  await vi.waitFor(() => expect(shown.served.opening).toMatchObject({ keep: [1] }));
  wire.detach();
  wire.takes = true;
  wire.attach();
  wire.answerOpen(ID, [1]);
  expect(await wire.next()).toMatchObject({ id: `${ID}.1`, result: "x" });
});

test("a stream ends with its socket", async () => {
  const wire = new Wire();
  wire.attach();
  const left = deferred<void>();
  wire.open({
    async *count() {
      try {
        for (;;) yield 1;
      } finally {
        left.resolve();
      }
    },
  });
  wire.call("count", null, 1, { stream: true, credit: 1 });
  await wire.next();
  wire.detach();
  await left.promise;
  wire.attach();
  expect(wire.take("lambda.open").params).toMatchObject({ keep: [] });
});

test("rpc.discover lists the methods", async () => {
  const wire = new Wire();
  wire.attach();
  wire.open({ add: () => 1, sub: () => 2 });
  wire.call("rpc.discover", null, 1);
  const { result } = (await wire.next()) as { result: { openrpc: string; methods: { name: string }[] } };
  expect(result.openrpc).toMatch(/^1\.3\./);
  expect(result.methods.map(({ name }) => name)).toEqual(["add", "sub"]);
});

test("every opening brings a newer key", () => {
  const wire = new Wire();
  wire.attach();
  const { served } = wire.open({});
  const { key } = served;
  wire.detach();
  wire.attach();
  expect(wire.answerOpen().params).toMatchObject({ id: ID, key });
  expect(served.key).not.toBe(key);
});

test("a failing notification reaches the console only when debugging", async () => {
  const complaint = vi.spyOn(console, "error").mockImplementation(() => {});
  for (const debug of [false, true]) {
    const wire = new Wire();
    wire.attach();
    const shown = new Shown({ fail: () => Promise.reject(new Error("no")), test: () => 1 }, undefined, { debug });
    wire.session.serve(shown.served);
    wire.answerOpen();
    wire.call("fail", null, undefined);
    wire.call("test", null, 1);
    await wire.next();
  }
  await vi.waitFor(() => expect(complaint).toHaveBeenCalledOnce());
  complaint.mockRestore();
});
