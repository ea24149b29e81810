import assert from "node:assert/strict";
import { test } from "node:test";
import { exactSource } from "./source.js";

for (const [name, message, want] of [
  ["a number beyond 2^53 keeps its digits", `{"id":"1","source":{"badge":12345678901234567890}}`, `{"badge":12345678901234567890}`],
  ["white space and other letters stay", `{"id":"1","source": { "name":\n"Łukasiewicz" } }`, ` { "name":\n"Łukasiewicz" } `],
  ["a source within the source is part of it", `{"id":"1","source":{"a":1,"source":{"b":2}}}`, `{"a":1,"source":{"b":2}}`],
  ["a field of that name in another object is not it", `{"photo":{"id":1,"source":"x"},"source":{"c":3}}`, `{"c":3}`],
  ["a text of that name is not it", `{"company":"source","host":{"group":",\\"source\\":{"},"source":{"d":4}}`, `{"d":4}`],
  ["a source of another type", `{"id":"1","source":[1.0,"}"]}`, `[1.0,"}"]`],
  ["there may be none", `{"id":"1","person":{}}`, undefined],
] as const)
  test(`exactSource: ${name}`, () => assert.equal(exactSource(Buffer.from(message))?.toString(), want));
