/**
 * What is done to a text before it is split: Unicode normal forms and replaced strings, as the normalizers of Hugging Face's
 * tokenizer.json that real models have. Tokens are then those of the changed text, so decoding gives that back.
 */
export type NormalizerStep =
  | { readonly type: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' | 'Lowercase' }
  | { readonly type: 'Prepend'; readonly prepend: string }
  | { readonly type: 'Replace'; readonly pattern: { readonly String: string }; readonly content: string };

/** The text after all steps. */
export function normalized(steps: readonly NormalizerStep[], text: string): string {
  let result = text;
  for (const step of steps) {
    switch (step.type) {
      case 'Prepend':
        if (result !== '') result = step.prepend + result;
        break;
      case 'Replace':
        result = result.replaceAll(step.pattern.String, () => step.content);
        break;
      case 'Lowercase':
        result = result.toLowerCase();
        break;
      default:
        result = result.normalize(step.type);
    }
  }
  return result;
}
