/**
 * Token bytes to text pieces that are safe to send: never a part of a UTF-8 sequence, never a part of a stop string.
 * Bytes that are not UTF-8 become U+FFFD, as in every text API.
 */
export class TextStream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  private readonly stops: readonly string[];
  private held = '';

  constructor(stops: readonly string[] = []) {
    this.stops = stops.filter((stop) => stop.length > 0);
  }

  /**
   * Adds the bytes of one token.
   * @returns the text that can be sent now, and whether a stop string ended it (what follows the stop is dropped)
   */
  push(bytes: Uint8Array): { text: string; stopped: boolean } {
    return this.release(this.decoder.decode(bytes, { stream: true }), false);
  }

  /** Ends the stream: gives what was held back. */
  end(): { text: string; stopped: boolean } {
    return this.release(this.decoder.decode(), true);
  }

  private release(added: string, ended: boolean): { text: string; stopped: boolean } {
    const text = this.held + added;
    const at = this.stopIndex(text);
    if (at >= 0) {
      this.held = '';
      return { text: text.slice(0, at), stopped: true };
    }
    const keep = ended ? 0 : this.heldLength(text);
    this.held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep), stopped: false };
  }

  /** Where the stop string that is complete first begins, or -1: the same however the text is cut into tokens. */
  private stopIndex(text: string): number {
    let begin = -1;
    let end = Infinity;
    for (const stop of this.stops) {
      const at = text.indexOf(stop);
      const after = at + stop.length;
      if (at < 0 || after > end || (after === end && at > begin)) continue;
      begin = at;
      end = after;
    }
    return begin;
  }

  /** Length of the longest end of `text` that begins some stop string. */
  private heldLength(text: string): number {
    let longest = 0;
    for (const stop of this.stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
