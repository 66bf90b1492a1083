// Train a tiny mixture-of-experts model (8 experts, 2 per token) on a text of its own, with a callback.
import { completeModelConfig, modelConfigSchema, Transformer } from 'dabarex/model';
import { createOptimizer } from 'dabarex/optim';
import { createKernels } from 'dabarex/tensor';
import { trainChar } from 'dabarex/tokenizer';
import { Trainer, trainConfigSchema } from 'dabarex/train';

const text = 'the quick brown fox jumps over the lazy dog. '.repeat(40);
const tokenizer = trainChar([text]);
const ids = tokenizer.encode(text);
const length = 32;
let cursor = 0;
const data = {
  nextBatch(sequences: number) {
    const rows = Int32Array.from({ length: sequences * length }, (_, r) => r);
    const starts = rows.map((r) => (cursor + 7 * Math.floor(r / length)) % (ids.length - length - 1));
    cursor += 11;
    const at = (shift: number) => rows.map((r) => ids[starts[r]! + (r % length) + shift]!);
    const firstKey = rows.map((r) => r - (r % length));
    return { tokens: at(0), targets: at(1), positions: rows.map((r) => r % length), firstKey };
  },
};
const ffn = { hidden: 64, numExperts: 8, topK: 2 };
const shape = { dModel: 32, numLayers: 2, numHeads: 2, maxSeqLen: length, ffn };
const config = trainConfigSchema.parse({ duration: '60step', sequenceLength: length, batchSequences: 8 });
const model = new Transformer(
  completeModelConfig(modelConfigSchema.parse(shape), tokenizer.vocabSize),
  createKernels(),
  { precision: 'f32', trainable: true, seed: 1 },
);
const optimizer = createOptimizer(model.parameters, config.optimizer, model.kernels, 'f32');
const clock = () => performance.now() / 1000;
const logLoss = {
  logPoint: (_: unknown, metrics: object) => console.log(JSON.stringify(metrics).slice(0, 120)),
};
await new Trainer({ model, data, optimizer, config, clock, callbacks: [logLoss] }).run();
