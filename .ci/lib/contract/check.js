// Reads AsyncAPI documents with AsyncAPI's own parser, and fails where it has anything
// to say about one, or finds no operation, message or example in it.
//
//   node check.js DOCUMENT...
import { readFile } from 'node:fs/promises';
import { Parser } from '@asyncapi/parser';

const kinds = ['error', 'warning', 'info', 'hint'];
// Not every tool reads a newer version yet.
const ignored = ['asyncapi-latest-version'];

async function check(file) {
  const { document, diagnostics } = await new Parser().parse(await readFile(file, 'utf8'));
  const found = diagnostics.filter((d) => !ignored.includes(d.code));
  for (const d of found) {
    console.error(`${file}: ${kinds[d.severity]}: ${d.path.join('.')}: ${d.message} (${d.code})`);
  }
  if (found.length > 0 || document === undefined) return false;
  const messages = document.messages().all();
  const counts = {
    channels: document.channels().all().length,
    operations: document.operations().all().length,
    messages: messages.length,
    examples: messages.reduce((n, m) => n + m.examples().all().length, 0),
  };
  console.log(`${file}: AsyncAPI ${document.version()},`, Object.entries(counts).map(([of, n]) => `${n} ${of}`).join(', '));
  return Object.values(counts).every((n) => n > 0);
}

const results = [];
for (const file of process.argv.slice(2)) results.push(await check(file));
process.exitCode = results.length > 0 && results.every(Boolean) ? 0 : 1;
