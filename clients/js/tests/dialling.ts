import { expect, vi } from "vitest";
import { connect, type ConnectOptions, type Mesh } from "../src/index.js";
import { Dialled } from "./sockets.js";
import { ID } from "./wire.js";

const URL_ = "ws://node.example";
export const OPENED = { id: ID, resume_key: "key", grace_s: 15, pending: [] };

/** Begin to connect; every state that is told is noted. */
export function dialling(options: ConnectOptions = {}) {
  const dialled = new Dialled();
  const states: unknown[] = [];
  const connected = connect(URL_, {
    WebSocket: dialled.WebSocket,
    onstate: (state, { code, retryMs }) =>
      states.push(retryMs === undefined ? (code === undefined ? state : [state, code]) : [state, code, retryMs]),
    ...options,
  });
  connected.catch(() => {});
  return { dialled, states, connected };
}

/** Connect, and be answered. */
export async function joined(options: ConnectOptions = {}) {
  const { dialled, states, connected } = dialling(options);
  const socket = await dialled.next();
  socket.accept();
  return { dialled, states, socket, mesh: await connected };
}

/** Expose `target`, and be answered. */
export async function exposed(
  mesh: Mesh,
  socket: { answer(method: string, result: unknown): unknown; sent: { method?: string }[] },
  target: object,
) {
  const exposing = mesh.expose(target);
  await vi.waitFor(() => expect(socket.sent.some(({ method }) => method === "lambda.open")).toBe(true));
  socket.answer("lambda.open", OPENED);
  return exposing;
}
