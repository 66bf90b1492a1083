/** The process of peers/tokenizers.ts: a line of JSON in, a line of JSON out. */
const { createRequire } = require('node:module');
const { createInterface } = require('node:readline');
const { Tokenizer } = createRequire(`${process.argv[2]}/package.json`)('tokenizers');

let tokenizer;
let texts = [];

async function answer(question) {
  if (question.tokenizerJson) {
    tokenizer = Tokenizer.fromString(question.tokenizerJson);
    texts = question.texts;
    return { seconds: 0 };
  }
  const start = performance.now();
  const encodings = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
  const seconds = (performance.now() - start) / 1000;
  return question.ids ? { seconds, ids: encodings.map((each) => each.getIds()) } : { seconds };
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
});
