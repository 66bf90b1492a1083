/** YAML from outside: what the parser only warns of, an unknown tag for instance, is refused, and nothing is printed by it. */
import { parseDocument } from 'yaml';

/**
 * The value of a YAML text.
 * @throws YAMLError for text that is no YAML or that its parser warns of; ReferenceError for too many aliases
 */
export function parseYaml(text: string): unknown {
  const document = parseDocument(text, { logLevel: 'error' });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) throw problem;
  return document.toJS();
}
