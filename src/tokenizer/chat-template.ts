/**
 * Running a chat template: Jinja source from a file that nobody here wrote. It sees the values it is given and nothing else (Jinja's
 * interpreter reaches neither JavaScript's objects nor files), and it is bounded: every step and every value made costs some of a
 * budget, so a template that loops or doubles its values for ever ends with an error, after the same step on every machine.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';

/** Steps, and characters and elements in {@link SIZE_UNIT}s, of one rendering; the templates of large models take some thousands. */
const MAX_COST = 500_000;
/** Of a block, which every turn of a loop is, even an empty one. */
const BLOCK_COST = 4;
const SIZE_UNIT = 256;
const MAX_LIST_LENGTH = 1_000_000;
const MAX_TEXT_LENGTH = 1 << 26;
const MAX_SOURCE_LENGTH = 1 << 20;

/** What a template sees, beside Jinja's own functions. */
export interface TemplateValues {
  readonly [name: string]: unknown;
}

/** What is used of Jinja's interpreter; its own declarations are not found by TypeScript's resolution for Node. */
interface JinjaValue {
  readonly value: unknown;
}
interface JinjaInterpreter {
  run(program: unknown): JinjaValue;
  evaluate(statement: unknown, environment: unknown): JinjaValue;
  evaluateBlock(statements: unknown, environment: unknown): JinjaValue;
}
type InterpreterClass = new (environment: unknown) => JinjaInterpreter;
interface JinjaToken {
  readonly type: string;
  readonly value: string;
}

/** A template that is parsed once. Its errors are plain: the caller says what was rendered. */
export class ChatTemplate {
  /** texts in quotes within the source */
  readonly literals: readonly string[];
  private readonly program: unknown;

  /** @throws Error where the source is no template */
  constructor(source: string) {
    if (source.length > MAX_SOURCE_LENGTH) throw new Error(`it has ${source.length} characters`);
    const tokens: JinjaToken[] = tokenize(source, { lstrip_blocks: true, trim_blocks: true });
    this.literals = tokens.filter((token) => token.type === 'StringLiteral').map((token) => token.value);
    this.program = parse(tokens);
  }

  /** @throws Error where it fails, or takes more than its budget */
  render(values: TemplateValues): string {
    const environment = new Environment();
    const globals: TemplateValues = {
      false: false,
      true: true,
      none: null,
      False: false,
      True: true,
      None: null,
      raise_exception: (message: unknown) => {
        throw new Error(String(message));
      },
      range: boundedRange,
      ...values,
    };
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    return String(new BoundedInterpreter(environment).run(this.program).value);
  }
}

class BoundedInterpreter extends (Interpreter as unknown as InterpreterClass) {
  private cost = 0;

  override evaluate(statement: unknown, environment: unknown): JinjaValue {
    const value = super.evaluate(statement, environment);
    this.spend(1 + Math.floor(sizeOf(value) / SIZE_UNIT));
    return value;
  }

  override evaluateBlock(statements: unknown, environment: unknown): JinjaValue {
    this.spend(BLOCK_COST);
    return super.evaluateBlock(statements, environment);
  }

  private spend(cost: number): void {
    this.cost += cost;
    if (this.cost > MAX_COST) throw new Error('it takes too many steps');
  }
}

function sizeOf({ value }: JinjaValue): number {
  if (typeof value === 'string') return requireAtMost(value.length, MAX_TEXT_LENGTH);
  if (Array.isArray(value)) return requireAtMost(value.length, MAX_LIST_LENGTH);
  return value instanceof Map ? requireAtMost(value.size, MAX_LIST_LENGTH) : 0;
}

function requireAtMost(size: number, most: number): number {
  if (size > most) throw new Error(`it makes a value of size ${size}`);
  return size;
}

function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new Error('range() with step 0');
  const length = Math.max(0, Math.ceil((to - from) / step));
  requireAtMost(length, MAX_LIST_LENGTH);
  return Array.from({ length }, (_, i) => from + i * step);
}
