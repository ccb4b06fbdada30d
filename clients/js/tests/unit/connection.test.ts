import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../src/index.js";
import { dialling, exposed, joined } from "../dialling.js";
import { ID } from "../wire.js";

beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.5));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe("connect", () => {
  test("resolves when the node has answered, not before", async () => {
    const { dialled, connected, states } = dialling({ token: "t", ticket: "a.b.c" });
    const socket = await dialled.next();
    expect(socket.url).toBe("ws://node.example/connect");
    expect(socket.protocols).toEqual(["json-rpc-2.0", "ticket.a.b.c", "token.t"]);
    socket.open();
    expect(states).toEqual(["connecting"]);
    socket.answer("$/ping", null);
    expect((await connected).state).toBe("open");
    expect(states).toEqual(["connecting", "open"]);
  });

  test("fails after three tries, naming what a page cannot see", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("location", { origin: "http://page.example" });
    const { dialled, connected, states } = dialling();
    for (const retryMs of [250, 500, 0]) {
      (await dialled.next()).end(1006);
      await vi.advanceTimersByTimeAsync(retryMs);
    }
    await expect(connected).rejects.toMatchObject({ name: "ConnectError", code: 1006 });
    await expect(connected).rejects.toThrow(
      /ws:\/\/node\.example\/connect.*Origin http:\/\/page\.example.*Host node\.example/,
    );
    expect(states).toEqual([
      "connecting",
      ["away", 1006, 250],
      "connecting",
      ["away", 1006, 500],
      "connecting",
      ["closed", 1006],
    ]);
    expect(dialled.made).toHaveLength(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([4403, 4400, 1008])("fails at once when refused for good (%i)", async (code) => {
    const { dialled, connected, states } = dialling();
    const socket = await dialled.next();
    socket.open();
    socket.end(code, "why");
    await expect(connected).rejects.toMatchObject({
      code,
      message: `ws://node.example/connect refuses the connection (${code}, why)`,
    });
    expect(states).toEqual(["connecting", ["closed", code]]);
  });

  test("a status that the runtime shows counts like a close code", async () => {
    const { dialled, connected } = dialling();
    const socket = await dialled.next();
    socket.onerror!({ message: "Unexpected server response: 403" });
    socket.end(1006);
    await expect(connected).rejects.toMatchObject({ code: 403 });
  });

  test("an address that no socket takes", async () => {
    class Refusing {
      constructor() {
        throw new DOMException("insecure", "SecurityError");
      }
    }
    const { connected } = dialling({ WebSocket: Refusing as never });
    await expect(connected).rejects.toMatchObject({ name: "ConnectError", cause: { name: "SecurityError" } });
    await expect(connect("ftp://node.example")).rejects.toThrow(TypeError);
  });

  test("secrets in the address are in no error", async () => {
    const { dialled } = dialling();
    const connected = connect("ws://me:secret@node.example/?ticket=secret", { WebSocket: dialled.WebSocket });
    await dialled.next();
    (await dialled.next()).end(4403);
    await expect(connected).rejects.not.toThrow(/secret/);
  });
});

describe("close", () => {
  test("says 1000 and resolves when the socket has closed", async () => {
    const { socket, mesh, states } = await joined();
    const fn = await exposed(mesh, socket, {});
    const call = mesh.call(ID, "m");
    const closing = mesh.close();
    await expect(call).rejects.toMatchObject({ code: "lambda_lost" });
    expect(socket.closedWith).toEqual([1000]);
    expect(await fn.closed).toMatchObject({ code: 1000 });
    let isClosed = false;
    void closing.then(() => (isClosed = true));
    await Promise.resolve();
    expect(isClosed).toBe(false);
    socket.end(1000);
    await closing;
    await mesh.close();
    expect(states).toEqual(["connecting", "open", ["closed", 1000]]);
    await expect(mesh.expose({})).rejects.toMatchObject({ code: "closed" });
  });

  test("does not wait for ever", async () => {
    vi.useFakeTimers();
    const { mesh } = await joined();
    const closing = mesh.close();
    await vi.advanceTimersByTimeAsync(5000);
    await closing;
  });

  test("while away stops trying", async () => {
    vi.useFakeTimers();
    const { socket, mesh } = await joined();
    const waiting = mesh.call(ID, "m");
    socket.end(1006);
    await expect(waiting).rejects.toMatchObject({ code: "lambda_lost" });
    await mesh.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("of one lambda leaves the rest", async () => {
    const { socket, mesh } = await joined();
    const fn = await exposed(mesh, socket, {});
    const closing = fn.close();
    expect(socket.answer("lambda.close", {}).params).toEqual({ id: ID });
    await closing;
    expect([fn.state, mesh.state]).toEqual(["closed", "open"]);
  });
});

test("names of lambdas and methods are escaped", async () => {
  const { socket, mesh } = await joined();
  void mesh.call("../x", "a/b?c#ü %", null).catch(() => {});
  expect(socket.sent[0]!.method).toBe("POST /lambda/..%2Fx/a%2Fb%3Fc%23%C3%BC%20%25");
  await expect(mesh.call(ID, "\ud800")).rejects.toThrow(URIError);
  await expect(mesh.call(ID, "m", 1n)).rejects.toThrow(TypeError);
  await expect(mesh.stream(ID, "m", 1n).next()).rejects.toThrow(TypeError);
});

test("what onstate throws is the application's and breaks nothing", async () => {
  const thrown: unknown[] = [];
  vi.stubGlobal("queueMicrotask", (task: () => void) => {
    try {
      task();
    } catch (error) {
      thrown.push(error);
    }
  });
  const { mesh } = await joined({
    onstate: () => {
      throw new Error("mine");
    },
  });
  expect(mesh.state).toBe("open");
  expect(thrown).toHaveLength(2);
});
