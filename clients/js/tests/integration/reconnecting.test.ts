import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { connect, type State } from "../../src/index.js";
import { deferred } from "../deferred.js";
import { Node } from "../node.js";
import { join, node, useNode } from "./meshes.js";

useNode();

describe("a lost connection", () => {
  /** A WebSocket whose connection a test can cut, and keep down. */
  function cuttable() {
    const sockets: WebSocket[] = [];
    const network = { isDown: false, cut: () => sockets.at(-1)!.terminate() };
    class Cuttable extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(network.isDown ? "ws://127.0.0.1:1" : url, protocols);
        sockets.push(this);
      }
    }
    return { WebSocket: Cuttable, network };
  }

  function watched() {
    let waits: { state: State; came: () => void }[] = [];
    const onstate = (state: State): void => {
      for (const wait of waits) if (wait.state === state) wait.came();
      waits = waits.filter((wait) => wait.state !== state);
    };
    return { onstate, until: (state: State) => new Promise<void>((came) => waits.push({ state, came })) };
  }

  test("keeps the id; calls under way and calls made meanwhile are answered", async () => {
    const { WebSocket, network } = cuttable();
    const { onstate, until } = watched();
    const mesh = await join({ WebSocket, onstate });
    const [began, answer] = [deferred<void>(), deferred<string>()];
    const fn = await mesh.expose({ slow: () => (began.resolve(), answer.promise), test: () => "here" });
    const slow = node.post(fn.id, "slow");
    await began.promise;
    const away = until("away");
    network.isDown = true;
    network.cut();
    await away;
    await node.until(fn.id, ({ state }) => state === "waiting");
    answer.resolve("finished while away");
    const meanwhile = node.post(fn.id, "test");
    const back = until("open");
    network.isDown = false;
    await back;
    expect(await slow).toEqual({ status: 200, answer: "finished while away" });
    expect(await meanwhile).toEqual({ status: 200, answer: "here" });
    expect(fn.state).toBe("open");
  });

  test.each(["crash", "drain"] as const)("a %s and a restart of the node keep the id", async (end) => {
    const own = await Node.start();
    const { onstate, until } = watched();
    const mesh = await join({ onstate }, own.ws);
    const fn = await mesh.expose({ test: () => "still here" });
    await own[end]();
    const back = until("open");
    await own.up();
    await back;
    expect(await own.post(fn.id, "test")).toEqual({ status: 200, answer: "still here" });
    await mesh.close();
    await own.stop();
  });

  test("calls wait for a provider on its way back, and where the node is away", async () => {
    const own = await Node.start();
    const { WebSocket, network } = cuttable();
    const { onstate, until } = watched();
    const provider = await connect(own.ws, { WebSocket });
    const caller = await connect(own.ws, { onstate });
    const fn = await provider.expose({ test: (body: unknown) => body });
    network.isDown = true;
    await own.crash();
    const meanwhile = caller.call(fn.id, "test", "meanwhile");
    const back = until("open");
    await own.up();
    await back;
    const later = caller.call(fn.id, "test", "later");
    const hasty = await connect(own.ws, { patience: 0 });
    await expect(hasty.call(fn.id, "test")).rejects.toMatchObject({ code: "recovering", delivered: "no" });
    network.isDown = false;
    expect(await Promise.all([meanwhile, later])).toEqual(["meanwhile", "later"]);
    await Promise.all([provider, caller, hasty].map((mesh) => mesh.close()));
    await own.stop();
  });

  test("no call fails while the own node drains and restarts", async () => {
    const own = await Node.start();
    const [began, answer] = [deferred<void>(), deferred<string>()];
    const provider = await connect(own.ws);
    const caller = await connect(own.ws);
    const runs: unknown[] = [];
    const fn = await provider.expose({
      slow: () => (began.resolve(), answer.promise),
      test: (body: unknown) => (runs.push(body), body),
    });
    const slow = caller.call(fn.id, "slow");
    await began.promise;
    const drained = own.drain();
    await own.untilDraining();
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    const calls = Promise.all(numbers.map((number) => caller.call(fn.id, "test", number)));
    // Behind the others on the same socket, and with no time to be asked again: they were refused as well.
    await expect(caller.call(fn.id, "test", -1, { timeout: 500 })).rejects.toMatchObject({ delivered: "no" });
    answer.resolve("before");
    expect(await slow).toBe("before");
    await drained;
    await own.up();
    expect(await calls).toEqual(numbers);
    expect(runs.sort((a, b) => Number(a) - Number(b))).toEqual(numbers);
    await Promise.all([provider, caller].map((mesh) => mesh.close()));
    await own.stop();
  });

  test("deleted: the lambda ends, the connection stays", async () => {
    const mesh = await join();
    const fn = await mesh.expose({});
    await fetch(`${node.url}/lambda/${fn.id}`, { method: "DELETE" });
    expect(await fn.closed).toMatchObject({ code: 4410 });
    expect([fn.state, mesh.state]).toEqual(["closed", "open"]);
  });

  test("after its grace it is gone, until it comes back with its key", async () => {
    const { WebSocket, network } = cuttable();
    const { onstate, until } = watched();
    const mesh = await join({ WebSocket, onstate, grace: 100 });
    const fn = await mesh.expose({ test: () => "back" });
    network.isDown = true;
    network.cut();
    await node.until(fn.id, ({ status }) => status === 410);
    expect(await node.post(fn.id, "test")).toMatchObject({ status: 410, answer: { code: "lambda_gone" } });
    const back = until("open");
    network.isDown = false;
    await back;
    expect(await node.post(fn.id, "test")).toEqual({ status: 200, answer: "back" });
  });

  test("close ends lambdas at once, whatever their grace", async () => {
    const mesh = await join({ grace: 300_000 });
    const fn = await mesh.expose({});
    await mesh.close();
    await node.until(fn.id, ({ status }) => status === 410);
  });
});

describe("doors", () => {
  test("a foreign origin is refused for good", async () => {
    class Foreign extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { origin: "http://other.example" });
      }
    }
    await expect(connect(node.ws, { WebSocket: Foreign })).rejects.toMatchObject({ name: "ConnectError", code: 403 });
  });

  test("nobody there", async () => {
    const gone = await Node.start();
    await gone.stop();
    await expect(connect(gone.ws)).rejects.toThrow(/no connection to ws:.*listening.*Origin.*Host/);
  });
});
