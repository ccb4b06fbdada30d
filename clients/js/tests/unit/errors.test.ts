import { expect, test } from "vitest";
import { callError, CallError } from "../../src/errors.js";

test("an answer's error says all that the node said", () => {
  const error = callError({
    code: 400,
    message: "no such thing",
    data: {
      status: 400,
      code: "invalid_params",
      delivered: "yes",
      ray: "0057be39815282ea-MYH",
      rpc_code: -32602,
      data: { at: "$.a" },
    },
  });
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(CallError);
  expect({ ...error, message: error.message, retryable: error.retryable }).toEqual({
    name: "CallError",
    message: "no such thing",
    code: "invalid_params",
    delivered: "yes",
    ray: "0057be39815282ea-MYH",
    status: 400,
    rpcCode: -32602,
    data: { at: "$.a" },
    retryable: false,
  });
});

test("an error without a word of the node's", () => {
  expect(callError({ code: -32601, message: "no" })).toMatchObject({ code: "not_found", delivered: "no" });
  expect(callError({})).toMatchObject({ code: "bad_request", delivered: "no", message: "the node gave no reason" });
});

test.each([
  ["overloaded", "no", true],
  ["draining", "no", true],
  ["recovering", "no", true],
  ["peer_unreachable", "no", true],
  ["overloaded", "unknown", false],
  ["lambda_lost", "unknown", false],
  ["lambda_gone", "no", false],
  ["timeout", "no", false],
] as const)("%s, delivered %s: retryable %s", (code, delivered, retryable) => {
  expect(new CallError("", { code, delivered }).retryable).toBe(retryable);
});
