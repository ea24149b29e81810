/**
 * exactSource returns the bytes of an event's or a request's field "source": the body as Sine sent
 * it. JSON.parse would make 12345678901234567000 of the number 12345678901234567890.
 */
export function exactSource(message: Uint8Array): Buffer | undefined {
  const text = Buffer.from(message).toString("latin1"); // a character for each byte
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token === '"source"' && text[index + token.length] === ":")
      return Buffer.from(text.slice(index + token.length + 1, text.lastIndexOf("}")), "latin1"); // it is the last field
  }
}
