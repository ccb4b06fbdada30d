import { describe, expect, test, vi } from "vitest";
import { addressOf, findWebSocket, refusalOf, subprotocols } from "../../src/socket.js";

describe("addresses", () => {
  test.each([
    ["ws://localhost:7630", "ws://localhost:7630/connect"],
    ["http://localhost:7630/", "ws://localhost:7630/connect"],
    ["https://a.example/mesh", "wss://a.example/mesh/connect"],
    ["wss://a.example/connect#x", "wss://a.example/connect"],
    ["ws://a.example/?q=1", "ws://a.example/connect?q=1"],
    ["localhost:7630", "ws://localhost:7630/connect"],
    ["node.example", "ws://node.example/connect"],
  ])("%s", (url, address) => expect(addressOf(url).href).toBe(address));

  test("without one", () => {
    vi.stubEnv("LAMBDAMESH_URL", undefined);
    expect(addressOf().href).toBe("ws://localhost:7630/connect");
    vi.stubEnv("LAMBDAMESH_URL", "http://node.example:80");
    expect(addressOf().href).toBe("ws://node.example/connect");
    vi.unstubAllEnvs();
  });

  test.each(["ftp://a", "", "unix:/run/x"])("%j is none", (url) => expect(() => addressOf(url)).toThrow(TypeError));
});

describe("credentials", () => {
  test("travel as subprotocols beside the codec", () => {
    expect(subprotocols({})).toEqual(["json-rpc-2.0"]);
    expect(subprotocols({ ticket: "a.b-c_", token: undefined })).toEqual(["json-rpc-2.0", "ticket.a.b-c_"]);
    expect(subprotocols({ token: "t" })).toEqual(["json-rpc-2.0", "token.t"]);
  });

  test.each(["se cret", "secret,", "", "sécret", "x".repeat(4097), "secret\r\n"])(
    "%j does not fit, and is not repeated in the error",
    (token) => {
      expect(() => subprotocols({ token })).toThrow(TypeError);
      expect(() => subprotocols({ token })).not.toThrow(/cret|xxx/);
    },
  );
});

test("the status of a refused handshake, where it shows", () => {
  expect(refusalOf({ message: "Unexpected server response: 403" })).toBe(403);
  expect(refusalOf({ message: "connect ECONNREFUSED 127.0.0.1:4030" })).toBeUndefined();
  expect(refusalOf({})).toBeUndefined();
});

test("a WebSocket is found in every runtime these tests run on", async () => {
  expect(await findWebSocket()).toBeTypeOf("function");
});
