/** A stream of tokens cut into samples of one length that overlap by one token, so that every token is predicted once. */
export class SampleCutter {
  private readonly sample: Int32Array;
  private readonly emit: (sample: Int32Array) => void;
  private filled = 0;
  private samples = 0;

  /** @param emit receives each full sample; the array is used again afterwards */
  constructor(sampleTokens: number, emit: (sample: Int32Array) => void) {
    this.sample = new Int32Array(sampleTokens);
    this.emit = emit;
  }

  push(tokens: Int32Array): void {
    for (let at = 0; at < tokens.length; ) {
      const part = tokens.subarray(at, at + this.sample.length - this.filled);
      this.sample.set(part, this.filled);
      this.filled += part.length;
      at += part.length;
      if (this.filled === this.sample.length) this.flush();
    }
  }

  get numSamples(): number {
    return this.samples;
  }

  private flush(): void {
    this.emit(this.sample);
    this.samples++;
    this.sample[0] = this.sample[this.sample.length - 1]!;
    this.filled = 1;
  }
}
