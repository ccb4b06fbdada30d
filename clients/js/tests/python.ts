import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { createInterface } from "node:readline";
import { PYTHON, type Node } from "./node.js";

const PROGRAM = `
import asyncio, json, sys
import lambdamesh

async def add(pair):
    return sum(pair)

async def count(to):
    for n in range(to):
        yield n

async def main(url, lambda_id):
    async with lambdamesh.connect(url) as mesh:
        fn = await mesh.expose({"add": add, "count": count})
        echo = await mesh.call(lambda_id, "test", {"from": "Python \\u2192"}, timeout=5)
        items = [item async for item in mesh.stream(lambda_id, "count", 40)]
        print(json.dumps({"id": fn.id, "echo": echo, "items": items}), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main(*sys.argv[1:]))
`;

export interface Said {
  id: string;
  echo: unknown;
  items: number[];
}

/** A program on the Python client: calls `test` and `count` of a lambda, and exposes `add` and `count`. */
export async function pythonPeer(node: Node, lambdaId: string): Promise<Said & { stop(): Promise<void> }> {
  const child = spawn(PYTHON, ["-c", PROGRAM, node.ws, lambdaId], { stdio: ["pipe", "pipe", "pipe"] });
  const complaint = text(child.stderr);
  for await (const line of createInterface(child.stdout)) {
    const stop = async (): Promise<void> => {
      const ended = once(child, "exit");
      child.stdin.end();
      await ended;
    };
    return { ...(JSON.parse(line) as Said), stop };
  }
  throw new Error(`the Python program said nothing: ${await complaint}`);
}
