import { describe, expect, it } from 'vitest';
import { createProgressDisplay } from './progress.ts';

function display() {
  const written: string[] = [];
  const clock = { ms: 0 };
  const stream = { isTTY: false, write: (text: string) => written.push(text) };
  const progress = createProgressDisplay(stream as unknown as NodeJS.WriteStream, () => clock.ms);
  return { written, clock, progress };
}

describe('progress without a terminal', () => {
  it('writes a line at the start, every five seconds and at the end', () => {
    const { written, clock, progress } = display();
    for (let done = 0; done <= 100; done++) {
      clock.ms = done * 120;
      progress.update({ stage: 'train', done, total: 100, unit: 'steps' }, `loss ${done}`);
    }
    expect(written).toEqual([
      'train 0% 0 / 100 steps loss 0\n',
      'train 42% 42 / 100 steps 7 s left loss 42\n',
      'train 84% 84 / 100 steps 2 s left loss 84\n',
      'train 100% 100 / 100 steps in 12 s loss 100\n',
    ]);
  });

  it('keeps stages apart, shows bytes, and an unknown total', () => {
    const { written, progress } = display();
    progress.onProgress({ stage: 'download', done: 1_200_000, total: 2_400_000, unit: 'bytes' });
    progress.onProgress({ stage: 'clean', done: 12, total: 0, unit: 'documents' });
    progress.log('a word');
    expect(written).toEqual(['download 50% 1.20 MB / 2.40 MB\n', 'clean 12 documents\n', 'a word\n']);
  });
});
