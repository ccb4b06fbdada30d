import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { OPENED, exposed, joined } from "../dialling.js";
import { ID } from "../wire.js";

beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.5));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe("a lost connection", () => {
  test("is made again, and the lambda opened again under its id before anything is said", async () => {
    const { dialled, socket, mesh, states } = await joined();
    const fn = await exposed(mesh, socket, { test: () => 1 });
    socket.end(1006);
    expect(fn.state).toBe("waiting");
    const second = await dialled.next();
    second.accept();
    expect(mesh.state).toBe("connecting");
    expect(second.answer("lambda.open", OPENED).params).toEqual({ id: ID, key: "key", keep: [] });
    expect([mesh.state, fn.state, fn.id]).toEqual(["open", "open", ID]);
    expect(states).toEqual(["connecting", "open", ["away", 1006, 250], "connecting", "open"]);
  });

  test("calls made meanwhile wait, calls under way are lost", async () => {
    const { dialled, socket, mesh } = await joined();
    const lost = mesh.call(ID, "first");
    socket.end(1006);
    await expect(lost).rejects.toMatchObject({ code: "lambda_lost", delivered: "unknown" });
    const waiting = mesh.call(ID, "second", { a: 1 });
    const noted = mesh.notify(ID, "third");
    const second = await dialled.next();
    second.open();
    expect(second.sent.map(({ method }) => method)).toEqual(["$/ping"]);
    second.answer("$/ping", null);
    await noted;
    expect(second.answer(`POST /lambda/${ID}/second`, "x").params).toEqual([{ a: 1 }]);
    expect(await waiting).toBe("x");
  });

  test("is tried for again and again, ever more slowly, also when a node accepts and turns away", async () => {
    vi.useFakeTimers();
    const { dialled, socket, states } = await joined();
    socket.end(4503);
    for (const retryMs of [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
      expect(states.at(-1)).toEqual(["away", 4503, retryMs]);
      await vi.advanceTimersByTimeAsync(retryMs);
      const next = dialled.made.at(-1)!;
      next.open();
      next.end(4503);
    }
    await vi.advanceTimersByTimeAsync(15_000);
    dialled.made.at(-1)!.accept();
    dialled.made.at(-1)!.end(4503);
    expect(states.at(-1)).toEqual(["away", 4503, 250]);
  });

  test.each([4403, 4404, 4409, 4410])("is final where the node says so (%i)", async (code) => {
    vi.useFakeTimers();
    const { dialled, socket, mesh, states } = await joined();
    const exposing = exposed(mesh, socket, {});
    const fn = await exposing;
    socket.end(code, "why");
    expect(await fn.closed).toEqual({ code, reason: "why" });
    expect(states.at(-1)).toEqual(["closed", code]);
    expect(vi.getTimerCount()).toBe(0);
    expect(dialled.made).toHaveLength(1);
  });

  test("is noticed by its silence, and closed in a way that keeps its lambdas", async () => {
    vi.useFakeTimers();
    const { dialled, socket, states } = await joined();
    await vi.advanceTimersByTimeAsync(15_000);
    socket.answer("$/ping", null);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(socket.sent.map(({ method }) => method)).toEqual(["$/ping"]);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(socket.closedWith).toEqual([4408]);
    expect(states.at(-1)).toEqual(["away", 1006, 250]);
    await vi.advanceTimersByTimeAsync(250);
    expect(dialled.made).toHaveLength(2);
    socket.end(4408);
    expect(states.at(-1)).toBe("connecting");
  });

  test("a lambda whose re-opening is put off is asked for again", async () => {
    vi.useFakeTimers();
    const { dialled, socket, mesh } = await joined();
    const fn = await exposed(mesh, socket, {});
    socket.end(1006);
    await vi.advanceTimersByTimeAsync(250);
    const second = dialled.made[1]!;
    second.accept();
    const asked = second.sent.shift()!;
    second.say({
      id: asked.id,
      error: { code: 503, message: "recovering", data: { status: 503, code: "recovering" } },
    });
    expect([mesh.state, fn.state]).toEqual(["open", "waiting"]);
    await vi.advanceTimersByTimeAsync(250);
    second.answer("lambda.open", OPENED);
    expect(fn.state).toBe("open");
  });
});

describe("signs of the world", () => {
  function world() {
    const [window, document] = [new EventTarget(), Object.assign(new EventTarget(), { visibilityState: "hidden" })];
    vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
    vi.stubGlobal("document", document);
    return { window, document };
  }

  test("online and becoming visible ask for a sign of life", async () => {
    const { window, document } = world();
    const { socket } = await joined();
    document.dispatchEvent(new Event("visibilitychange"));
    expect(socket.sent).toEqual([]);
    document.visibilityState = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    socket.answer("$/ping", null);
    window.dispatchEvent(new Event("online"));
    socket.answer("$/ping", null);
  });

  test("when away they connect at once", async () => {
    vi.useFakeTimers();
    const { window } = world();
    const { dialled, socket } = await joined();
    socket.end(1006);
    window.dispatchEvent(new Event("online"));
    window.dispatchEvent(new Event("online"));
    (await dialled.next()).accept();
    await vi.advanceTimersByTimeAsync(1000);
    expect(dialled.made).toHaveLength(2);
  });

  test("after the end nobody listens", async () => {
    const { window } = world();
    const { dialled, socket, mesh } = await joined();
    const closing = mesh.close();
    socket.end(1000);
    await closing;
    window.dispatchEvent(new Event("online"));
    expect(dialled.made).toHaveLength(1);
  });
});
