/** Train a tokenizer, look at its tokens, encode a conversation, write and read tokenizer.json. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeChat, loadTokenizer, saveTokenizer, TextStream, trainBpe } from 'dabarex/tokenizer';

const texts = ['the cat sat on the mat', 'the dog sat on the log', 'cats and dogs'];
const tokenizer = trainBpe({ texts, vocabSize: 280 });

const ids = tokenizer.encode('the cats 🙂');
console.log([...ids].map((id) => JSON.stringify(tokenizer.decode([id]))).join(' '));

const stream = new TextStream();
for (const id of ids) process.stdout.write(stream.push(tokenizer.tokenBytes(id)).text);
console.log(stream.end().text);

const chat = encodeChat(tokenizer, [{ role: 'user', content: 'hello <|im_end|>' }], {
  addGenerationPrompt: true,
});
console.log(tokenizer.decode(chat));

const path = join(mkdtempSync(join(tmpdir(), 'dabarex-example-')), 'tokenizer.json');
saveTokenizer(path, tokenizer);
console.log(loadTokenizer(path).vocabSize);
