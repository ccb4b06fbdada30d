import { describe, expect, test, vi } from "vitest";
import { MESSAGE_LIMIT_BYTES } from "../../src/messages.js";
import { Requests, WAITING_LIMIT, type Request } from "../../src/requests.js";

const NOW = 1_000_000;

function request(more: Omit<Partial<Request>, "result" | "fault"> = {}) {
  return { method: "GET /ping", params: "[]", result: vi.fn(), fault: vi.fn(), ...more };
}

function attached() {
  const requests = new Requests(() => NOW);
  const sent: unknown[] = [];
  requests.attach((text) => sent.push(JSON.parse(text)) > 0);
  return { requests, sent };
}

test("a request is one object, with what is left of its time", () => {
  const { requests, sent } = attached();
  requests.start(
    request({
      method: "POST /lambda/ID/a%22b",
      params: '[{"a":1}]',
      deadlineAt: NOW + 1500.2,
      traceparent: "00-a-b-01",
    }),
  );
  expect(sent).toEqual([
    {
      jsonrpc: "2.0",
      id: 1,
      method: "POST /lambda/ID/a%22b",
      params: [{ a: 1 }],
      meta: { timeout_ms: 1501, traceparent: "00-a-b-01" },
    },
  ]);
});

test("a stream asks for credit and says the longest silence", () => {
  const { requests, sent } = attached();
  requests.start(request({ stream: true, deadlineAt: NOW + 10, silenceMs: 5000 }));
  expect(sent).toEqual([
    { jsonrpc: "2.0", id: 1, method: "GET /ping", params: [], meta: { timeout_ms: 5000, stream: true, credit: 16 } },
  ]);
});

test("a notification has no id and no time, and ends when it was sent", () => {
  const { requests, sent } = attached();
  const notify = request({ notify: true, deadlineAt: NOW + 10 });
  requests.start(notify);
  expect(sent).toEqual([{ jsonrpc: "2.0", method: "GET /ping", params: [] }]);
  expect(notify.result).toHaveBeenCalledOnce();
  requests.detach();
  expect(notify.fault).not.toHaveBeenCalled();
});

test("answers find their requests, once", () => {
  const { requests } = attached();
  const [first, second] = [request(), request()];
  requests.start(first);
  requests.start(second);
  requests.answered({ id: 2, result: "two" });
  requests.answered({ id: 2, result: "again" });
  requests.answered({ id: 1 });
  requests.answered({ id: "1", result: "of another type" });
  requests.answered({ id: 99, result: "unknown" });
  requests.answered({});
  expect(second.result).toHaveBeenCalledExactlyOnceWith("two");
  expect(first.result).toHaveBeenCalledExactlyOnceWith(null);
});

describe("without a connection", () => {
  test("requests wait, in order", () => {
    const requests = new Requests(() => NOW);
    const sent: string[] = [];
    for (const method of ["a", "b", "c"]) requests.start(request({ method }));
    requests.cancel(2);
    requests.attach((text) => sent.push((JSON.parse(text) as { method: string }).method) > 0);
    expect(sent).toEqual(["a", "c"]);
  });

  test("at most so many", () => {
    const requests = new Requests(() => NOW);
    for (let n = 0; n < WAITING_LIMIT; n++) requests.start(request());
    const late = request();
    requests.start(late);
    expect(late.fault.mock.calls[0]![0]).toMatchObject({ code: "overloaded", delivered: "no", retryable: true });
  });

  test("what a socket did not take goes on waiting", () => {
    const { requests, sent } = attached();
    requests.attach(() => false);
    const waiting = request();
    requests.start(waiting);
    requests.detach();
    expect(waiting.fault).not.toHaveBeenCalled();
    requests.attach((text) => sent.push(text) > 0);
    expect(sent).toHaveLength(1);
  });

  test("the end fails those that wait as not delivered", () => {
    const requests = new Requests(() => NOW);
    const waiting = request();
    requests.start(waiting);
    requests.end("forbidden");
    expect(waiting.fault.mock.calls[0]![0]).toMatchObject({
      code: "closed",
      delivered: "no",
      message: "the mesh is closed: forbidden",
    });
  });
});

test("a socket that ends leaves it open whether what was sent arrived", () => {
  const { requests } = attached();
  const sent = request();
  requests.start(sent);
  requests.detach();
  requests.answered({ id: 1, result: 1 });
  expect(sent.fault).toHaveBeenCalledOnce();
  expect(sent.fault.mock.calls[0]![0]).toMatchObject({ code: "lambda_lost", delivered: "unknown", retryable: false });
  expect(sent.result).not.toHaveBeenCalled();
});

test("what is cancelled is forgotten, and the node told where it knows of it", () => {
  const { requests, sent } = attached();
  const stream = request({ stream: true, item: vi.fn() });
  const id = requests.start(stream);
  requests.progressed(id, "item");
  requests.cancel(id);
  requests.cancel(id);
  requests.progressed(id, "late");
  requests.answered({ id, result: 1 });
  requests.grant(id, 8);
  expect(sent.slice(1)).toEqual([{ jsonrpc: "2.0", method: "$/cancelRequest", params: { id } }]);
  expect(stream.item).toHaveBeenCalledExactlyOnceWith("item");
  expect(stream.result).not.toHaveBeenCalled();
});

test("a body over the limit is not sent, since it would end the connection", () => {
  const { requests, sent } = attached();
  const large = request({ params: `["${"ü".repeat(MESSAGE_LIMIT_BYTES / 2)}"]` });
  requests.start(large);
  expect(large.fault.mock.calls[0]![0]).toMatchObject({ code: "too_large", delivered: "no" });
  expect(sent).toEqual([]);
});
