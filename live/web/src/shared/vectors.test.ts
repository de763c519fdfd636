import { decode, encode } from "@msgpack/msgpack";
import { expect, it } from "vitest";
import file from "../../../../tests/realtime/vectors.json";

interface Vector {
  name: string;
  hex: string;
  decoded: unknown;
}

const vectors = file as unknown as { messages: Vector[]; commands: Vector[] };
const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

it.each([...vectors.messages, ...vectors.commands].map((v) => [v.name, v] as const))("%s reads as the hub means it", (_, vector) => {
  expect(decode(bytes(vector.hex))).toEqual(vector.decoded);
});

it.each(vectors.commands.map((v) => [v.name, v] as const))("%s says the same when this page writes it", (_, vector) => {
  expect(decode(encode(vector.decoded))).toEqual(vector.decoded);
});
